import argparse
import contextlib
import math
import os
import pathlib
import subprocess
import time
import zipfile
from collections import defaultdict

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer
from safetensors.torch import save_file
from torch import nn

from mmotion.checkpoint import (
    find_state_dict,
    load_checkpoint_file,
    load_state_dict,
    load_weights,
    save_checkpoint_file,
    save_safetensors,
)
from mmotion.checkpoint.files import CheckpointError


class Trap:
    """Calls a function when it is unpickled by `pickle.load`."""

    def __init__(self, function, *args):
        self.call = function, args

    def __reduce__(self):
        return self.call


def make_history():
    history = HistoryBuffer()
    history.update(1.5)
    return history


@pytest.fixture
def weights():
    return nn.Linear(3, 2).state_dict()


@pytest.fixture
def logged(monkeypatch):
    messages = []
    monkeypatch.setattr(
        'mmotion.checkpoint.weights.print_log', lambda text, **_: messages.append(text)
    )
    return messages


def save(path, content, zipped=True):
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    return path


@pytest.mark.parametrize('zipped', [True, False], ids=['zip', 'before torch 1.6'])
def test_a_checkpoint_of_mmengine_loads_without_its_objects(tmp_path, weights, zipped):
    foreign = {
        'meta': {'epoch': 3, 'args': argparse.Namespace(lr=0.1), 'best': np.float64(0.5)},
        'message_hub': {'log_scalars': {'loss': make_history()}},
        'state_dict': weights,
        'folder': pathlib.PurePosixPath('a'),
    }
    checkpoint = load_checkpoint_file(save(tmp_path / 'c.pth', foreign, zipped))
    assert checkpoint['meta'] == {'epoch': 3, 'args': None, 'best': None}
    assert checkpoint['message_hub']['log_scalars']['loss'] is None
    assert torch.equal(checkpoint['state_dict']['weight'], weights['weight'])


def test_what_is_left_out_is_named(tmp_path, weights, logged):
    save(tmp_path / 'named.pth', {'state_dict': weights, 'args': argparse.Namespace()})
    load_checkpoint_file(tmp_path / 'named.pth')
    assert 'args (argparse.Namespace)' in logged[0]


@pytest.mark.parametrize('zipped', [True, False], ids=['zip', 'before torch 1.6'])
@pytest.mark.parametrize(
    'make_trap',
    [
        pytest.param(lambda path: Trap(os.system, f'touch {path}'), id='os.system'),
        pytest.param(lambda path: Trap(eval, f'open({str(path)!r}, "w")'), id='eval'),
        pytest.param(lambda path: Trap(exec, f'open({str(path)!r}, "w")'), id='exec'),
        pytest.param(lambda path: Trap(subprocess.Popen, ['touch', str(path)]), id='Popen'),
        pytest.param(lambda path: Trap(pathlib.Path.touch, path), id='method by getattr'),
        pytest.param(lambda path: Trap(torch.save, 1, str(path)), id='torch.save'),
    ],
)
def test_a_malicious_checkpoint_does_not_run(tmp_path, weights, make_trap, zipped):
    bait = tmp_path / 'ran'
    path = save(tmp_path / 'c.pth', {'state_dict': weights, 'trap': make_trap(bait)}, zipped)
    # the trap works
    torch.load(path, weights_only=False)
    deadline = time.monotonic() + 10
    while not bait.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    bait.unlink()

    # it is refused, or read without the trap
    try:
        assert load_checkpoint_file(path)['trap'] is None
    except CheckpointError as error:
        assert 'is not read, as that could run its code' in str(error)
    assert not bait.exists()


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        pytest.param(nn.Linear(3, 2), r'got torch\.nn\.modules\.linear\.Linear in', id='module'),
        pytest.param([1, 2], r'must hold a dict of tensors, got builtins\.list', id='list'),
        pytest.param(
            {'state_dict': {'weight': Trap(eval, '1')}},
            r'got builtins\.eval at state_dict\.weight',
            id='weights behind a class',
        ),
        pytest.param(
            {'state_dict': {}, 'trap': Trap(os.system, 'true')},
            r'which needs posix\.system and is not read, as that could run its code',
            id='system call',
        ),
        pytest.param(
            {'counts': defaultdict(int, a=1)},
            # older versions of torch get further and stumble over the stand-in
            r'which needs builtins\.int, collections\.defaultdict|which torch cannot read',
            id='filled by its class',
        ),
    ],
)
def test_a_checkpoint_that_cannot_be_read_safely_is_refused(tmp_path, content, message):
    with pytest.raises(CheckpointError, match=message):
        load_checkpoint_file(save(tmp_path / 'c.pth', content))


def test_a_binary_file_is_refused(tmp_path):
    (tmp_path / 'c.pth').write_bytes(bytes(range(256)) * 8)
    with pytest.raises(CheckpointError, match='which torch cannot read'):
        load_checkpoint_file(tmp_path / 'c.pth')


