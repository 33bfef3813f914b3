#!/usr/bin/env bash
# Train on several GPUs, or in several CPU processes where there is none:
#     tools/dist_train.sh CONFIG GPUS [arguments of tools/train.py]
# Several machines: run it on each, with NNODES, NODE_RANK, MASTER_ADDR and PORT set; one machine
# needs no PORT, a free one is found.
# MAX_RESTARTS=3 starts all processes again when one dies, up to three times. The training then goes
# on from the last checkpoint in its work dir, also at its first start. Machines may come and go:
# NNODES=1:2 goes on with one of two.
set -euo pipefail
if [ $# -lt 2 ]; then
    echo "usage: $0 CONFIG GPUS [arguments of train.py]" >&2
    exit 2
fi
CONFIG=$1
GPUS=$2
shift 2
TOOLS=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

RESTARTS=${MAX_RESTARTS:-0}
HOST=${MASTER_ADDR:-127.0.0.1}
if [ "${NNODES:-1}" = 1 ] && [ -z "${PORT:-}" ]; then
    MEETING=(--standalone --local_addr=127.0.0.1)
elif [ "$RESTARTS" = 0 ]; then
    MEETING=(--nnodes="${NNODES:-1}" --node_rank="${NODE_RANK:-0}" --master_addr="$HOST"
        --master_port="${PORT:-29500}")
else
    # machine 0 keeps the list of those that are there
    MEETING=(--nnodes="${NNODES:-1}" --rdzv_backend=c10d --rdzv_endpoint="$HOST:${PORT:-29500}"
        --rdzv_conf="is_host=$([ "${NODE_RANK:-0}" = 0 ] && echo 1 || echo 0)")
fi
if [ "$RESTARTS" != 0 ]; then
    # else restarted processes find the addresses of the dead ones, and wait for them
    export TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1
fi

exec "${PYTHON:-python}" -m torch.distributed.run \
    "${MEETING[@]}" \
    --max_restarts="$RESTARTS" \
    --nproc_per_node="$GPUS" \
    "$TOOLS/train.py" "$CONFIG" --launcher pytorch "$@"
