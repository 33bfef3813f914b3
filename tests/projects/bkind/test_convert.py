"""Weights of the reference become ours, and the other way round."""

import pytest
import torch
from torch import Tensor

from projects.bkind.convert import convert, to_reference
from projects.bkind.models import BKinD
from tools.analysis.reference_bkind import ReferenceBKinD


@pytest.fixture(scope='module')
def model() -> BKinD:
    return ReferenceBKinD(encoder=dict(name='resnet18'), num_keypoints=2, image_size=32)


@pytest.fixture
def reference(model) -> dict[str, Tensor]:
    """As the reference names the weights of a small network."""
    return to_reference(model.state_dict())


def test_names_go_there_and_back(model, reference):
    own = model.state_dict()
    for name in (
        'encoder.layer4.0.conv2.weight',
        'kptNet.laterals.0.0.weight',
        'kptNet.upsamples.2.1.weight',
        'kptNet.upsamples.2.2.running_var',
        'kptNet.predict.3.5.bias',
        'kptNet.predict.0.3.weight',
        'decoder.layer5.bn2.weight',
        'decoder.conv_final.bias',
    ):
        assert name in reference
    back = convert(reference)
    assert back.keys() == own.keys()
    assert all(torch.equal(back[name], own[name]) for name in own)


def test_names_with_the_prefix_of_data_parallel_are_understood(model, reference):
    wrapped = {f'module.{name}': value for name, value in reference.items()}
    assert convert(wrapped).keys() == model.state_dict().keys()


def test_a_detector_has_no_decoder(model, reference):
    detector = {k: v for k, v in reference.items() if not k.startswith('decoder.')}
    converted = convert(detector)
    assert all(name.startswith('encoder.') for name in converted)
    state = {name.removeprefix('encoder.'): value for name, value in converted.items()}
    model.encoder.load_state_dict(state)


def test_unused_predictors_become_copies_where_they_are_missing(model, reference):
    plain = {k: v for k, v in model.state_dict().items() if '.unused.' not in k}
    restored = to_reference(plain)
    assert restored.keys() == reference.keys()
    used, other = (restored[f'kptNet.predict.{i}.3.weight'] for i in (3, 1))
    assert torch.equal(used, other)


def test_the_names_are_all_those_of_the_reference(golden_root):
    from .reference import Golden

    names = [str(name) for name in Golden(golden_root, 'bkind_128_k10_A').file['names']]
    renamed = convert({name: torch.zeros(1) for name in names})
    assert len(renamed) == len(names)
    assert list(to_reference(renamed)) == names


def test_what_comes_from_elsewhere_is_refused(model, reference):
    with pytest.raises(ValueError, match='weights that are mmotion BKinD already'):
        convert(model.state_dict())
    with pytest.raises(ValueError, match=r'missing: encoder\., kptNet\.laterals\.0\.'):
        convert({'backbone.conv1.weight': torch.zeros(1)})
    with pytest.raises(ValueError, match=r'unexpected: head\.weight'):
        convert({**reference, 'head.weight': torch.zeros(1)})
    del reference['decoder.conv_final.weight'], reference['decoder.conv_final.bias']
    with pytest.raises(ValueError, match=r'missing: decoder\.conv_final\.$'):
        convert(reference)
    with pytest.raises(ValueError, match=r'must be that of a BKinD, got head\.weight'):
        to_reference({'head.weight': torch.zeros(1)})
