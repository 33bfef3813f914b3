"""Publishing: only the weights, small, with a sum that fits."""

import subprocess
from pathlib import Path

import pytest
import torch
from torch import nn

from mmotion import __version__
from mmotion.checkpoint import load_checkpoint_file, load_weights, save_checkpoint_file
from mmotion.config import load_config
from mmotion.registry import MODELS
from tests.command_lines import run


@pytest.fixture
def trained(tmp_path):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8))
    path = tmp_path / 'epoch_3.pth'
    meta = {'epoch': 3, 'dataset_meta': {'classes': ('up', 'down')}}
    content = {'state_dict': model.state_dict(), 'optimizer': {'step': 7}, 'meta': meta}
    save_checkpoint_file(content, path)
    return model, path


@pytest.mark.parametrize('half', [False, True], ids=['float32', 'half'])
def test_published_weights_load_into_the_model(trained, tmp_path, capsys, half):
    model, source = trained
    target = tmp_path / 'small.pth'
    code, out, _ = run(capsys, 'publish', source, target, *(['--half'] if half else []))
    assert code == 0
    published = load_checkpoint_file(target)
    assert list(published) == ['meta', 'state_dict']
    # a prediction names classes by it
    assert published['meta'] == {
        'mmotion_version': __version__,
        'dataset_meta': {'classes': ('up', 'down')},
    }
    digest = Path(f'{target}.sha256').read_text()
    assert digest.split()[0] in out
    assert subprocess.run(['sha256sum', '-c', f'{target}.sha256'], cwd=tmp_path).returncode == 0
    other = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8))
    load_weights(other, target)
    for name, tensor in model.state_dict().items():
        loaded = other.state_dict()[name]
        assert loaded.dtype == tensor.dtype
        # half precision has 11 bits, and only matrices are rounded to it
        tolerance = 2**-11 if half and tensor.ndim > 1 else 0
        torch.testing.assert_close(loaded, tensor, rtol=tolerance, atol=0)


def test_a_file_without_weights_is_refused(tmp_path, capsys):
    (tmp_path / 'text.pth').write_text('text')
    code, _, error = run(capsys, 'publish', tmp_path / 'text.pth', tmp_path / 'small.pth')
    assert code == 2
    assert 'got a text file' in error
    assert not (tmp_path / 'small.pth').exists()


def test_a_folder_needs_the_config(trained, tmp_path, capsys):
    code, _, error = run(capsys, 'publish', trained[1], tmp_path / 'model')
    assert code == 2
    assert '--config must be given to publish a folder' in error


def test_a_folder_to_hand_on(tmp_path, capsys):
    model = MODELS.build(load_config('pose_lstm_shapes').model)
    save_checkpoint_file({'state_dict': model.state_dict()}, tmp_path / 'a.pth')
    target = tmp_path / 'model'
    code, out, _ = run(
        capsys, 'publish', tmp_path / 'a.pth', target, '--config', 'pose_lstm_shapes'
    )
    assert code == 0
    assert (target / 'SHA256SUMS').read_text() in out
    assert subprocess.run(['sha256sum', '-c', 'SHA256SUMS'], cwd=target).returncode == 0
