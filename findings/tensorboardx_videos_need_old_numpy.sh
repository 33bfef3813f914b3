#!/usr/bin/env bash
# tensorboardX writes no video with the NumPy that pip installs beside it.
#
# Expected: `SummaryWriter.add_video` of tensorboardX, with MoviePy, writes a GIF into the event file.
# Seen: tensorboardX 2.6.4 (Python 3.11) allows any NumPy and calls `reshape(newshape=...)`, which NumPy
#   2.4 no longer knows; with NumPy 2.3.5 the GIF is there. MoviePy 2.2.1 serves it either way. Guessed
#   before: that nothing is raised and nothing written, as MoviePy 2 has no `moviepy.editor`; wrong.
#     numpy 2.4.6: TypeError: reshape() got an unexpected keyword argument 'newshape'
#     numpy 2.3.5: [('walk', 'image')]
# Here: trainings log to TensorBoard by torch's writer, and numbers only.
set -euo pipefail
unset PYTHONPATH
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet tensorboardX==2.6.4 moviepy==2.2.1 numpy==2.4.6
cd "$work"
cat > write.py <<'PY'
import struct
from pathlib import Path

import numpy as np
from tensorboardX import SummaryWriter
from tensorboardX.proto.event_pb2 import Event

frames = np.random.default_rng(0).integers(0, 255, (1, 8, 3, 32, 32)).astype(np.uint8)
found = []
try:
    with SummaryWriter('log') as writer:
        writer.add_video('walk', frames, 0, fps=4)
    (path,) = Path('log').iterdir()
    data = path.read_bytes()
    while data:
        # length, its checksum, an event, its checksum
        (size,) = struct.unpack('<Q', data[:8])
        event = Event.FromString(data[12 : 12 + size])
        found += [(value.tag, value.WhichOneof('value')) for value in event.summary.value]
        data = data[16 + size :]
    answer = str(found)
except TypeError as error:
    answer = f'TypeError: {error}'
print(f'numpy {np.__version__}: {answer}')
PY
venv/bin/python write.py | tee with_new.txt
rm -rf log
venv/bin/pip install --quiet numpy==2.3.5
venv/bin/python write.py | tee with_old.txt
grep -q "unexpected keyword argument 'newshape'" with_new.txt
grep -q "('walk', 'image')" with_old.txt
