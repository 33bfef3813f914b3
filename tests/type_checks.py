"""Ask a type checker about a program, as a user would have it."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest


def run_pyright(code: str, *, folder: Path, packages: Path) -> list[dict[str, Any]]:
    """What pyright says of a program that is written to a folder and imports from another."""
    pytest.importorskip('pyright', reason='checks types; pip install -e .[dev]')
    (folder / 'program.py').write_text(code)
    (folder / 'pyrightconfig.json').write_text(json.dumps({'extraPaths': [str(packages)]}))
    command = [sys.executable, '-m', 'pyright', '--outputjson', '--pythonpath', sys.executable]
    done = subprocess.run(
        [*command, '-p', str(folder)], capture_output=True, text=True, cwd=folder, timeout=300
    )
    return json.loads(done.stdout)['generalDiagnostics']
