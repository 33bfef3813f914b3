"""`python tools/analysis/analyze_logs.py ...`: the same as `mmotion analyze-logs`."""

import sys
from pathlib import Path

# the checkout in place of this folder, so that nothing needs to be installed
sys.path[0] = str(Path(__file__).resolve().parents[2])

from mmotion.cli import main  # noqa: E402

if __name__ == '__main__':
    sys.exit(main(['analyze-logs', *sys.argv[1:]]))
