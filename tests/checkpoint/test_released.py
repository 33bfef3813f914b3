"""Released weights: the table, and how its files come, are checked, converted and kept."""

import dataclasses
import hashlib
import io
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from mmotion.checkpoint import (
    CheckpointError,
    find_weights,
    load_checkpoint_file,
    load_image_weights,
    released,
    save_checkpoint_file,
)
from mmotion.checkpoint.released import (
    ReleasedWeights,
    describe_weights,
    fetch_if_released,
    fetch_released,
    find_home,
    find_released,
    match_by_position,
    read_table,
)
from mmotion.config import load_config
from mmotion.paths import find_root
from tests.hub_server import COMMIT


@pytest.fixture
def shipped(tmp_path, monkeypatch):
    """A root with weights that ship with a config."""
    monkeypatch.setattr('mmotion.checkpoint.released.find_root', lambda: tmp_path)
    path = tmp_path / 'small.pth'
    torch.save({'state_dict': {'fc.weight': torch.ones(2, 3)}}, path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    Path(f'{path}.sha256').write_text(f'{digest}  small.pth\n')
    return path


def test_shipped_weights_are_found_unless_others_are_given(shipped):
    config = {'shipped_weights': 'small.pth'}
    assert find_weights(config) == shipped
    assert find_weights(config, 'mine.pth') == 'mine.pth'
    assert find_weights(config, 'random') is None
    with pytest.raises(CheckpointError, match='a name of "mmotion models", or'):
        find_weights({})


@pytest.mark.parametrize('damage', ['changed', 'without its sum', 'gone'])
def test_shipped_weights_that_are_not_what_they_were(shipped, damage):
    if damage == 'changed':
        shipped.write_bytes(shipped.read_bytes() + b'.')
    elif damage == 'gone':
        shipped.unlink()
    else:
        Path(f'{shipped}.sha256').unlink()
    with pytest.raises(CheckpointError, match=r'got .*small\.pth'):
        find_weights({'shipped_weights': 'small.pth'})


ENTRIES = list(read_table().values())
each_entry = pytest.mark.parametrize('entry', ENTRIES, ids=lambda entry: entry.name)


@each_entry
def test_an_entry_says_where_the_file_is_and_what_it_may_be_used_for(entry):
    assert entry.sources
    for source in entry.sources:
        assert re.match(r'https://|hf:[^/@]+/[^/@]+@\w+/\w|pypi:[\w-]+==[\d.]+/\w', source)
    # what can change at its source is pinned by its hash
    assert (
        entry.sha256
        or entry.name in ('timesformer_l_k400', 'slowfast_r50_k400')
        or (re.search(r'@[0-9a-f]{40}/', entry.sources[0]))
    )
    assert re.fullmatch(r'([0-9a-f]{8}|[0-9a-f]{64})?', entry.sha256)
    assert entry.commercial is (False if 'NC' in entry.licence else entry.commercial)
    assert (entry.commercial is None) == (entry.licence == 'none stated')
    assert 1 < entry.size_mb < 1000
    assert entry.citation and entry.tried and entry.answers


@each_entry
def test_an_entry_names_configs_that_are_there(entry):
    for name in entry.configs:
        assert (find_root() / 'configs' / f'{name}.py').is_file()


def test_what_configs_name_is_in_the_table_and_the_other_way_round():
    named = {}
    for file in (find_root() / 'configs').glob('*.py'):
        if 'released_weights' in file.read_text():
            named[file.stem] = load_config(file).get('released_weights')
    named = {config: name for config, name in named.items() if name}
    assert len(named) >= 6
    for config, name in named.items():
        assert config in find_released(name).configs


@pytest.fixture
def toy(hub, monkeypatch):
    """An entry for a file on the hub whose weights become those of a TimeSformer."""
    entry = ReleasedWeights(
        name='toy',
        system='timesformer',
        answers='two classes',
        sources=[f'hf:me/toy@{COMMIT}/model.bin'],
        size_mb=1,
        licence='CC-BY-NC-4.0',
        commercial=False,
        citation='nobody',
        tried='here',
        convert='toy',
        classes='config.json',
    )
    monkeypatch.setattr(released, 'read_table', lambda: {'toy': entry})
    monkeypatch.setattr(released, '_convert', lambda how, state: {f'{how}.w': state['w']})
    labels = {'id2label': {'1': 'jump', '0': 'run'}}
    hub.files['me/toy/config.json'] = json.dumps(labels).encode()
    hub.files['me/toy/model.bin'] = _saved({'w': torch.arange(3.0)})
    return entry


def _saved(content):
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


def test_weights_are_fetched_converted_and_kept_with_what_is_known(toy, hub, tmp_path):
    path = fetch_released('toy')
    assert path == tmp_path / 'home' / 'weights' / 'toy.safetensors'
    loaded = load_checkpoint_file(path)
    assert loaded['state_dict']['toy.w'].tolist() == [0, 1, 2]
    assert loaded['meta']['dataset_meta'] == {'classes': ['run', 'jump']}
    assert loaded['meta']['licence'] == 'CC-BY-NC-4.0'
    # the second time without the network, even on a machine that has nothing else
    asked = len(hub.requests)
    assert fetch_if_released('toy') == path
    assert len(hub.requests) == asked


def test_a_config_and_a_user_name_weights(toy, tmp_path):
    path = tmp_path / 'home' / 'weights' / 'toy.safetensors'
    assert find_weights({'released_weights': 'toy'}) == path
    assert find_weights({'released_weights': 'toy'}, 'mine.pth') == 'mine.pth'
    assert find_weights({}, 'toy') == path
    assert find_weights({'released_weights': 'toy'}, 'random') is None


def test_image_weights_come_by_name_or_from_a_file(toy, monkeypatch, tmp_path):
    network = torch.nn.Linear(2, 1)
    monkeypatch.setattr('timm.create_model', lambda name, pretrained: network)
    torch.testing.assert_close(load_image_weights('resnet18'), dict(network.state_dict()))
    assert load_image_weights('toy')['toy.w'].tolist() == [0, 1, 2]
    save_checkpoint_file({'state_dict': network.state_dict()}, tmp_path / 'image.pth')
    loaded = load_image_weights(str(tmp_path / 'image.pth'))
    torch.testing.assert_close(loaded, dict(network.state_dict()))


def test_image_weights_that_cannot_be_fetched_are_named(monkeypatch):
    def fail(*args, **kwargs):
        raise OSError('no network')

    monkeypatch.setattr('timm.create_model', fail)
    with pytest.raises(CheckpointError, match=r'got resnet18 \(no network\); fetch them'):
        load_image_weights('resnet18')


def test_a_result_says_which_weights_and_under_which_licence():
    config = {'released_weights': 'timesformer_base_k400'}
    licence = {'licence': 'CC-BY-NC-4.0'}
    assert describe_weights(config) == {'checkpoint': 'timesformer_base_k400'} | licence
    assert describe_weights(config, 'mine.pth') == {'checkpoint': 'mine.pth'}
    assert describe_weights({'shipped_weights': 'a.pth'}) == {'checkpoint': 'a.pth'}
    assert describe_weights({}) == {'checkpoint': None}


def test_a_licence_that_forbids_commercial_use_is_said_once(toy, caplog, monkeypatch):
    said = []
    monkeypatch.setattr(released, 'print_log', lambda text, *args: said.append(text))
    released._warn_of_licence.cache_clear()
    fetch_released('toy')
    fetch_released('toy')
    assert said == ['toy: licence CC-BY-NC-4.0, which does not allow commercial use']


def test_another_file_than_the_one_that_is_known_is_refused(toy, hub, monkeypatch, tmp_path):
    entry = dataclasses.replace(toy, sha256='0' * 64)
    monkeypatch.setattr(released, 'read_table', lambda: {'toy': entry})
    with pytest.raises(CheckpointError, match=r'must be the file with the SHA-256 0{64}, got'):
        fetch_released('toy')
    assert not (tmp_path / 'home' / 'weights' / 'toy.safetensors').exists()


def test_what_was_kept_is_checked_each_time(toy):
    path = fetch_released('toy')
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=f'{path} must be the file with the SHA-256'):
        fetch_released('toy')


