"""The bricks by themselves; in a network see test_models."""

import pytest
import torch

from projects.timesformer.attention import SCHEMES
from projects.timesformer.blocks import AttentionStep, Block, DropPath


def make_step() -> AttentionStep:
    """A step of 24 wide tokens, none of whose weights is zero."""
    step = AttentionStep(kind='time', dim=24, num_heads=2, is_added=True, drop_path=0.5)
    for parameter in step.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return step.double()


def test_drop_path_leaves_out_whole_sequences_and_keeps_the_mean() -> None:
    drop = DropPath(0.25).train()
    x = torch.ones(2, 3, 1000, 4)
    dropped = drop(x, independent=(2,))
    assert dropped.unique().tolist() == pytest.approx([0, 4 / 3])
    torch.testing.assert_close(dropped, dropped[:1, :1, :, :1].expand_as(x))
    assert dropped.mean() == pytest.approx(1, abs=0.1)
    assert drop.eval()(x, independent=(2,)) is x


@pytest.mark.parametrize(
    ('kind', 'axes'),
    [
        pytest.param('time', (1, 2), id='time-by-patch-of-a-clip'),
        pytest.param('space', (0, 1), id='space-by-frame-of-a-clip'),
        pytest.param('joint', (1,), id='joint-by-clip'),
    ],
)
def test_what_drop_path_draws_apart_is_as_in_the_reference(
    kind: str, axes: tuple[int, ...]
) -> None:
    step = AttentionStep(kind=kind, dim=8, num_heads=2, drop_path=0.1, is_added=False)
    assert step.sequences == axes


def test_folded_projections_give_the_same_with_the_same_sequences_dropped() -> None:
    step = make_step()
    x = torch.randn(2, 3, 17, 24, dtype=torch.float64)
    torch.manual_seed(0)
    plain = step(x, 4)
    torch.manual_seed(0)
    torch.testing.assert_close(step(x, 4, fold=True), plain)
    torch.manual_seed(1)
    assert not torch.allclose(step(x, 4, fold=True), plain)


def test_time_leaves_the_class_token_alone() -> None:
    step = make_step().eval()
    x = torch.randn(2, 3, 17, 24, dtype=torch.float64)
    y = step(x, 4)
    assert torch.equal(y[:, :, 0], x[:, :, 0])
    assert not torch.isclose(y[:, :, 1:], x[:, :, 1:]).any(-1).all()


@pytest.mark.parametrize('attention', SCHEMES)
def test_a_block_keeps_the_copies_of_the_class_token_equal(attention: str) -> None:
    block = Block(attention=attention, dim=24, num_heads=2, drop_path=0.5).train()
    x = torch.randn(2, 3, 17, 24)
    x[:, :, 0] = x[0, :, 0]
    y = block(x, 4)
    torch.testing.assert_close(y[0, :, 0], y[1, :, 0])
    assert [step.kind for step in block.steps()] == list(SCHEMES[attention])


@pytest.mark.parametrize('attention', SCHEMES)
def test_only_the_class_token_may_be_asked_for(attention: str) -> None:
    block = Block(attention=attention, dim=24, num_heads=2, drop_path=0.0).double()
    for parameter in block.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    x = torch.randn(2, 3, 17, 24, dtype=torch.float64)
    cls = block(x, 4, cls_only=True)
    assert cls.shape == (2, 3, 1, 24)
    torch.testing.assert_close(cls, block(x, 4)[:, :, :1])
