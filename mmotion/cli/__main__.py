"""`python -m mmotion.cli`: the same as `mmotion`, where nothing is installed."""

import sys

from mmotion.cli.parser import main

if __name__ == '__main__':
    sys.exit(main())