def test_without_a_network_there_are_three_ways(toy, monkeypatch):
    monkeypatch.setattr('mmotion.checkpoint.downloads.answers', lambda url: False)
    with pytest.raises(CheckpointError) as caught:
        fetch_released('toy')
    text = str(caught.value)
    assert 'toy must be on this machine or within reach' in text
    assert '1. with a network: mmotion download toy' in text
    assert '2. on another machine the same, then copy' in text
    assert f'3. by hand: download https://huggingface.co/me/toy/resolve/{COMMIT}/model.bin' in text


def test_a_file_that_came_by_other_means(toy, hub, tmp_path, monkeypatch):
    monkeypatch.setattr('mmotion.checkpoint.downloads.answers', lambda url: False)
    folder = tmp_path / 'stick'
    folder.mkdir()
    (folder / 'model.bin').write_bytes(hub.files['me/toy/model.bin'])
    (folder / 'config.json').write_bytes(hub.files['me/toy/config.json'])
    path = fetch_released('toy', folder / 'model.bin')
    assert load_checkpoint_file(path)['meta']['dataset_meta'] == {'classes': ['run', 'jump']}
    assert fetch_released('toy') == path
    assert not hub.requests


def test_the_next_source_is_asked_where_one_fails(toy, hub, monkeypatch):
    sources = [f'{hub.url}/gone.bin', *toy.sources]
    entry = dataclasses.replace(toy, sources=sources, classes='')
    monkeypatch.setattr(released, 'read_table', lambda: {'toy': entry})
    assert fetch_released('toy').is_file()


