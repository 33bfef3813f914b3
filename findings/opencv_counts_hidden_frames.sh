#!/usr/bin/env bash
# How many frames has a trimmed MP4? OpenCV's CAP_PROP_FRAME_COUNT says more than it reads.
#
# Expected: of 24 frames, trimmed by an edit list to the last 16, `cv2.VideoCapture` counts as many as it
#   reads, and as PyAV decodes.
# Seen: OpenCV 5.0.0 and PyAV 18.1.0 (Python 3.11): both give the number in the table of the file, 24, with
#   the hidden frames, and 16 frames. Who allocates by the count has 8 black frames at the end. As guessed.
#     OpenCV counts 24 and reads 16; PyAV declares 24 and decodes 16
# Here: frames are counted by their packets, without those that are hidden.
set -euo pipefail
unset PYTHONPATH
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet av==18.1.0 opencv-python-headless==5.0.0.93 numpy==2.4.6
cd "$work"
venv/bin/python - <<'PY'
import av
import cv2
import numpy as np

with av.open('whole.mp4', 'w') as file:
    stream = file.add_stream('libx264', rate=25, options={'g': '24', 'bf': '0'})
    stream.width, stream.height, stream.pix_fmt = 64, 48, 'yuv420p'
    for number in range(24):
        image = np.full((48, 64, 3), 10 * number, np.uint8)
        file.mux(stream.encode(av.VideoFrame.from_ndarray(image, format='rgb24')))
    file.mux(stream.encode(None))
# as `ffmpeg -ss 0.32 -i whole.mp4 -c copy trimmed.mp4` does: what comes before is hidden
with av.open('whole.mp4') as source, av.open('trimmed.mp4', 'w') as target:
    stream = source.streams.video[0]
    copy = target.add_stream_from_template(stream)
    shift = round(8 / 25 / stream.time_base)
    for packet in source.demux(stream):
        if packet.size:
            packet.pts, packet.dts, packet.stream = packet.pts - shift, packet.dts - shift, copy
            target.mux(packet)

video = cv2.VideoCapture('trimmed.mp4')
counted, read = int(video.get(cv2.CAP_PROP_FRAME_COUNT)), 0
while video.read()[0]:
    read += 1
with av.open('trimmed.mp4') as file:
    declared, decoded = file.streams.video[0].frames, sum(1 for _ in file.decode(video=0))
print(f'OpenCV counts {counted} and reads {read}; PyAV declares {declared} and decodes {decoded}')
assert (counted, read, declared, decoded) == (24, 16, 24, 16)
PY
