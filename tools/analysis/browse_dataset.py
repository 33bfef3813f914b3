"""`python tools/analysis/browse_dataset.py ...`: the same as `mmotion browse-dataset`."""

import sys
from pathlib import Path

# the checkout in place of this folder, so that nothing needs to be installed
sys.path[0] = str(Path(__file__).resolve().parents[2])

from mmotion.cli import main  # noqa: E402

if __name__ == '__main__':
    sys.exit(main(['browse-dataset', *sys.argv[1:]]))
