#!/usr/bin/env bash
# decord repeats the last frame of a trimmed MP4, once for each frame that its beginning lost.
#
# Expected: `decord.VideoReader` numbers the frames of an MP4, trimmed by an edit list to the last 16 of 24,
#   as a player shows them: 16, from the ninth one on.
# Seen: decord 0.6.0 (Python 3.11): it has 24; those from 16 on are all the last one, without a word. Guessed
#   before: 24, of which the first is hidden in a player.
#     24 [8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 23, 23, 23, 23, 23, 23, 23, 23]
# Here: PyAV reads videos; decord does only where a config names DecordInit of MMAction2.
set -euo pipefail
unset PYTHONPATH
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet av==18.1.0 decord==0.6.0 numpy==2.4.6
cd "$work"
venv/bin/python - <<'PY'
import av
import decord
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

reader = decord.VideoReader('trimmed.mp4')
# each frame tells its number by its grey level
numbers = [round(float(reader[i].asnumpy().mean()) / 10) for i in range(len(reader))]
print(len(reader), numbers)
assert numbers == [*range(8, 24), *[23] * 8]
PY
