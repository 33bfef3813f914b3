"""Uploading; the way to the hub and back is in tests/inference/test_published.py."""

from tests.command_lines import run


def test_what_was_not_published_is_refused(capsys, tmp_path):
    code, _, error = run(capsys, 'push', tmp_path, 'me/toy')
    assert code == 2
    assert f'must be one that "mmotion publish" wrote, got {tmp_path}' in error
