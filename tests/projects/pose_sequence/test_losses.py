"""NT-Xent against a slow version, in one process and two."""

import socket
from pathlib import Path

import pytest
import torch
import torch.multiprocessing
from torch import Tensor, nn

from projects.pose_sequence.losses import NTXentLoss


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


def take_part(rank: int, port: int, folder: str) -> None:
    """One of two processes: half of the batch through DDP, loss and gradients into a file."""
    torch.set_num_threads(1)
    torch.distributed.init_process_group(
        'gloo', init_method=f'tcp://127.0.0.1:{port}', rank=rank, world_size=2
    )
    saved = torch.load(Path(folder) / 'whole.pt')
    model = nn.Linear(4, 3)
    model.load_state_dict(saved['model'])
    wrapped = nn.parallel.DistributedDataParallel(model)
    part = saved['views'][:, rank::2]
    loss = NTXentLoss(temperature=0.3)(*wrapped(part.flatten(0, 1)).unflatten(0, (2, -1)))
    loss.backward()
    result = {
        'loss': loss.detach(),
        'gradients': [parameter.grad for parameter in model.parameters()],
    }
    torch.save(result, Path(folder) / f'part_{rank}.pt')
    torch.distributed.destroy_process_group()


def test_two_processes_equal_one_with_the_whole_batch(tmp_path: Path) -> None:
    views, model = torch.randn(2, 6, 4), nn.Linear(4, 3)
    torch.save({'views': views, 'model': model.state_dict()}, tmp_path / 'whole.pt')
    loss = NTXentLoss(temperature=0.3)(*model(views))
    loss.backward()
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    torch.multiprocessing.start_processes(
        take_part, (port, str(tmp_path)), nprocs=2, start_method='fork'
    )
    for rank in range(2):
        part = torch.load(tmp_path / f'part_{rank}.pt')
        torch.testing.assert_close(part['loss'], loss.detach())
        for found, parameter in zip(part['gradients'], model.parameters(), strict=True):
            torch.testing.assert_close(found, parameter.grad)


def test_the_temperature_must_be_above_0() -> None:
    with pytest.raises(ValueError, match='got temperature=0'):
        NTXentLoss(temperature=0)
