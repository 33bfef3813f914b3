"""`python tools/test.py CONFIG ...` from a checkout: the same as `mmotion test`."""

import sys
from pathlib import Path

# the checkout in place of this folder, so that nothing needs to be installed
sys.path[0] = str(Path(__file__).resolve().parents[1])

from mmotion.cli import main  # noqa: E402

if __name__ == '__main__':
    sys.exit(main(['test', *sys.argv[1:]]))
