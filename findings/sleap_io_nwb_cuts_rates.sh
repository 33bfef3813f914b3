#!/usr/bin/env bash
# sleap-io writes predictions of a video of 29.97 frames a second as NWB of 29 Hz, and of 0.5 as 0 Hz.
#
# Expected: the rate of the times that `write_nwb` is given.
# Seen: sleap-io 0.9.5 with pynwb 4.2.0 (Python 3.11): where times are even it keeps a rate instead of
#   them, and cuts it to a whole number, so after a minute of 29.97 the times are two seconds off. Without
#   times, as by `save_nwb`, a frame lasts a second.
# Here: --export nwb writes by pynwb itself, with a time for each frame.
set -euo pipefail
unset PYTHONPATH
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet sleap-io==0.9.5 pynwb==4.2.0 numpy==2.4.6
cd "$work"
venv/bin/python -W ignore - <<'EOF'
import numpy as np
import pynwb
import sleap_io as sio
from sleap_io.io.nwb_predictions import write_nwb

skeleton = sio.Skeleton(nodes=['nose'], name='mouse')
video = sio.Video(filename='video.mp4', open_backend=False)
instance = sio.PredictedInstance.from_numpy(
    points_data=np.array([[10.0, 20]]), point_scores=np.array([0.5]), score=0.5, skeleton=skeleton
)
labels = sio.Labels(
    [sio.LabeledFrame(video=video, frame_idx=i, instances=[instance]) for i in range(9)]
)


def save(fps):
    times = {'video_timestamps': np.arange(9) / fps}
    write_nwb(labels, 'a.nwb', pose_estimation_metadata=times)
    with pynwb.NWBHDF5IO('a.nwb', 'r') as file:
        series = file.read().processing['SLEAP_VIDEO_000_video']['track=untracked']['nose']
        assert series.timestamps is None
        return series.rate


for fps in (25, 30000 / 1001, 0.5):
    print(fps, save(fps))
    # 25 25.0
    # 29.97002997002997 29.0
    # 0.5 0.0
assert (save(25), save(30000 / 1001), save(0.5)) == (25, 29, 0)
EOF
