"""SimCLR: its loss against a slow version, in one process and two, and the vote of neighbours."""

import socket
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import torch.multiprocessing
from mmaction.structures import ActionDataSample
from sklearn.neighbors import KNeighborsClassifier
from torch import Tensor, nn

from mmotion.training.runner import Runner, build_runner
from projects.pose_sequence.contrastive import NeighborHook, NeighborVote, NTXentLoss, SimCLR

from .test_models import ENCODERS, LSTM, K, L, make_config, make_sample


def slow_nt_xent(first: Tensor, second: Tensor, temperature: float) -> Tensor:
    """Algorithm 1 of the SimCLR paper, one pair at a time; its 2k - 1 and 2k are a pair."""
    z = [row for pair in zip(first, second, strict=True) for row in pair]
    num_views = len(z)

    def s(i: int, j: int) -> Tensor:
        return z[i] @ z[j] / (z[i].norm() * z[j].norm())

    def loss(i: int, j: int) -> Tensor:
        others = [(s(i, k) / temperature).exp() for k in range(num_views) if k != i]
        return -torch.log((s(i, j) / temperature).exp() / torch.stack(others).sum())

    pairs = [(2 * k, 2 * k + 1) for k in range(num_views // 2)]
    return torch.stack([loss(i, j) + loss(j, i) for i, j in pairs]).sum() / num_views


@pytest.mark.parametrize('temperature', [0.1, 0.5, 2.0])
@pytest.mark.parametrize('size', [2, 7])
def test_nt_xent_equals_a_slow_version(temperature: float, size: int) -> None:
    first, second = 3 * torch.randn(2, size, 6)
    first.requires_grad_()
    loss = NTXentLoss(temperature=temperature)(first, second)
    expected = slow_nt_xent(first, second, temperature)
    torch.testing.assert_close(loss, expected)
    (gradient,) = torch.autograd.grad(loss, first)
    torch.testing.assert_close(gradient, torch.autograd.grad(expected, first)[0])


def test_nt_xent_is_not_worked_out_in_half_precision() -> None:
    views = torch.randn(2, 8, 6).bfloat16()
    expected = slow_nt_xent(*views.float(), 0.1)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        torch.testing.assert_close(NTXentLoss(temperature=0.1)(*views), expected)


def embed_neighbours(model: SimCLR) -> Tensor:
    """Embeddings of six labelled sequences in the order of their first number, by the hook."""
    loader = make_config({}).val_dataloader
    loader.dataset.num_sequences, loader.batch_size = 6, 2
    runner: Any = SimpleNamespace(model=model, build_dataloader=Runner.build_dataloader)
    NeighborHook(dataloader=loader).before_val_epoch(runner)
    assert model.neighbors is not None
    found = model.neighbors.embeddings
    return found[found[:, 0].argsort()]


def take_part(rank: int, port: int, folder: str) -> None:
    """One of two processes: half of the batch through DDP, loss and gradients into a file."""
    torch.set_num_threads(1)
    torch.distributed.init_process_group(
        'gloo', init_method=f'tcp://127.0.0.1:{port}', rank=rank, world_size=2
    )
    saved = torch.load(Path(folder) / 'whole.pt')
    model, simclr = nn.Linear(4, 3), SimCLR(encoder=LSTM)
    model.load_state_dict(saved['model'])
    simclr.load_state_dict(saved['simclr'])
    wrapped = nn.parallel.DistributedDataParallel(model)
    part = saved['views'][:, rank::2]
    loss = NTXentLoss(temperature=0.3)(*wrapped(part.flatten(0, 1)).unflatten(0, (2, -1)))
    loss.backward()
    result = {
        'loss': loss.detach(),
        'gradients': [parameter.grad for parameter in model.parameters()],
        'neighbours': embed_neighbours(simclr),
    }
    torch.save(result, Path(folder) / f'part_{rank}.pt')
    torch.distributed.destroy_process_group()


def test_two_processes_equal_one_with_the_whole_batch(tmp_path: Path) -> None:
    views, model, simclr = torch.randn(2, 6, 4), nn.Linear(4, 3), SimCLR(encoder=LSTM)
    whole = {'views': views, 'model': model.state_dict(), 'simclr': simclr.state_dict()}
    torch.save(whole, tmp_path / 'whole.pt')
    loss = NTXentLoss(temperature=0.3)(*model(views))
    loss.backward()
    neighbours = embed_neighbours(simclr)
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    torch.multiprocessing.start_processes(
        take_part, (port, str(tmp_path)), nprocs=2, start_method='fork'
    )
    for rank in range(2):
        part = torch.load(tmp_path / f'part_{rank}.pt')
        torch.testing.assert_close(part['loss'], loss.detach())
        torch.testing.assert_close(part['neighbours'], neighbours)
        for found, parameter in zip(part['gradients'], model.parameters(), strict=True):
            torch.testing.assert_close(found, parameter.grad)


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


@pytest.mark.parametrize('k', [1, 3, 20])
def test_vote_equals_that_of_scikit_learn(k: int) -> None:
    bank, queries = torch.randn(12, 4), torch.randn(5, 4)
    labels = torch.tensor([0, 1, 2, 3] * 3)
    scores = NeighborVote(bank, labels, num_classes=4, k=k, temperature=0.2)(queries)
    reference = KNeighborsClassifier(
        n_neighbors=min(k, 12), metric='cosine', weights=lambda d: np.exp((1 - d) / 0.2)
    ).fit(bank, labels)
    np.testing.assert_allclose(scores, reference.predict_proba(queries), rtol=1e-4, atol=1e-6)


def test_a_class_without_a_labelled_sequence_gets_no_votes() -> None:
    vote = NeighborVote(torch.eye(3), torch.tensor([0, 2, 2]), num_classes=4, k=3)
    assert (vote(torch.ones(1, 3))[0] == 0).tolist() == [False, True, False, True]


def test_pretraining_is_validated_by_the_nearest_neighbours(tmp_path: Path) -> None:
    config = make_config(dict(type='SimCLR', encoder=LSTM), num_views=2)
    labelled = dict(config.val_dataloader, dataset=dict(type='TwoKindsOfNoise', num_sequences=6))
    config.custom_hooks = [dict(type='NeighborHook', dataloader=labelled, k=3)]
    runner = build_runner(config, work_dir=tmp_path)
    runner.train()
    assert runner.message_hub.get_scalar('val/acc/top1').current() == 1
    # the neighbours are no part of the checkpoint, and nothing of them is needed to resume
    state = torch.load(tmp_path / 'epoch_2.pth', weights_only=True)['state_dict']
    assert {name.split('.')[0] for name in state} == {'encoder', 'projector'}
    config.train_cfg.max_epochs = 3
    resumed = build_runner(config, work_dir=tmp_path, resume='auto')
    resumed.train()
    assert resumed.epoch == 3


def test_the_optimizer_of_the_paper(tmp_path: Path) -> None:
    config = make_config(dict(type='SimCLR', encoder=LSTM), num_views=2)
    config.update(val_cfg=None, val_dataloader=None, val_evaluator=None)
    config.optim_wrapper.optimizer = dict(type='timm.optim.Lars', lr=0.1, momentum=0.9)
    runner = build_runner(config, work_dir=tmp_path)
    before = runner.model.projector[0].weight.clone()
    runner.train()
    assert not runner.model.projector[0].weight.equal(before)


def test_bad_use() -> None:
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


@pytest.mark.parametrize(
    ('build', 'message'),
    [
        pytest.param(lambda: NTXentLoss(temperature=0), 'got temperature=0', id='loss'),
        pytest.param(lambda: NeighborHook(dataloader={}, k=0), 'got k=0', id='k'),
        pytest.param(
            lambda: NeighborHook(dataloader={}, temperature=0), 'got temperature=0', id='vote'
        ),
    ],
)
def test_bad_arguments(build: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build()
