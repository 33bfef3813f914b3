#!/usr/bin/env bash
# x264 with a largest rate writes another file each time, and with a single thread the same one.
#
# Expected: libx264, "deterministic" by its default, makes of the same frames and options the same file.
# Seen: PyAV 18.1.0 (Python 3.11), 10 runs with 4 threads: see below. Guessed before: 1, 10, 1, 1; wrong in the third.
#     crf: 1 of 10 files
#     crf, maxrate: 10 of 10 files
#     bit rate, maxrate: 10 of 10 files
#     crf, maxrate, one thread: 1 of 10 files
# Here: videos that are drawn may be at most twice as large as theirs, so they are written by one thread:
#   `--resume` promises the same files as a run without a stop.
set -euo pipefail
unset PYTHONPATH
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet av==18.1.0 numpy==2.4.6
cd "$work"
venv/bin/python - <<'PY'
import io

import av
import numpy as np

rng = np.random.default_rng(0)
frames = [np.full((240, 320, 3), 5 * number, np.uint8) for number in range(40)]
for frame in frames:
    frame[60:120, 40:120] = rng.integers(0, 255, (60, 80, 3))


def encode(options):
    file = io.BytesIO()
    with av.open(file, 'w', format='mp4') as container:
        stream = container.add_stream('libx264', rate=10, options=options)
        stream.width, stream.height, stream.pix_fmt = 320, 240, 'yuv420p'
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format='rgb24')))
        container.mux(stream.encode(None))
    return file.getvalue()


limit = {'maxrate': '40000', 'bufsize': '20000', 'preset': 'superfast'}
cases = {
    'crf': {'crf': '18', 'preset': 'superfast', 'threads': '4'},
    'crf, maxrate': {'crf': '18', 'threads': '4', **limit},
    'bit rate, maxrate': {'b': '40000', 'threads': '4', **limit},
    'crf, maxrate, one thread': {'crf': '18', 'threads': '1', **limit},
}
different = {}
for name, options in cases.items():
    different[name] = len({encode(options) for _ in range(10)})
    print(f'{name}: {different[name]} of 10 files')
assert different['crf'] == different['crf, maxrate, one thread'] == 1
assert different['crf, maxrate'] > 1
PY
