"""The vote of labelled neighbors, and what gives them to SimCLR, in one process and two."""

import socket
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import torch.multiprocessing
from sklearn.neighbors import KNeighborsClassifier
from torch import Tensor

from mmotion.training.runner import Runner, build_runner
from projects.pose_sequence.hooks import NeighborHook, NeighborVote
from projects.pose_sequence.models import SimCLR

from .test_models import LSTM, make_config


@pytest.mark.parametrize('k', [1, 3, 20])
def test_vote_equals_that_of_scikit_learn(k: int) -> None:
    bank, queries = torch.randn(12, 4), torch.randn(5, 4)
    labels = torch.tensor([0, 1, 2, 3] * 3)
    scores = NeighborVote(bank, labels, num_classes=4, k=k, temperature=0.2)(queries)
    reference = KNeighborsClassifier(
        n_neighbors=min(k, 12), metric='cosine', weights=lambda d: np.exp((1 - d) / 0.2)
    ).fit(bank, labels)
    np.testing.assert_allclose(scores, reference.predict_proba(queries), rtol=1e-4, atol=1e-6)


def test_a_class_without_a_labeled_sequence_gets_no_votes() -> None:
    vote = NeighborVote(torch.eye(3), torch.tensor([0, 2, 2]), num_classes=4, k=3)
    assert (vote(torch.ones(1, 3))[0] == 0).tolist() == [False, True, False, True]


def embed_neighbors(model: SimCLR) -> Tensor:
    """Embeddings of six labeled sequences in the order of their first number, by the hook."""
    loader = make_config({}).val_dataloader
    loader.dataset.num_sequences, loader.batch_size = 6, 2
    runner: Any = SimpleNamespace(model=model, build_dataloader=Runner.build_dataloader)
    NeighborHook(dataloader=loader).before_val_epoch(runner)
    assert model.neighbors is not None
    found = model.neighbors.embeddings
    return found[found[:, 0].argsort()]


def take_part(rank: int, port: int, folder: str) -> None:
    """One of two processes: embeds its half of the sequences and writes those of both."""
    torch.set_num_threads(1)
    torch.distributed.init_process_group(
        'gloo', init_method=f'tcp://127.0.0.1:{port}', rank=rank, world_size=2
    )
    simclr = SimCLR(encoder=LSTM)
    simclr.load_state_dict(torch.load(Path(folder) / 'simclr.pt'))
    torch.save(embed_neighbors(simclr), Path(folder) / f'part_{rank}.pt')
    torch.distributed.destroy_process_group()


def test_two_processes_know_the_neighbors_of_both(tmp_path: Path) -> None:
    simclr = SimCLR(encoder=LSTM)
    torch.save(simclr.state_dict(), tmp_path / 'simclr.pt')
    neighbors = embed_neighbors(simclr)
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    torch.multiprocessing.start_processes(
        take_part, (port, str(tmp_path)), nprocs=2, start_method='fork'
    )
    for rank in range(2):
        torch.testing.assert_close(torch.load(tmp_path / f'part_{rank}.pt'), neighbors)


def test_pretraining_is_validated_by_the_nearest_neighbors(tmp_path: Path) -> None:
    config = make_config(dict(type='SimCLR', encoder=LSTM), num_views=2)
    labeled = dict(config.val_dataloader, dataset=dict(type='TwoKindsOfNoise', num_sequences=6))
    config.custom_hooks = [dict(type='NeighborHook', dataloader=labeled, k=3)]
    runner = build_runner(config, work_dir=tmp_path)
    runner.train()
    assert runner.message_hub.get_scalar('val/acc/top1').current() == 1
    # the neighbors are no part of the checkpoint, and nothing of them is needed to resume
    state = torch.load(tmp_path / 'epoch_2.pth', weights_only=True)['state_dict']
    assert {name.split('.')[0] for name in state} == {'encoder', 'projector'}
    config.train_cfg.max_epochs = 3
    resumed = build_runner(config, work_dir=tmp_path, resume='auto')
    resumed.train()
    assert resumed.epoch == 3


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        pytest.param({'k': 0}, 'got k=0', id='k'),
        pytest.param({'temperature': 0}, 'got temperature=0', id='temperature'),
    ],
)
def test_bad_arguments(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        NeighborHook(dataloader={}, **options)
