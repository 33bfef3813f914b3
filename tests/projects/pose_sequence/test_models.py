"""Classifier and SimCLR: their modes, a frozen encoder, weights that one gets of the other."""

from pathlib import Path
from typing import Any

import pytest
import torch
from mmaction.structures import ActionDataSample
from mmengine.config import Config
from torch import Tensor, nn
from torch.utils.data import Dataset

from mmotion.checkpoint.files import CheckpointError
from mmotion.metrics import ActionMetric
from mmotion.registry import DATASETS, MODELS
from mmotion.training.runner import build_runner
from projects.pose_sequence.models import SequenceClassifier, SimCLR, Standardize, read_batch

from .test_losses import slow_nt_xent

K, L = 5, 12
ENCODERS = [
    pytest.param(dict(type='LSTMEncoder', num_points=K, hidden_dim=8), id='lstm'),
    pytest.param(
        dict(type='ConvLSTMEncoder', num_points=K, n_steps=3, n_length=4, num_conv_filter=8),
        id='convlstm',
    ),
    pytest.param(
        dict(type='TransformerEncoder', num_points=K, embed_dim=8, num_heads=2), id='transformer'
    ),
]
LSTM: dict[str, Any] = dict(type='LSTMEncoder', num_points=K, hidden_dim=8)


@MODELS.register_module()
class NoisyEncoder(nn.Module):
    """Has all that changes in train mode: running statistics and dropout."""

    embed_dim = 4

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(K * 3, 4), nn.BatchNorm1d(4), nn.Dropout(0.5))

    def forward(self, inputs: Tensor, lengths: Tensor) -> Tensor:
        return self.layers(inputs.mean(1).flatten(1))


@DATASETS.register_module()
class TwoKindsOfNoise(Dataset):
    """Sequences of class 0 around zero and of class 1 around one, perhaps two views of each."""

    def __init__(self, *, num_sequences: int = 16, num_views: int = 1) -> None:
        self.num_sequences = num_sequences
        self.num_views = num_views
        self.metainfo = {'classes': ('zero', 'one')}

    def __len__(self) -> int:
        return self.num_sequences

    def __getitem__(self, index: int) -> dict[str, Any]:
        generator = torch.Generator().manual_seed(index)
        views = 0.3 * torch.randn(self.num_views, L, K, 3, generator=generator) + index % 2
        lengths = [L - index % 3] * self.num_views
        if self.num_views == 1:
            views, lengths = views[0], lengths[0]
        return {'inputs': views, 'data_samples': make_sample(index % 2, lengths, name=str(index))}


def make_sample(label: int, length: int | list[int], name: str = '') -> ActionDataSample:
    metainfo = dict(name=name, length=length, views=f'1 sequence of {L} steps x {K} points')
    return ActionDataSample(metainfo=metainfo).set_gt_label(label)


def make_batch(size: int, num_classes: int = 3) -> tuple[list[Tensor], list[ActionDataSample]]:
    inputs = list(torch.randn(size, L, K, 3))
    return inputs, [make_sample(i % num_classes, L - i % L) for i in range(size)]


def make_config(model: dict[str, Any], num_views: int = 1, **options: Any) -> Config:
    """A run of two epochs on `TwoKindsOfNoise`."""
    loader = dict(
        batch_size=8,
        num_workers=0,
        sampler=dict(type='DefaultSampler', shuffle=False),
        dataset=dict(type='TwoKindsOfNoise'),
    )
    return Config(
        dict(
            default_scope='mmotion',
            model=model,
            train_dataloader={**loader, 'dataset': dict(loader['dataset'], num_views=num_views)},
            val_dataloader=loader,
            train_cfg=dict(by_epoch=True, max_epochs=2),
            val_cfg={},
            val_evaluator=dict(type='ActionMetric'),
            optim_wrapper=dict(optimizer=dict(type='AdamW', lr=0.02, weight_decay=0.1)),
            log_level='ERROR',
            **options,
        )
    )


