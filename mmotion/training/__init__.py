"""Build the object that trains and tests, and what runs beside it."""

from mmotion.training.runner import Runner, build_runner

__all__ = ['Runner', 'build_runner']
