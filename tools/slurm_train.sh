#!/usr/bin/env bash
# Train on a Slurm cluster:
#     tools/slurm_train.sh PARTITION JOB CONFIG [arguments of tools/train.py]
# GPUS in all (8), GPUS_PER_NODE (8, or GPUS if fewer), CPUS_PER_TASK (5) and SRUN_ARGS are read from
# the environment; GPUS=16 takes two machines of 8. A task that dies ends the job, and srun names it.
set -euo pipefail
if [ $# -lt 3 ]; then
    echo "usage: $0 PARTITION JOB CONFIG [arguments of train.py]" >&2
    exit 2
fi
PARTITION=$1
JOB=$2
CONFIG=$3
shift 3
TOOLS=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
GPUS=${GPUS:-8}
PER_NODE=${GPUS_PER_NODE:-$((GPUS < 8 ? GPUS : 8))}
export MASTER_PORT=${MASTER_PORT:-$((12000 + RANDOM % 20000))}

# SRUN_ARGS is several words
# shellcheck disable=SC2086
exec srun -p "$PARTITION" \
    --job-name="$JOB" \
    --gres="gpu:$PER_NODE" \
    --ntasks="$GPUS" \
    --ntasks-per-node="$PER_NODE" \
    --cpus-per-task="${CPUS_PER_TASK:-5}" \
    --kill-on-bad-exit=1 \
    ${SRUN_ARGS:-} \
    "${PYTHON:-python}" -u "$TOOLS/train.py" "$CONFIG" --launcher slurm "$@"
