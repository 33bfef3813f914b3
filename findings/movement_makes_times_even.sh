#!/usr/bin/env bash
# movement does not read back the times that it wrote: it makes them even.
#
# Expected: tracks of a phone's video, 30 frames a second and then 10, that movement saves as NWB with a time
#   for each frame, have these times when movement loads them.
# Seen: movement 0.17.0 with pynwb 4.2.0 (Python 3.12): the file has the times; loading takes the median of
#   their rates and spaces all frames evenly by it. Two seconds later the times are 1.3 s off. As guessed.
#     last frame: 3.90 s, written as 3.90 s, read as 2.63 s
# Here: --export writes <stem>_timestamps.csv where frames are not evenly spaced, for `assign_coords`.
# It needs Python 3.12 or later, by the name python3.12 or in $PYTHON.
set -euo pipefail
unset PYTHONPATH
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3.12}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet movement==0.17.0
cd "$work"
venv/bin/python -W ignore - 2> log <<'PY'
import numpy as np
import pynwb
from movement.io import load_poses, save_poses

times_s = np.concatenate([np.arange(60) / 30, 2 + np.arange(20) / 10])
poses = load_poses.from_numpy(np.zeros((80, 2, 1, 1)), np.ones((80, 1, 1)), fps=30)
poses = poses.assign_coords(time=times_s)
file = save_poses.to_nwb_file(poses)
file = file[0] if isinstance(file, list) else file
with pynwb.NWBHDF5IO('a.nwb', 'w') as output:
    output.write(file)
with pynwb.NWBHDF5IO('a.nwb', 'r') as source:
    series = source.read().processing['behavior']['PoseEstimation']['keypoint_0']
    written_s = np.asarray(series.timestamps)
read_s = load_poses.from_nwb_file('a.nwb').time.values
print(f'last frame: {times_s[-1]:.2f} s, written as {written_s[-1]:.2f} s, read as {read_s[-1]:.2f} s')
assert np.allclose(written_s, times_s)
assert np.allclose(read_s, np.arange(80) / 30)
PY
