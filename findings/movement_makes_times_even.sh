#!/usr/bin/env bash
# Does movement read back the times that it wrote? Not those of frames that are not evenly spaced.
#
# Expected: tracks of a phone's video, 30 frames a second and then 10, that movement saves as NWB with a time
#   for each frame, have these times when movement loads them.
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