def test_classes_that_the_user_trusts_are_kept(tmp_path, weights):
    path = save(tmp_path / 'c.pth', {'state_dict': weights, 'args': argparse.Namespace(lr=0.1)})
    known = torch.serialization.get_safe_globals()
    torch.serialization.add_safe_globals([argparse.Namespace])
    try:
        assert load_checkpoint_file(path)['args'].lr == 0.1
    finally:
        torch.serialization.clear_safe_globals()
        torch.serialization.add_safe_globals(known)


def test_the_classes_that_torch_trusts_stay_the_same(tmp_path, weights):
    before = set(torch.serialization.get_safe_globals())
    path = save(tmp_path / 'c.pth', {'state_dict': weights, 'args': argparse.Namespace(lr=0.1)})
    load_checkpoint_file(path)
    assert set(torch.serialization.get_safe_globals()) == before


def test_safetensors_load(tmp_path, weights):
    save_file(dict(weights), tmp_path / 'w.safetensors')
    model = nn.Linear(3, 2)
    load_weights(model, tmp_path / 'w.safetensors')
    assert torch.equal(model.weight, weights['weight'])
    (tmp_path / 'w.safetensors').write_bytes(b'not safetensors')
    with pytest.raises(CheckpointError, match='must be a safetensors file'):
        load_checkpoint_file(tmp_path / 'w.safetensors')


@pytest.mark.parametrize(
    'wrap',
    [
        pytest.param(lambda w: w, id='bare'),
        pytest.param(lambda w: {'state_dict': w, 'epoch': 1}, id='OpenMMLab'),
        pytest.param(lambda w: {'model_state': w}, id='TimeSformer'),
        pytest.param(lambda w: {'state_dict': {f'module.{k}': v for k, v in w.items()}}, id='DDP'),
        pytest.param(lambda w: {f'_orig_mod.{k}': v for k, v in w.items()}, id='compiled'),
    ],
)
def test_weights_are_found_wherever_they_are(tmp_path, weights, wrap):
    model = nn.Linear(3, 2)
    load_weights(model, save(tmp_path / 'c.pth', wrap(weights)))
    assert torch.equal(model.weight, weights['weight'])


def test_a_part_of_a_model_is_loaded_by_its_prefix(tmp_path, weights):
    whole = {f'backbone.{k}': v for k, v in weights.items()} | {'head.bias': torch.zeros(1)}
    path = save(tmp_path / 'c.pth', {'state_dict': whole})
    model = nn.Linear(3, 2)
    load_weights(model, path, prefix='backbone.')
    assert torch.equal(model.weight, weights['weight'])
    with pytest.raises(CheckpointError, match=r'names that start with backbone, head in'):
        load_weights(model, path, prefix='neck.')


def test_no_weights_at_all():
    with pytest.raises(CheckpointError, match=r'got the keys epoch, meta in x\.pth'):
        find_state_dict({'epoch': 1, 'meta': {}}, source='x.pth')


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        pytest.param({'bias': None}, r'1 of 2 tensors fit Linear \(missing: bias\)', id='missing'),
        pytest.param({'scale': torch.ones(1)}, r'unexpected: scale', id='unexpected'),
        pytest.param(
            {'bias': torch.ones(5)},
            r'of another shape: bias \(5,\) where the model has \(2,\)',
            id='shape',
        ),
    ],
)
def test_weights_of_another_model_are_refused(weights, change, message):
    model = nn.Linear(3, 2)
    before = model.weight.clone()
    other = {k: v for k, v in {**weights, **change}.items() if v is not None}
    with pytest.raises(CheckpointError, match=message):
        load_state_dict(model, other, source='x.pth')
    assert torch.equal(model.weight, before)


def test_fine_tuning_leaves_out_what_does_not_fit_but_not_most_of_it(weights, logged):
    model = nn.Linear(3, 2)
    load_state_dict(model, {**weights, 'bias': torch.ones(5)}, source='a.pth', strict=False)
    assert torch.equal(model.weight, weights['weight'])
    assert '1 of 2 tensors fit Linear (of another shape: bias' in logged[0]
    with pytest.raises(CheckpointError, match='0 of 2 tensors fit'):
        load_state_dict(model, {'unrelated': torch.ones(5)}, source='b.pth', strict=False)


def test_a_module_may_fit_weights_of_other_shapes_to_its_own():
    class Halved(nn.Linear):
        def fit_weights(self, state_dict, prefix):
            return {**state_dict, f'{prefix}bias': state_dict[f'{prefix}bias'][::2]}

    model = nn.Sequential(nn.ReLU(), Halved(3, 2))
    weights = {'1.weight': torch.ones(2, 3), '1.bias': torch.arange(4.0)}
    load_state_dict(model, weights, source='x.pth')
    assert torch.equal(model[1].bias, torch.tensor([0.0, 2.0]))
    assert len(weights['1.bias']) == 4


def test_what_is_saved_loads_with_weights_only(tmp_path, weights):
    content = {
        'state_dict': weights,
        'loss': make_history(),
        'best': np.float64(0.5),
        'optimizer': torch.optim.AdamW(nn.Linear(3, 2).parameters()).state_dict(),
    }
    save_checkpoint_file(content, tmp_path / 'c.pth')
    raw = torch.load(tmp_path / 'c.pth', weights_only=True)
    assert raw['best'] == 0.5
    restored = load_checkpoint_file(tmp_path / 'c.pth')
    assert restored['loss'].mean() == 1.5
    assert torch.equal(restored['state_dict']['weight'], weights['weight'])


