#!/usr/bin/env bash
# Installing sleap-io breaks `from tests.helpers import ...` in a project whose tests have no __init__.py.
#
# Expected: a package installs the modules of its own name.
# Seen: sleap-io 0.9.5 (Python 3.11) also installs top-level `tests`, `scripts` and `hooks`, its own
#   tests and scripts of its documentation. A folder without __init__.py (a namespace package) loses
#   against a package with one anywhere later on sys.path, so a project's own `tests.helpers` is not
#   found any more, although the project comes first: No module named 'tests.helpers'.
# Here: tests/ has an __init__.py.
set -euo pipefail
unset PYTHONPATH
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
mkdir -p "$work/project/tests"
echo 'ANSWER = 42' > "$work/project/tests/helpers.py"
cd "$work/project"
use='from tests.helpers import ANSWER; print("found", ANSWER)'
../venv/bin/python -c "$use"
# found 42
../venv/bin/pip install --quiet --no-deps sleap-io==0.9.5
../venv/bin/python - <<'EOF'
from importlib.metadata import files

names = sorted({path.parts[0] for path in files('sleap-io')} - {'..'})
print('installs', [name for name in names if 'dist-info' not in name])
# installs ['hooks', 'scripts', 'sleap_io', 'tests']
assert {'scripts', 'tests'} <= set(names)
EOF
if ../venv/bin/python -c "$use" 2> error; then
    echo 'changed: the own tests are found'
    exit 1
fi
tail -n 1 error
# ModuleNotFoundError: No module named 'tests.helpers'
grep -q "No module named 'tests.helpers'" error
touch tests/__init__.py
../venv/bin/python -c "$use"
# found 42
