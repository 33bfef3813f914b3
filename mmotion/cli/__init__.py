"""The command line: `mmotion COMMAND`, in a checkout also `python -m mmotion.cli COMMAND`."""

from mmotion.cli.parser import main

__all__ = ['main']
