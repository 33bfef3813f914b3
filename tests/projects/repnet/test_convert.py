"""Converted weights give the numbers of the reference.

`data/golden.npz` holds outputs of the unmodified reference for weights that are made from their
names (`reference_weight`) and for inputs made from a seed, so that no weights need to be kept.
Scheme 'A' is small noise, scheme 'B' keeps the signal alive through the network.
"""

import math
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from mmotion.config import load_config
from projects.repnet.convert import convert, rename
from projects.repnet.counting import CountingOptions, count_repetitions
from projects.repnet.models import RepNet

GOLDEN = np.load(Path(__file__).with_name('data') / 'golden.npz')


def reference_weight(name: str, shape: list[int], scheme: str) -> Tensor:
    last = name.rsplit('.', 1)[-1]
    if last == 'num_batches_tracked':
        return torch.tensor(0)
    if last in ('running_mean', 'running_var'):
        return torch.full(shape, float(last == 'running_var'))
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    z = torch.from_numpy(rng.standard_normal(size=shape, dtype=np.float32))
    is_matrix = len(shape) > 1
    if scheme == 'A':
        return z * 0.02 + float(not is_matrix and last == 'weight')
    if is_matrix:
        return z * (math.sqrt(1 / math.prod(shape[1:])) if last.endswith('weight') else 0.5)
    return z * 0.1 + float(last == 'weight')


def reference_state(scheme: str) -> dict[str, Tensor]:
    return {
        name: reference_weight(name, [int(n) for n in shape.strip('[]').split(',') if n], scheme)
        for name, shape in zip(GOLDEN['names'].tolist(), GOLDEN['shapes'].tolist(), strict=True)
    }


@pytest.fixture(scope='module')
def load() -> Callable[[str], RepNet]:
    model = RepNet(encoder={'type': 'KerasResNet50V2Encoder'}).eval()

    def load_scheme(scheme: str) -> RepNet:
        model.load_state_dict(convert(reference_state(scheme)))
        return model

    return load_scheme


def make_input(name: str) -> Tensor:
    if name == 'periodic8':
        cycle = np.random.default_rng(1).standard_normal((8, 3, 112, 112), np.float32)
        frames = cycle[np.arange(64) % 8].transpose(1, 0, 2, 3)[None]
    else:
        frames = np.random.default_rng(0).standard_normal((1, 3, 64, 112, 112), np.float32)
    return torch.from_numpy(np.ascontiguousarray(frames))


def assert_agrees(got: Tensor, want: NDArray[np.float32], noise: float) -> None:
    """Within ten times the reference's own float32 error, as its README asks."""
    tolerance = max(10 * noise, 1e-6 * float(np.abs(want).max()))
    np.testing.assert_allclose(got.detach().numpy(), want, rtol=0, atol=tolerance)


@pytest.mark.parametrize('case', ['randn_A', 'randn_B', 'periodic8_B'])
def test_outputs_agree_with_the_reference(case: str, load: Callable[[str], RepNet]) -> None:
    name, scheme = case.split('_')
    model, frames = load(scheme), make_input(name)
    with torch.inference_mode():
        output = model(frames)
        encoded = model.encoder(frames[:, :, 0])[0]
    noise = dict(zip(('period', 'periodicity', 'tsm', 'embeddings', 'encoder'),
                     GOLDEN[f'{case}.noise'], strict=True))  # fmt: skip
    assert_agrees(encoded[::16], GOLDEN[f'{case}.encoder_frame0'], noise['encoder'])
    assert_agrees(output.embeddings[:, ::8], GOLDEN[f'{case}.embeddings'], noise['embeddings'])
    assert_agrees(output.similarity, GOLDEN[f'{case}.tsm'], noise['tsm'])
    assert_agrees(output.period_logits, GOLDEN[f'{case}.period_length'], noise['period'])
    assert_agrees(
        output.periodicity_logits[..., None], GOLDEN[f'{case}.periodicity'], noise['periodicity']
    )


def test_gradients_agree_with_the_reference(load: Callable[[str], RepNet]) -> None:
    model = load('B')
    output = model(make_input('randn'))
    (output.period_logits.square().mean() + output.periodicity_logits.square().mean()).backward()
    parameters = dict(model.named_parameters())
    names = GOLDEN['grad_names'].tolist()
    got = [parameters[rename(name)].grad.norm().item() for name in names]
    np.testing.assert_allclose(got, GOLDEN['randn_B.grad_l2'], rtol=1e-3)


@pytest.mark.parametrize(
    ('config', 'stride', 'count'),
    [
        pytest.param('repnet_released_reference', 3, 2.88704776763916, id='reference'),
        # which counts to the end, as its card says
        pytest.param('repnet_released', 3, 3.003, id='to the end'),
    ],
)
def test_whole_video_agrees_with_the_reference(
    load: Callable[[str], RepNet], config: str, stride: int, count: float
) -> None:
    model = load('B')
    with torch.no_grad():
        model.period_head.layers[4].weight *= 20
        model.periodicity_head.layers[4].bias.fill_(3.0)
    rng = np.random.default_rng(300)
    base = rng.integers(0, 256, (9, 112, 112, 3), np.uint8)
    noise = rng.integers(0, 16, (200, 112, 112, 3), np.uint8)
    video = np.clip(base[np.arange(200) % 9].astype(int) + noise, 0, 255).astype(np.uint8)
    frames = torch.from_numpy(video).permute(0, 3, 1, 2).float() / 127.5 - 1
    options = CountingOptions(**load_config(config).model.get('counting', {}))
    assert options.strides == (1, 2, 3, 4, 8)
    result = count_repetitions(model, frames, fps=30.0, options=options)
    assert (result.stride, round(result.count, 3)) == (stride, round(count, 3))
    if config == 'repnet_released':
        return
    want = GOLDEN['video.period_count']
    np.testing.assert_allclose(result.count_per_frame[: len(want)], want, rtol=0, atol=1e-4)
    assert result.count == pytest.approx(count, abs=1e-4)
    assert result.confidence == pytest.approx(0.9382648468, abs=1e-4)


def test_released_file_without_counters_loads() -> None:
    state = {k: v for k, v in reference_state('A').items() if not k.endswith('_tracked')}
    RepNet(encoder={'type': 'KerasResNet50V2Encoder'}).load_state_dict(convert(state))


@pytest.mark.parametrize(
    ('state', 'message'),
    [
        pytest.param({}, r'temporal_conv\.0\.weight .* got nothing', id='empty'),
        pytest.param({'conv1.weight': torch.zeros(1)}, 'got conv1.weight', id='another-model'),
        pytest.param({'period_head.position': torch.zeros(1)}, 'already', id='converted-before'),
    ],
)
def test_other_weights_are_refused(state: dict[str, Tensor], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        convert(state)
