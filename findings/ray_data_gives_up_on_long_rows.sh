#!/usr/bin/env bash
# Ray Data fails a run in which one row takes longer than half an hour, though an actor is at work on it.
#
# Expected: `execution_no_progress_timeout_s` (1800 by default) ends a run in which nothing is at work, as
#   when a cluster has no room; a task that runs is progress.
# Seen: Ray 2.60.0 (Python 3.11): only blocks that move are. With 20 s for it and a row of 40 s, as guessed:
#     default: 1800 s
#     Dataset execution made no progress for at least 20s of scheduling time (timeout: 20s). [...]
#     - Map(Work): 1 active task(s), 3 finished, 3 outputs taken
# Here: the engine `ray` sets it to -1; a video of some hours is one row.
set -euo pipefail
unset PYTHONPATH
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet ray==2.60.0 'ray[data]' pyarrow==26.0.1
cd "$work"
export RAY_USAGE_STATS_ENABLED=0 RAY_BACKEND_LOG_LEVEL=fatal RAY_TMPDIR="$work"
venv/bin/python - 2> log <<'PY' || { cat log; exit 1; }
import logging
import time

import ray.data
from ray.data.exceptions import ExecutionTimeoutError

logging.getLogger('ray.data').setLevel(logging.CRITICAL)


class Work:
    def __call__(self, row):
        time.sleep(0 if row['item'] < 3 else 40)
        return row


ray.init('local', num_cpus=1, include_dashboard=False, log_to_driver=False, logging_level=logging.CRITICAL)
print('default:', ray.data.DataContext.get_current().execution_no_progress_timeout_s, 's')
rows = ray.data.from_items([*range(4)], override_num_blocks=4)
rows.context.enable_progress_bars = False
# half an hour would be long for a script; the actor has this time to start, too
rows.context.execution_no_progress_timeout_s = 20
try:
    rows.map(Work, compute=ray.data.ActorPoolStrategy(size=1)).take_all()
except ExecutionTimeoutError as error:
    print(str(error).splitlines()[0])
    print([line.strip() for line in str(error).splitlines() if 'active task' in line][0])
else:
    raise SystemExit('a row that takes long ends nothing any more')
PY
