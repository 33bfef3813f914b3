"""Runs code as on a machine that has onnxruntime, PyAV and NumPy, and nothing else of ours."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BLOCK = """
import sys

ALLOWED = {'av', 'mmotion', 'mmotion_lean', 'numpy', 'onnxruntime', *sys.stdlib_module_names}


class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition('.')[0] not in ALLOWED:
            raise ModuleNotFoundError(f'No module named {name!r}, which is blocked', name=name)


sys.meta_path.insert(0, Blocker())
"""


def run_lean(code: str, *arguments: object) -> str:
    """What a program prints, which must end well, on a machine that has no torch."""
    done = subprocess.run(
        [sys.executable, '-c', BLOCK + code, *map(str, arguments)],
        capture_output=True,
        text=True,
        env={**os.environ, 'PYTHONPATH': str(ROOT)},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def predict_lean(*arguments: object) -> str:
    """What `mmotion predict` prints there."""
    code = 'from mmotion.cli import main\nsys.exit(main(["predict", *sys.argv[1:]]))'
    return run_lean(code, *arguments)