@pytest.mark.parametrize('encoder', ENCODERS)
def test_three_modes(encoder: dict[str, Any]) -> None:
    model = SequenceClassifier(encoder=encoder, num_classes=3).eval()
    inputs, samples = make_batch(6)
    assert model(torch.stack(inputs)).shape == (6, 3)

    losses = model(inputs, samples, mode='loss')
    assert losses.keys() == {'loss_cls', 'top1_acc'}
    losses['loss_cls'].backward()
    assert all(parameter.grad is not None for parameter in model.parameters())

    logits = model(inputs, samples)
    predicted = model(inputs, samples, mode='predict')
    scores = torch.stack([sample.pred_score for sample in predicted])
    torch.testing.assert_close(scores, logits.softmax(1))
    labels = torch.cat([sample.pred_label for sample in predicted])
    assert labels.tolist() == logits.argmax(1).tolist()
    expected = -logits.log_softmax(1)[range(6), [0, 1, 2, 0, 1, 2]].mean()
    torch.testing.assert_close(losses['loss_cls'], expected)


@pytest.mark.parametrize('encoder', ENCODERS)
def test_padding_and_batch_size_never_change_a_prediction(encoder: dict[str, Any]) -> None:
    model = SequenceClassifier(encoder=encoder, num_classes=3).eval()
    inputs, samples = make_batch(6)
    expected = model(inputs, samples)
    for i, sample in enumerate(samples):
        inputs[i][sample.length :] = float('nan')
        torch.testing.assert_close(model(inputs[i : i + 1], [sample]), expected[i : i + 1])


def test_scores_are_what_the_metric_reads() -> None:
    model = SequenceClassifier(encoder=LSTM, num_classes=3).eval()
    inputs, samples = make_batch(6)
    metric = ActionMetric()
    predicted = model(inputs, samples, mode='predict')
    metric.process({'inputs': inputs}, [sample.to_dict() for sample in predicted])
    right = [int(s.pred_label) == int(s.gt_label) for s in predicted]
    assert metric.evaluate(6)['acc/top1'] == pytest.approx(sum(right) / 6)


def test_label_smoothing() -> None:
    model = SequenceClassifier(encoder=LSTM, num_classes=3, label_smoothing=0.3).eval()
    inputs, samples = make_batch(6)
    targets = torch.full((6, 3), 0.1)
    targets[range(6), [0, 1, 2, 0, 1, 2]] += 0.7
    expected = -(targets * model(inputs, samples).log_softmax(1)).sum(1).mean()
    torch.testing.assert_close(model(inputs, samples, mode='loss')['loss_cls'], expected)


def test_a_frozen_encoder_stays_as_it_is(tmp_path: Path) -> None:
    model = dict(
        type='SequenceClassifier',
        encoder=dict(type='NoisyEncoder'),
        num_classes=2,
        freeze_encoder=True,
    )
    runner = build_runner(make_config(model), work_dir=tmp_path)
    before = {name: value.clone() for name, value in runner.model.state_dict().items()}
    runner.train()
    changed = {
        name for name, value in runner.model.state_dict().items() if not value.equal(before[name])
    }
    assert changed >= {'head.weight', 'head.bias', 'norm.mean', 'norm.var'}
    assert not [name for name in changed if name.startswith('encoder')]
    # no dropout either, whatever the mode
    assert not any(module.training for module in runner.model.encoder.modules())
    model = runner.model.train()
    assert model.training and not model.encoder.training


def test_standardised_embeddings() -> None:
    norm = Standardize(dim=3)
    for _ in range(200):
        embeddings = torch.randn(32, 3) * torch.tensor([0.1, 1.0, 10.0]) + 5
        found = norm(embeddings)
        torch.testing.assert_close(found.mean(0), torch.zeros(3), rtol=0, atol=1e-4)
    assert norm(embeddings[:1]).isfinite().all()
    found = norm.eval()(embeddings)
    torch.testing.assert_close(found[:1], norm(embeddings[:1]))
    torch.testing.assert_close(found.std(0), torch.ones(3), rtol=0, atol=0.4)
    torch.testing.assert_close(found.mean(0), torch.zeros(3), rtol=0, atol=0.8)


