"""Command lines as a user types them, and the toy config that they are tried on."""

from pathlib import Path

TOY = str(Path(__file__).resolve().parent / 'toy' / 'toy.py')


def run(capsys, *arguments):
    """Run a command.

    Returns:
        Its exit code, what it has written to stdout, and what to stderr.
    """
    from mmotion.cli import main

    code = main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def check_wrong_use(capsys, arguments, message):
    """Run a command that must be refused in one line."""
    code, _, error = run(capsys, *arguments)
    assert code == 2
    assert message in error
    assert 'Traceback' not in error
