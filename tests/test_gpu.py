"""What may differ on a GPU: where tensors are, mixed precision, compilers, NCCL, and the numbers.

Without one, the same tests run on the CPU, which is then compared with itself.
"""

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from mmotion.inference import load_model
from mmotion.keypoints.files import write_poses
from mmotion.training.compiling import compile_parts
from mmotion.training.precision import choose_precision
from tests.pose_videos import make_video
from tests.training_runs import run_dist_script
from tests.training_steps import CONFIGS, Step, prepare_step

TOY = Path(__file__).parent / 'toy' / 'toy.py'
PREDICTORS = (
    'repnet_small',
    'timesformer_shapes',
    'bkind_shapes',
    'anomaly_shapes',
    'pose_convlstm_shapes',
)
# of a network in float32, whose sums a GPU takes in another order; and in TF32 where it may
RELATIVE, ABSOLUTE = 2e-2, 2e-3


@pytest.fixture(params=CONFIGS)
def step(request, tmp_path, monkeypatch) -> Step:
    monkeypatch.chdir(tmp_path)
    return prepare_step(request.param, tmp_path)


@pytest.fixture(scope='module')
def frames() -> np.ndarray:
    """A grey box that swings from left to right four times in 96 frames of 64 x 64."""
    video = np.full((96, 64, 64, 3), 40, np.uint8)
    for i, frame in enumerate(video):
        left = round(24 + 20 * np.sin(2 * np.pi * i / 24))
        frame[24:40, left : left + 16] = 200
    return video


def list_values(value: Any) -> Iterator[Any]:
    """The values in a tree of dicts and lists, in order."""
    if isinstance(value, dict | list | tuple):
        for item in value.values() if isinstance(value, dict) else value:
            yield from list_values(item)
    else:
        yield value


def hold_still(model: nn.Module) -> None:
    """Switch off what draws random numbers, which each device draws by itself."""
    for module in model.modules():
        for name in ('p', 'dropout', 'rate'):
            if isinstance(getattr(module, name, None), float):
                setattr(module, name, 0.0)


def compute(step: Step) -> tuple[dict[str, Tensor], Tensor]:
    """Losses, and the length of the gradient."""
    model: Any = step.model
    losses = model(**step.batch, mode='loss')
    model.parse_losses(losses)[0].backward()
    gradients = [p.grad.float().norm() for p in model.parameters() if p.grad is not None]
    return {name: loss.detach().cpu() for name, loss in losses.items()}, torch.stack(
        gradients
    ).norm().cpu()


@pytest.mark.parametrize('name', PREDICTORS)
def test_a_predictor_gives_the_cpus_numbers(name, device, frames, tmp_path):
    video: Any = frames
    if name.startswith('pose'):
        video = tmp_path / 'poses.json'
        write_poses(make_video(64), video)
    options: dict[str, Any] = {} if name.startswith('pose') else {'fps': 24.0}
    expected = load_model(name, device='cpu').predict(video, **options)
    predictor = load_model(name, device=device)
    assert {p.device.type for p in predictor.model.parameters()} == {device}
    found = predictor.predict(video, **options)
    for one, other in zip(
        list_values(found.to_dict()), list_values(expected.to_dict()), strict=True
    ):
        assert not isinstance(one, Tensor)
        if isinstance(one, float):
            assert one == pytest.approx(other, rel=RELATIVE, abs=ABSOLUTE, nan_ok=True)
        else:
            assert one == other


def test_a_training_step_gives_the_cpus_losses_and_gradients(step, device):
    hold_still(step.model)
    twin = copy.deepcopy(step)
    twin.to(device)
    losses, gradient = compute(step)
    found, found_gradient = compute(twin)
    assert found.keys() == losses.keys()
    for name, loss in losses.items():
        torch.testing.assert_close(found[name], loss, rtol=RELATIVE, atol=ABSOLUTE)
    torch.testing.assert_close(found_gradient, gradient, rtol=RELATIVE, atol=ABSOLUTE)


def test_a_system_trains_in_mixed_precision(step, device):
    if device == 'cpu' and torch.cuda.is_available():
        pytest.skip('where there is a GPU, mixed precision is its')
    choose_precision(step.config, amp=True)
    step.to(device)
    optim_wrapper: Any = step.build_optimizer()
    before = [parameter.detach().clone() for parameter in step.model.parameters()]
    model: Any = step.model
    # float16 skips the first steps until the scale of the loss has come down
    for _ in range(20 if device == 'cuda' else 2):
        with optim_wrapper.optim_context(model):
            losses = model(**step.batch, mode='loss')
        loss, _ = model.parse_losses(losses)
        optim_wrapper.update_params(loss)
        assert all(value.isfinite() for value in losses.values())
    parameters = [*model.parameters()]
    assert {p.dtype for p in parameters} == {torch.float32}
    assert all(p.isfinite().all() for p in parameters)
    assert any(not old.equal(new) for old, new in zip(before, parameters, strict=True))
    if device == 'cuda':
        assert type(optim_wrapper).__name__ == 'AmpOptimWrapper'
        assert optim_wrapper.loss_scaler.get_scale() >= 1


def test_what_is_compiled_gives_the_same(step, device):
    hold_still(step.model)
    step.to(device)
    twin = copy.deepcopy(step)
    torch.compiler.reset()
    # on a CPU all but the kernels, which take minutes to be made
    assert compile_parts(twin.model, {'backend': 'inductor' if device == 'cuda' else 'aot_eager'})
    losses, gradient = compute(step)
    found, found_gradient = compute(twin)
    for name, loss in losses.items():
        torch.testing.assert_close(found[name], loss, rtol=RELATIVE, atol=ABSOLUTE)
    torch.testing.assert_close(found_gradient, gradient, rtol=RELATIVE, atol=ABSOLUTE)


@pytest.mark.slow
def test_one_process_trains_by_ddp(device, tmp_path):
    """By NCCL on a GPU, by gloo on a CPU."""
    hidden = {} if device == 'cuda' else {'CUDA_VISIBLE_DEVICES': ''}
    run_dist_script('dist_train.sh', TOY, 1, '--work-dir', 'run', cwd=tmp_path, **hidden)
    assert (tmp_path / 'run' / 'epoch_2.pth').is_file()
