#!/usr/bin/env bash
# Which suffixes does a video have? FFmpeg's readers of .mpg, .ts, .wmv and four more do not say.
#
# Expected: the suffixes of all readers, which PyAV gives as `ContainerFormat(name, 'r').extensions`, hold
#   those of the usual video files.
# Seen: PyAV 18.1.0 (Python 3.11) reads all of these, by what is in them, but its readers of seven name no
#   suffix; the writers name them all. Guessed before: the same, but .avi for .wmv.
#     no reader names asf m2ts mpg mxf ts vob wmv
#     no writer names
# Here: the suffixes of videos are a list of our own, in mmotion/video/files.py.
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
assert USUAL - readers == {'asf', 'm2ts', 'mpg', 'mxf', 'ts', 'vob', 'wmv'}
assert USUAL <= writers
PY
