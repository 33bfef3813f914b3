from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from mmotion.checkpoint import CheckpointError, save_checkpoint_file
from mmotion.inference import find_class_names, load_model


def test_load_model_loads_weights_in_eval_mode(config, tmp_path):
    path = tmp_path / 'weights.pth'
    save_checkpoint_file({'state_dict': {'weight': torch.full((1,), 5.0)}}, path)
    predictor = load_model(config, path, device='cpu')
    assert predictor.model.weight.item() == 5
    assert not predictor.model.training
    assert predictor.device == 'cpu' and predictor.config is config


def test_load_model_keeps_what_the_checkpoint_says_of_its_data(config, tmp_path):
    path = tmp_path / 'weights.pth'
    meta = {'dataset_meta': {'classes': ['sit', 'walk']}}
    save_checkpoint_file({'state_dict': {'weight': torch.zeros(1)}, 'meta': meta}, path)
    assert load_model(config, path).model.dataset_meta == {'classes': ['sit', 'walk']}


@pytest.mark.parametrize(
    'meta',
    [3, 'trained by X', [1], {'dataset_meta': 3}, {'dataset_meta': {'classes': 5}}, {1: 2}],
    ids=str,
)
def test_notes_of_another_program_do_not_stop_a_checkpoint(config, tmp_path, meta):
    weights = load_model(config, 'random').model.state_dict()
    save_checkpoint_file({'state_dict': weights, 'meta': meta}, tmp_path / 'c.pth')
    model = load_model(config, tmp_path / 'c.pth').model
    assert find_class_names(config, model, 2) == ('0', '1')


def test_no_weights_are_refused_and_random_ones_are_asked_for_by_name(config):
    with pytest.raises(CheckpointError, match='no weights ship with this config; give the file'):
        load_model(config, device='cpu')
    assert load_model(config, 'random', device='cpu').model.dataset_meta == {}


def test_load_model_by_the_name_of_a_bundled_config():
    assert (
        type(load_model('repnet_shapes', 'random', device='cpu')).__name__ == 'RepetitionPredictor'
    )


def test_load_model_takes_a_gpu_if_there_is_one(config):
    expected = 'cuda' if torch.cuda.is_available() else 'cpu'
    assert load_model(config, 'random').device == expected


def test_load_model_without_a_predictor(config):
    config.pop('predictor')
    with pytest.raises(ValueError, match='config must have the key predictor, got none'):
        load_model(config)


def test_load_model_without_a_test_pipeline(config):
    config.pop('test_pipeline')
    with pytest.raises(ValueError, match='config must have a test_pipeline'):
        load_model(config, 'random', device='cpu')


@pytest.mark.parametrize('device', ['gpu', 'cuda:99'])
def test_load_model_on_a_device_that_is_not_there(config, device):
    with pytest.raises(ValueError, match=f"device must be 'cpu' or a GPU, got device='{device}'"):
        load_model(config, 'random', device=device)


def test_load_model_of_a_config_that_is_not_there():
    with pytest.raises(FileNotFoundError, match='repnet_shapes'):
        load_model('repnet_shape')


@pytest.mark.parametrize(
    ('meta', 'dataset', 'names'),
    [
        pytest.param({'classes': ['a', 'b']}, {'classes': ['c', 'd']}, ('a', 'b'), id='checkpoint'),
        pytest.param({'classes': ['a']}, {'classes': ['c', 'd']}, ('c', 'd'), id='test set'),
        pytest.param({}, {'metainfo': {'classes': ('e', 'f')}}, ('e', 'f'), id='metainfo'),
        pytest.param({}, {'classes': 'names.txt'}, ('sit', 'walk'), id='file'),
        pytest.param({}, {'classes': 'none.txt'}, ('0', '1'), id='file that is not there'),
        pytest.param(None, {}, ('0', '1'), id='numbers'),
    ],
)
def test_class_names_are_found(tmp_path, monkeypatch, meta, dataset, names):
    monkeypatch.chdir(tmp_path)
    Path('names.txt').write_text('sit\nwalk\n')
    model = torch.nn.Identity()
    model.dataset_meta = meta
    config = Config({'test_dataloader': {'dataset': dataset}})
    assert find_class_names(config, model, 2) == names
