"""Fetching ahead: by name, for a config, and from a file that came by other means."""

import pytest

from mmotion.checkpoint import released
from mmotion.cli.commands import download
from tests.command_lines import run


@pytest.fixture
def fetched(monkeypatch):
    """What is asked for, in place of the network."""
    asked = []

    def fetch(name, file=None):
        asked.append((name, file and file.name))
        return f'/cache/{name}'

    monkeypatch.setattr(released, 'fetch_released', fetch)
    return asked


def test_names_are_fetched_one_after_the_other(fetched, capsys):
    code, out, _ = run(capsys, 'download', 'repnet_released', 'pose_landmarker_full')
    assert code == 0
    assert out.splitlines()[0] == 'repnet_released: /cache/repnet_released'
    assert fetched == [('repnet_released', None), ('pose_landmarker_full', None)]


def test_a_file_that_is_here_takes_the_place_of_a_download(fetched, capsys, tmp_path):
    (tmp_path / 'w.pth').write_bytes(b'')
    run(capsys, 'download', 'repnet_released', '--from', tmp_path / 'w.pth')
    assert fetched == [('repnet_released', 'w.pth')]


def test_for_a_config_all_that_it_would_fetch(fetched, capsys, monkeypatch):
    class Model:
        def init_weights(self):
            fetched.append(('what training starts from', None))

    monkeypatch.setattr('mmotion.registry.MODELS.build', lambda config: Model())
    code, out, _ = run(capsys, 'download', '--all-for', 'repnet_released')
    assert code == 0
    assert fetched == [('repnet_released', None), ('what training starts from', None)]
    assert 'what its training starts from is here' in out
    fetched.clear()
    # videos come to it by way of a detector
    run(capsys, 'download', '--all-for', 'repnet_pose')
    assert fetched == [('pose_landmarker_full', None), ('what training starts from', None)]


@pytest.mark.parametrize(
    'arguments, message',
    [
        ([], 'NAME or --all-for CONFIG must be given'),
        (['repnet_released', 'none'], 'that "mmotion models" lists, got \'none\''),
        (['repnet_released', 'vgg19_imagenet', '--from', 'a'], '--from must come with one NAME'),
    ],
    ids=['nothing', 'an unknown name', 'one file for two'],
)
def test_wrong_use_is_said_before_anything_is_fetched(fetched, capsys, arguments, message):
    code, _, error = run(capsys, 'download', *arguments)
    assert code == 2
    assert message in error
    assert not fetched
    assert download.__doc__