def test_a_trained_encoder_does_change(tmp_path: Path) -> None:
    model = dict(type='SequenceClassifier', encoder=dict(type='NoisyEncoder'), num_classes=2)
    runner = build_runner(make_config(model), work_dir=tmp_path)
    before = {name: value.clone() for name, value in runner.model.state_dict().items()}
    runner.train()
    after = runner.model.state_dict()
    assert not [name for name, value in after.items() if value.equal(before[name])]


@pytest.mark.parametrize('freeze', [False, True], ids=['fine-tuning', 'linear probe'])
@pytest.mark.parametrize('encoder', ENCODERS)
def test_the_encoder_of_simclr_is_loaded(
    tmp_path: Path, encoder: dict[str, Any], freeze: bool
) -> None:
    simclr = build_runner(
        make_config(dict(type='SimCLR', encoder=encoder)), work_dir=tmp_path / 'a'
    ).model
    file = tmp_path / 'simclr.pth'
    torch.save({'state_dict': simclr.state_dict(), 'meta': {}}, file)
    model = dict(type='SequenceClassifier', encoder=encoder, num_classes=2, freeze_encoder=freeze)
    config = make_config(model)
    config.load_from = str(file)
    config.optim_wrapper.optimizer.lr = 1e-12
    config.optim_wrapper.optimizer.weight_decay = 0.0
    runner = build_runner(config, work_dir=tmp_path / 'b')
    runner.train()
    torch.testing.assert_close(
        runner.model.encoder.state_dict(), simclr.encoder.state_dict(), rtol=0, atol=1e-6
    )


def test_an_encoder_of_another_kind_is_refused(tmp_path: Path) -> None:
    simclr = dict(type='SimCLR', encoder=ENCODERS[2].values[0])
    weights = build_runner(make_config(simclr), work_dir=tmp_path / 'a').model.state_dict()
    torch.save({'state_dict': weights}, tmp_path / 'simclr.pth')
    model = dict(type='SequenceClassifier', encoder=LSTM, num_classes=2)
    runner = build_runner(
        make_config(model), work_dir=tmp_path / 'b', load_from=tmp_path / 'simclr.pth'
    )
    with pytest.raises(CheckpointError, match='tensors fit SequenceClassifier'):
        runner.train()


@pytest.mark.parametrize('encoder', ENCODERS)
def test_training_in_bfloat16_learns(tmp_path: Path, encoder: dict[str, Any]) -> None:
    config = make_config(dict(type='SequenceClassifier', encoder=encoder, num_classes=2))
    config.train_cfg.max_epochs = 20
    config.train_cfg.val_interval = 20
    runner = build_runner(config, work_dir=tmp_path, amp=True)
    runner.train()
    assert runner.message_hub.get_scalar('val/acc/top1').current() == 1


# torch says so of its own LSTM
@pytest.mark.filterwarnings('ignore:The tensor attributes:UserWarning')
@pytest.mark.parametrize('encoder', ENCODERS)
def test_export(encoder: dict[str, Any]) -> None:
    model = SequenceClassifier(encoder=encoder, num_classes=3).eval()
    inputs = torch.randn(4, L, K, 3)
    batch = torch.export.Dim('batch', min=2, max=64)
    program = torch.export.export(model, (inputs,), dynamic_shapes={'inputs': {0: batch}})
    torch.testing.assert_close(program.module()(inputs[:3]), model(inputs[:3]))


def test_lengths_of_a_batch() -> None:
    inputs, samples = make_batch(3)
    stacked, lengths = read_batch(inputs, samples, 'predict')
    assert stacked.shape == (3, L, K, 3)
    assert lengths.tolist() == [12, 11, 10]
    assert read_batch(inputs, None, 'tensor')[1].tolist() == [12, 12, 12]
    views = torch.zeros(2, 2, L, K, 3)
    pairs = [make_sample(0, [12, 7]), make_sample(0, [3, 1])]
    assert read_batch(views, pairs, 'loss')[1].tolist() == [[12, 7], [3, 1]]
    assert read_batch(views, None, 'tensor')[1].tolist() == [[12, 12], [12, 12]]