@pytest.mark.parametrize('suffix', ['.pth', '.safetensors'])
@pytest.mark.parametrize('value', [math.nan, math.inf, -math.inf])
def test_weights_that_are_not_finite_are_refused(tmp_path, value, suffix):
    weights = {'fc.weight': torch.ones(2, 3), 'fc.bias': torch.tensor([1.0, value])}
    path = tmp_path / f'diverged{suffix}'
    save_file(weights, path) if suffix == '.safetensors' else torch.save(weights, path)
    message = rf'got NaN or infinity in 1 of 2 tensors \(fc.bias\) of {path}; take an earlier one'
    with pytest.raises(CheckpointError, match=message):
        load_checkpoint_file(path)


CYCLE: dict = {'weight': torch.ones(2)}
CYCLE['self'] = CYCLE


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        pytest.param({'w': torch.eye(3).to_sparse()}, 'got w, which is sparse, in', id='sparse'),
        pytest.param({'w': torch.eye(3, device='meta')}, 'device meta, without values', id='meta'),
        pytest.param(
            {'w': torch.quantize_per_tensor(torch.eye(3), 0.1, 0, torch.qint8)},
            'got w, which is quantized, in',
            id='quantized',
        ),
        pytest.param({'w': torch.eye(3) * 1j}, 'got w, which is complex, in', id='complex'),
        pytest.param({'state_dict': {3: torch.eye(3)}}, 'got the key 3, of', id='integer key'),
        pytest.param({(1, 'a'): torch.eye(3)}, r"got the key \(1, 'a'\), of", id='tuple as key'),
        pytest.param(CYCLE, 'got dicts or lists in one another without end', id='cycle'),
    ],
)
@pytest.mark.filterwarnings('ignore')
def test_weights_that_no_model_can_take_are_named(tmp_path, content, message):
    with pytest.raises(CheckpointError, match=message):
        load_weights(nn.Linear(3, 3, bias=False), save(tmp_path / 'c.pth', content))


def test_weights_of_eight_bits_are_read(tmp_path):
    model = nn.Linear(3, 3, bias=False)
    weights = {'weight': torch.eye(3).to(torch.float8_e4m3fn)}
    load_weights(model, save(tmp_path / 'c.pth', weights))
    assert torch.equal(model.weight, torch.eye(3))


def test_a_damaged_pickle_is_a_checkpoint_error_whatever_torch_makes_of_it(tmp_path, weights):
    content = save(tmp_path / 'whole.pth', {'state_dict': weights}, zipped=False).read_bytes()
    damaged = [content[:length] for length in range(1, len(content), 29)]
    for place in range(0, len(content), 7):
        flipped = bytearray(content)
        flipped[place] ^= 4
        damaged.append(bytes(flipped))
    refused = 0
    for file in damaged:
        (tmp_path / 'c.pth').write_bytes(file)
        # nothing else may come up; a flip in a number is not seen, as this format has no checksums
        with contextlib.suppress(CheckpointError):
            load_checkpoint_file(tmp_path / 'c.pth')
            refused -= 1
        refused += 1
    assert refused > len(damaged) / 2


@pytest.mark.parametrize('length', [0, 1, 40, -1])
def test_a_truncated_pickle_in_a_whole_archive_is_refused(tmp_path, weights, length):
    whole = save(tmp_path / 'whole.pth', {'state_dict': weights})
    with (
        zipfile.ZipFile(whole) as source,
        zipfile.ZipFile(tmp_path / 'c.pth', 'w') as target,
    ):
        for name in source.namelist():
            content = source.read(name)
            target.writestr(name, content[:length] if name.endswith('/data.pkl') else content)
    with pytest.raises(CheckpointError, match=r'which torch cannot read'):
        load_checkpoint_file(tmp_path / 'c.pth')


def test_a_mask_of_minus_infinity_is_no_broken_weight(tmp_path):
    mask = torch.full((3, 3), -math.inf).triu(1)
    torch.save({'mask': mask}, tmp_path / 'a.pth')
    assert torch.equal(load_checkpoint_file(tmp_path / 'a.pth')['mask'], mask)


def test_a_safetensors_file_tells_what_is_known_of_its_weights(tmp_path):
    shared = torch.arange(6.0)
    # neither the order of the axes nor shared memory is kept by the format
    weights = {'a': shared.view(2, 3).t(), 'b': shared}
    meta = {'licence': 'MIT', 'dataset_meta': {'classes': ['run', 'jump']}}
    save_safetensors(weights, tmp_path / 'w.safetensors', meta)
    loaded = load_checkpoint_file(tmp_path / 'w.safetensors')
    assert loaded['meta'] == meta
    assert loaded['state_dict']['a'].tolist() == [[0, 3], [1, 4], [2, 5]]
    assert torch.equal(loaded['state_dict']['b'], shared)
