"""RepNet's losses by hand-computable numbers."""

import math

import pytest
import torch

from projects.repnet.losses import RepNetLoss, RepNetOutput, class_to_period, period_to_class


def output(period_logits: torch.Tensor, periodicity_logits: torch.Tensor) -> RepNetOutput:
    nothing = torch.empty(0)
    return RepNetOutput(period_logits, periodicity_logits, nothing, nothing)


def test_periods_and_classes_are_inverse() -> None:
    periods = torch.arange(1, 33)
    assert class_to_period(period_to_class(periods.float(), 32)).tolist() == periods.tolist()


def test_period_zero_and_too_long_fall_into_the_outer_classes() -> None:
    assert period_to_class(torch.tensor([0.0, 40.0]), 32).tolist() == [0, 31]


def test_uniform_logits_cost_the_logarithm_of_the_classes() -> None:
    losses = RepNetLoss()(
        output(torch.zeros(2, 3, 32), torch.zeros(2, 3)),
        torch.full((2, 3), 5.0),
        torch.ones(2, 3),
    )
    assert losses['loss_period'].item() == pytest.approx(math.log(32))
    assert losses['loss_periodicity'].item() == pytest.approx(math.log(2))


@pytest.mark.parametrize(('mask', 'share'), [(True, 1.0), (False, 0.5)])
def test_frames_that_do_not_repeat(mask: bool, share: float) -> None:
    # the second frame is right as class 0, and would halve the mean
    logits = torch.zeros(1, 2, 8)
    logits[0, 1, 0] = 100.0
    losses = RepNetLoss(mask_non_periodic=mask)(
        output(logits, torch.zeros(1, 2)), torch.tensor([[4.0, 0.0]]), torch.tensor([[1.0, 0.0]])
    )
    assert losses['loss_period'].item() == pytest.approx(share * math.log(8))


def test_no_repeating_frame_gives_no_period_loss() -> None:
    logits = torch.randn(1, 4, 8, requires_grad=True)
    losses = RepNetLoss()(output(logits, torch.zeros(1, 4)), torch.zeros(1, 4), torch.zeros(1, 4))
    losses['loss_period'].backward()
    assert losses['loss_period'].item() == 0
    assert not logits.grad.any()


def test_soft_periods_are_best_when_the_mean_is_the_period() -> None:
    logits = torch.full((1, 1, 32), -50.0)
    # 9.25 frames: a quarter on class 9 (10 frames), the rest on class 8 (9 frames)
    logits[0, 0, 8], logits[0, 0, 9] = math.log(0.75), math.log(0.25)
    logits.requires_grad_()
    loss = RepNetLoss(soft_periods=True)(
        output(logits, torch.zeros(1, 1)), torch.tensor([[9.25]]), torch.ones(1, 1)
    )['loss_period']
    (gradient,) = torch.autograd.grad(loss, logits)
    assert gradient.abs().max() < 1e-6
    entropy = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))
    assert loss.item() == pytest.approx(entropy, abs=1e-5)


def test_weights_scale_the_losses() -> None:
    arguments = (
        output(torch.zeros(1, 1, 32), torch.zeros(1, 1)),
        torch.ones(1, 1),
        torch.ones(1, 1),
    )
    losses = RepNetLoss(period_weight=2.0, periodicity_weight=0.0)(*arguments)
    assert losses['loss_period'].item() == pytest.approx(2 * math.log(32))
    assert losses['loss_periodicity'].item() == 0


def test_negative_weight_is_refused() -> None:
    with pytest.raises(ValueError, match='at least 0, got period_weight=-1'):
        RepNetLoss(period_weight=-1)
