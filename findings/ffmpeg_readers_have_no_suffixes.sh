#!/usr/bin/env bash
# Which suffixes does a video have? FFmpeg's readers of .ts, .mxf, .asf and .vob say none.
#
# Expected: the suffixes of all readers, which PyAV gives as `ContainerFormat(name, 'r').extensions`, hold
#   those of the usual video files.
set -euo pipefail
unset PYTHONPATH
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet av==18.1.0
"$work/venv/bin/python" - <<'PY'
import av

USUAL = {'mp4', 'avi', 'mkv', 'flv', 'mov', 'webm', 'wmv', 'asf', 'ts', 'm2ts', 'mxf', 'vob', 'mpg'}


def suffixes(mode):
    known = set()
    for name in av.formats_available:
        try:
            known |= av.format.ContainerFormat(name, mode).extensions
        except ValueError:
            continue
    return known


readers, writers = suffixes('r'), suffixes('w')
print('no reader names', *sorted(USUAL - readers))
print('no writer names', *sorted(USUAL - writers))
assert {'ts', 'm2ts', 'mxf', 'asf', 'vob', 'avi', 'mpg'} <= USUAL - readers
assert {'mp4', 'mkv', 'mov'} <= readers
assert USUAL <= writers
PY