def test_bad_arguments() -> None:
    with pytest.raises(ValueError, match='at least 2, got num_classes=1'):
        SequenceClassifier(encoder=LSTM, num_classes=1)
    with pytest.raises(ValueError, match=r'\[0, 1\), got label_smoothing=1'):
        SequenceClassifier(encoder=LSTM, num_classes=2, label_smoothing=1)
    model = SequenceClassifier(encoder=LSTM, num_classes=3)
    inputs, samples = make_batch(4, num_classes=4)
    with pytest.raises(ValueError, match="one of loss, predict, tensor, got mode='test'"):
        model(inputs, samples, mode='test')
    with pytest.raises(ValueError, match="data_samples must be given in mode 'loss'"):
        model(inputs, mode='loss')
    with pytest.raises(ValueError, match=r'0..2, got labels from 0 to 3; set num_classes'):
        model(inputs, samples, mode='loss')
    unlabeled = ActionDataSample(metainfo=dict(name='third', length=L))
    with pytest.raises(ValueError, match="must have a gt_label each, got none for 'third'; leave"):
        model(inputs, [*samples[:2], unlabeled, samples[3]], mode='loss')


@pytest.mark.parametrize('encoder', ENCODERS)
def test_two_views_in_training(encoder: dict[str, Any]) -> None:
    model = SimCLR(encoder=encoder, hidden_dim=8, projection_dim=4, temperature=0.5).eval()
    inputs = list(torch.randn(3, 2, L, K, 3))
    samples = [make_sample(0, [12, 5]), make_sample(0, [7, 12]), make_sample(1, [3, 4])]
    losses = model(inputs, samples, mode='loss')
    losses['loss_nt_xent'].backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())

    # each view by itself, with its own length
    def project(i: int, view: int) -> Tensor:
        length = torch.tensor([samples[i].length[view]])
        return model.projector(model.encoder(inputs[i][view : view + 1], length))[0]

    views = [torch.stack([project(i, view) for i in range(3)]) for view in range(2)]
    torch.testing.assert_close(losses['loss_nt_xent'], slow_nt_xent(*views, 0.5))


def test_hits_say_how_often_the_other_view_is_the_most_similar() -> None:
    model = SimCLR(encoder=LSTM)
    inputs = torch.randn(4, 1, L, K, 3).expand(4, 2, L, K, 3)
    samples = [make_sample(0, [L, L]) for _ in range(4)]
    assert model(inputs, samples, mode='loss')['top1_acc'] == 1
    swapped = torch.stack([inputs[:, 0], inputs[:, 0].roll(1, 0)], dim=1)
    assert model(swapped, samples, mode='loss')['top1_acc'] == 0


def test_embeddings_are_those_of_the_encoder() -> None:
    model = SimCLR(encoder=LSTM).eval()
    inputs = torch.randn(2, L, K, 3)
    lengths = torch.tensor([L, L])
    torch.testing.assert_close(model(inputs), model.encoder(inputs, lengths))


def test_the_optimizer_of_the_paper(tmp_path: Path) -> None:
    config = make_config(dict(type='SimCLR', encoder=LSTM), num_views=2)
    config.update(val_cfg=None, val_dataloader=None, val_evaluator=None)
    config.optim_wrapper.optimizer = dict(type='timm.optim.Lars', lr=0.1, momentum=0.9)
    runner = build_runner(config, work_dir=tmp_path)
    before = runner.model.projector[0].weight.clone()
    runner.train()
    assert not runner.model.projector[0].weight.equal(before)


def test_bad_use_of_simclr() -> None:
    samples = [ActionDataSample(metainfo=dict(length=L))]
    model = SimCLR(encoder=LSTM)
    with pytest.raises(ValueError, match=r'two views .* got .1, 12, 5, 3.; use TwoViews'):
        model(torch.zeros(1, L, K, 3), samples, mode='loss')
    with pytest.raises(
        ValueError, match='at least 2 sequences to be compared, got 1; set a larger'
    ):
        model(torch.zeros(1, 2, L, K, 3), [make_sample(0, [L, L])], mode='loss')
    with pytest.raises(ValueError, match=r'got none; add dict\(type=.NeighborHook'):
        model(torch.zeros(1, L, K, 3), samples, mode='predict')
