"""The command line."""

from mmotion.cli.parser import main

__all__ = ['main']
