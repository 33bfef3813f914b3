"""The classifier in its three modes, and that it learns."""

import pytest
import torch
from mmengine.structures import BaseDataElement

from mmotion.config import load_config
from mmotion.registry import DATASETS, MODELS


@pytest.fixture
def config():
    return load_config('example_project_dots')


@pytest.fixture
def model(config):
    return MODELS.build(config.model)


def test_modes(model):
    clips = torch.zeros(2, 3, 8, 16, 16)
    samples = [BaseDataElement(gt_label=0), BaseDataElement(gt_label=1)]
    logits = model(clips)
    assert logits.shape == (2, 2)
    losses = model(clips, samples, mode='loss')
    assert losses['loss'].shape == ()
    results = model(clips, samples, mode='predict')
    scores = torch.stack([sample.pred_scores for sample in results])
    assert torch.allclose(scores, logits.softmax(dim=1))


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        pytest.param(dict(mode='train'), "must be 'loss', .* got mode='train'", id='unknown mode'),
        pytest.param(dict(mode='loss'), "data_samples must be given in mode 'loss'", id='loss'),
        pytest.param(dict(mode='predict'), 'data_samples must be given', id='predict'),
    ],
)
def test_bad_arguments(model, arguments, message):
    with pytest.raises(ValueError, match=message):
        model(torch.zeros(1, 3, 8, 16, 16), **arguments)


def test_the_loss_falls(config, model):
    dataset = DATASETS.build(config.train_dataloader.dataset)
    samples = [dataset[index] for index in range(64)]
    batch = {key: [sample[key] for sample in samples] for key in samples[0]}
    data = model.data_preprocessor(batch, training=True)
    assert data['inputs'].shape == (64, 3, 8, 16, 16)
    assert data['inputs'].min() >= -1 and data['inputs'].max() <= 1

    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    losses = []
    for _ in range(60):
        loss = model(**data, mode='loss')['loss']
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    # 0.69 is chance
    assert losses[0] > 0.6
    assert losses[-1] < 0.4