def test_a_file_that_needs_no_conversion_stays_where_it_came_to(toy, hub, monkeypatch, tmp_path):
    entry = dataclasses.replace(toy, convert='', classes='')
    monkeypatch.setattr(released, 'read_table', lambda: {'toy': entry})
    path = fetch_released('toy')
    assert path.is_relative_to(tmp_path / 'hub')
    assert entry.find() == path


@pytest.mark.parametrize('error', [OSError(28, 'No space left on device'), PermissionError(13)])
def test_a_cache_that_cannot_be_written_to_is_named(toy, monkeypatch, tmp_path, error):
    def fail(*args):
        raise error

    monkeypatch.setattr(released, 'save_safetensors', fail)
    folder = tmp_path / 'home' / 'weights'
    message = rf'a folder with room for 1 MB, got {folder} \(.*set MMOTION_HOME to another'
    with pytest.raises(CheckpointError, match=message):
        fetch_released('toy')


PROGRAM = """
import dataclasses, sys
import huggingface_hub.constants as constants
from mmotion.checkpoint import released

entry = released.ReleasedWeights(
    name='toy', system='toy', answers='', sources=[sys.argv[1]], size_mb=1, licence='MIT',
    commercial=True, citation='', tried='', convert='toy')
released.read_table = lambda: {'toy': entry}
released._convert = lambda how, state: state
print(released.fetch_released('toy'))
"""


def test_two_processes_that_ask_at_once_download_once(toy, hub):
    hub.faults['me/toy/model.bin'] = ['slow']
    processes = [
        subprocess.Popen([sys.executable, '-c', PROGRAM, toy.sources[0]], stdout=subprocess.PIPE)
        for _ in range(2)
    ]
    paths = {process.communicate(timeout=120)[0] for process in processes}
    assert len(paths) == 1
    assert [process.returncode for process in processes] == [0, 0]
    assert hub.downloads('me/toy/model.bin') == ['']


def test_home_is_where_the_user_wants_it(monkeypatch, tmp_path):
    monkeypatch.delenv('MMOTION_HOME', raising=False)
    monkeypatch.delenv('XDG_CACHE_HOME', raising=False)
    assert find_home() == Path.home() / '.cache' / 'mmotion'
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
    assert find_home() == tmp_path / 'mmotion'
    monkeypatch.setenv('MMOTION_HOME', str(tmp_path / 'own'))
    assert find_home() == tmp_path / 'own'


def test_a_name_that_is_not_in_the_table():
    with pytest.raises(CheckpointError, match='did you mean timesformer_base_k400'):
        find_released('timesformer_base_k40')
    assert fetch_if_released('some/file.pth') == 'some/file.pth'


def test_weights_take_the_names_of_the_same_model_elsewhere():
    import timm

    model = timm.create_model('test_vit', pretrained=False)
    state = {f'old.{name}': value for name, value in model.state_dict().items()}
    matched = match_by_position(state, 'test_vit')
    assert all(torch.equal(matched[name], value) for name, value in model.state_dict().items())
    state.popitem()
    with pytest.raises(CheckpointError, match=r'must hold the \d+ tensors of test_vit in their'):
        match_by_position(state, 'test_vit')
