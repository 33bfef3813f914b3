#!/usr/bin/env bash
# sleap-io writes predictions as NWB if they are in frames 0, 1, 2, ... and in no others.
#
# Expected: what `save_slp` and `save_csv` write, `save_nwb` writes too: NWB has a time for each value.
# Seen: sleap-io 0.9.5 with pynwb 4.2.0 (Python 3.11): it makes as many times as there are frames with
#   predictions, and looks them up by the number of the frame. Predictions from frame 1 on, or with a
#   frame left out, end in IndexError: index 3 is out of bounds for axis 0 with size 3.
# Here: --export nwb writes by pynwb itself, with a row for every frame from 0; whoever converts tracks by
#   sleap-io pads them from frame 0 first.
set -euo pipefail
unset PYTHONPATH
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet sleap-io==0.9.5 pynwb==4.2.0 av==17.1.0 numpy==2.4.6
cd "$work"
venv/bin/python - <<'EOF'
import av
import numpy as np
import sleap_io as sio

with av.open('video.mp4', 'w') as file:
    stream = file.add_stream('mpeg4', rate=10)
    stream.width, stream.height, stream.pix_fmt = 64, 48, 'yuv420p'
    for _ in range(12):
        frame = av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8))
        file.mux(stream.encode(frame))
    file.mux(stream.encode())

video = sio.load_video('video.mp4')
skeleton = sio.Skeleton(nodes=['nose', 'tail'], name='mouse')


def save(frames):
    labels = sio.Labels([
        sio.LabeledFrame(
            video=video,
            frame_idx=frame,
            instances=[
                sio.PredictedInstance.from_numpy(
                    points_data=np.array([[10.0 + frame, 20], [30, 40]]),
                    point_scores=np.array([0.5, 0.25]),
                    score=0.5,
                    skeleton=skeleton,
                )
            ],
        )
        for frame in frames
    ])
    name = '_'.join(map(str, frames))
    sio.save_slp(labels, f'{name}.slp')
    assert [frame.frame_idx for frame in sio.load_slp(f'{name}.slp')] == [*frames]
    try:
        sio.save_nwb(labels, f'{name}.nwb')
    except IndexError as error:
        return str(error)
    return [frame.frame_idx for frame in sio.load_nwb(f'{name}.nwb')]


for frames in ((0, 1, 2), (1, 2, 3), (0, 4, 9)):
    print(frames, save(frames))
    # (0, 1, 2) [0, 1, 2]
    # (1, 2, 3) index 3 is out of bounds for axis 0 with size 3
    # (0, 4, 9) index 4 is out of bounds for axis 0 with size 3
assert save((0, 1, 2)) == [0, 1, 2]
assert 'out of bounds' in save((1, 2, 3)) and 'out of bounds' in save((0, 4, 9))
EOF
