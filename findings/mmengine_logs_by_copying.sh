#!/usr/bin/env bash
# Logging a scalar in mmengine copies all values of the run so far, at each step.
#
# Expected: MessageHub.update_scalar, which every training calls for its loss, rate, time, data_time and
#   gradient norm at each step, takes the same time at any step, as appending to a list does.
# Seen: mmengine 0.10.7 (numpy 2.4.6, Python 3.11): HistoryBuffer.update appends by np.append, to the
#   values and to their counts, and so allocates and copies both arrays, up to max_length=1,000,000 values.
#   A long training gets slower with each step, and nothing says why: data_time does not hold it.
# Output (2 cores of an AMD EPYC VM beside other work, microseconds of CPU an update):
#   after     100 steps:      5.9
#   after   10000 steps:      9.9
#   after  100000 steps:    509.2
#   after  500000 steps:   3222.1
# Here: nothing yet. With seven scalars a step it is 4 ms of each step after 100,000 of them.
set -euo pipefail
unset PYTHONPATH
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet mmengine==0.10.7 numpy==2.4.6
cd "$work"
venv/bin/python - <<'EOF'
import time

import numpy as np
from mmengine.logging import HistoryBuffer


def measure(steps):
    """Microseconds of an update after so many steps, the least of several rounds."""
    buffer = HistoryBuffer(np.zeros(steps), np.ones(steps))
    rounds = []
    for _ in range(7):
        start = time.process_time()
        for _ in range(20):
            buffer.update(1.0)
        rounds.append((time.process_time() - start) / 20)
    assert len(buffer.data[0]) == steps + 140
    return 1e6 * min(rounds)


times = {steps: measure(steps) for steps in (100, 10_000, 100_000, 500_000)}
for steps, microseconds in times.items():
    print(f'after {steps:>7} steps: {microseconds:8.1f}')
assert times[500_000] > 20 * times[100]
assert times[500_000] > 2 * times[100_000]
EOF
