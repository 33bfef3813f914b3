import contextlib
import io
import os
import tarfile
import zipfile

import pytest
import torch

from mmotion.checkpoint.files import (
    CheckpointError,
    check_checkpoint_file,
    check_checksums,
    find_last_checkpoint,
    list_globals,
)

WEIGHTS = {'state_dict': {'weight': torch.arange(10000.0)}}


def make_truncated(path):
    torch.save(WEIGHTS, path)
    path.write_bytes(path.read_bytes()[:20000])


def make_tar(path):
    with tarfile.open(path, 'w') as archive:
        archive.addfile(tarfile.TarInfo('storages'), io.BytesIO(b''))


def make_zip(path, name='notes/readme.txt'):
    with zipfile.ZipFile(path, 'w') as archive:
        archive.writestr(name, 'hello')


BAD_FILES = [
    pytest.param(lambda p: None, 'must be an existing file, got .*bad.pth', id='missing'),
    pytest.param(lambda p: p.mkdir(), 'must be a file, got the folder .*no .pth file', id='folder'),
    pytest.param(lambda p: p.touch(), 'must not be empty, got .* with 0 bytes', id='empty'),
    pytest.param(lambda p: p.write_text('a,b\n1,2\n'), 'got a text file', id='text'),
    pytest.param(
        lambda p: p.write_text('<!DOCTYPE html><p>Not found</p>'), 'got a web page', id='html'
    ),
    pytest.param(
        lambda p: p.write_text('version https://git-lfs.github.com/spec/v1\noid sha256:1\n'),
        'got a Git LFS pointer: .*git lfs pull',
        id='lfs',
    ),
    pytest.param(make_truncated, 'must be whole, got the truncated', id='truncated'),
    pytest.param(make_tar, 'got a tar archive, which cannot be read safely', id='tar'),
    pytest.param(make_zip, 'got another kind of zip file', id='zip'),
    pytest.param(
        lambda p: make_zip(p, 'model/constants.pkl'), 'got a TorchScript archive', id='torchscript'
    ),
]


@pytest.mark.parametrize(('make', 'message'), BAD_FILES)
def test_a_file_that_is_no_checkpoint_is_refused(tmp_path, make, message):
    path = tmp_path / 'bad.pth'
    make(path)
    with pytest.raises(CheckpointError, match=message):
        check_checkpoint_file(path)


def test_a_missing_file_is_answered_with_its_neighbors(tmp_path):
    torch.save(WEIGHTS, tmp_path / 'epoch_12.pth')
    with pytest.raises(CheckpointError, match=r'did you mean epoch_12\.pth\?'):
        check_checkpoint_file(tmp_path / 'epoch_21.pth')


@pytest.mark.parametrize('zipped', [True, False], ids=['zip', 'before torch 1.6'])
def test_a_checkpoint_passes(tmp_path, zipped):
    path = tmp_path / 'good.pth'
    torch.save(WEIGHTS, path, _use_new_zipfile_serialization=zipped)
    assert check_checkpoint_file(str(path)) == path
    check_checksums(path)


def test_a_flipped_bit_is_found(tmp_path):
    path = tmp_path / 'damaged.pth'
    torch.save(WEIGHTS, path)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r'got a wrong checksum of .*data'):
        check_checksums(path)


class Touch:
    """Runs code when it is unpickled by `pickle.load`."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize('zipped', [True, False], ids=['zip', 'before torch 1.6'])
def test_globals_are_listed_without_running_anything(tmp_path, zipped):
    trap = tmp_path / 'trap'
    checkpoint = dict(WEIGHTS, trap=Touch(trap), get=getattr)
    torch.save(checkpoint, tmp_path / 'c.pth', _use_new_zipfile_serialization=zipped)
    found = set(list_globals(tmp_path / 'c.pth').values())
    assert found >= {'posix.mkdir', 'builtins.getattr', 'torch._utils._rebuild_tensor_v2'}
    assert not trap.exists()


def test_the_last_checkpoint_is_found(tmp_path):
    assert find_last_checkpoint(tmp_path) is None
    for age, name in enumerate(
        ['epoch_10.pth', 'epoch_9.pth', '.epoch_11.partial.pth', 'best.pth']
    ):
        (tmp_path / name).write_bytes(b'x')
        os.utime(tmp_path / name, (1000 - age, 1000 - age))
    # no note, an empty note, a note from before the folder was moved, a note as mmengine writes it
    assert find_last_checkpoint(tmp_path).name == 'epoch_10.pth'
    note = tmp_path / 'last_checkpoint'
    note.write_text('')
    assert find_last_checkpoint(tmp_path).name == 'epoch_10.pth'
    note.write_text('/elsewhere/epoch_9.pth')
    assert find_last_checkpoint(tmp_path) == tmp_path / 'epoch_9.pth'
    note.write_text(str(tmp_path / 'best.pth'))
    assert find_last_checkpoint(tmp_path) == tmp_path / 'best.pth'


def test_a_zip_directory_that_is_damaged_is_named(tmp_path):
    """Each byte of the directory at the end, which Python's zipfile reads first."""
    path = tmp_path / 'c.pth'
    torch.save({'w': torch.zeros(1)}, path)
    content = path.read_bytes()
    for place in range(len(content) - 120, len(content)):
        broken = bytearray(content)
        broken[place] ^= 0xE0
        path.write_bytes(broken)
        with contextlib.suppress(CheckpointError):
            check_checkpoint_file(path)
            check_checksums(path)
