import argparse
import pickle

import pytest

from mmotion.cli import opened_model
from mmotion.cli.opened_model import open_model, set_predictor_options
from mmotion.inference.exported import Settings
from tests.command_lines import TOY


def make_args(config=TOY, **given):
    names = ('cfg_options', 'checkpoint', 'device', 'detector', 'model_path')
    return argparse.Namespace(config=config, **{**dict.fromkeys(names), **given})


def test_another_process_loads_the_same_model():
    model = open_model(make_args(checkpoint='random'))
    set_predictor_options(make_args(), model)
    assert model.kind.__name__ == 'ToyPredictor'
    assert model.provenance == {'config': TOY, 'checkpoint': 'random'}
    predictor = pickle.loads(pickle.dumps(model.load))(device='cpu')
    assert type(predictor).__name__ == 'ToyPredictor' and predictor.device == 'cpu'


def test_what_results_depend_on_is_told():
    args = make_args(checkpoint='random')
    settings = open_model(args).describe_settings(None, {'fps': 25.0})
    assert settings['fps'] == 25.0 and settings['weights'] == 'random'
    assert settings == open_model(args).describe_settings('not there', {'fps': 25.0})
    changed = make_args(checkpoint='random', cfg_options=['model.width=16'])
    other = open_model(changed).describe_settings(None, {'fps': 25.0})
    assert other['config']['model'] != settings['config']['model']


def test_a_detector_must_be_of_use():
    with pytest.raises(ValueError, match='reads keypoints, got the predictor ToyPredictor'):
        set_predictor_options(make_args(detector='x'), open_model(make_args(checkpoint='random')))


def test_an_exported_file_is_opened_once_here_and_anew_elsewhere(monkeypatch):
    opened = []

    def load(source, config):
        opened.append((source, config))

    monkeypatch.setattr('mmotion.inference.exported.load_exported', load)
    config = Settings({'predictor': {'type': 'X', 'min_score': 0.5}})
    loader = opened_model._ExportedLoader('m.onnx', config, 'network')
    loader(device=None)
    pickle.loads(pickle.dumps(loader))(device='cuda:1')
    assert opened == [('network', config), ('m.onnx', config)]


def test_an_exported_file_takes_no_device(tmp_path):
    with pytest.raises(ValueError, match='--device must be left out for a model that was exported'):
        open_model(make_args('m.onnx', device='cuda'))
