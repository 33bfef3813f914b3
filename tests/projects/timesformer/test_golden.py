"""Converted weights give the numbers of the reference.

`data/golden.npz` holds outputs of the unmodified references (facebookresearch/TimeSformer@a5ef29a,
transformers 5.23.0) for weights made from their names and clips made from a seed. Of large arrays
every 29th number is kept; where the folder of whole golden files is there, all are compared.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from einops import rearrange
from numpy.typing import NDArray
from torch import Tensor

from projects.timesformer.convert import convert
from projects.timesformer.models import TimeSformer, TimeSformerHead

KEPT = np.load(Path(__file__).with_name('data') / 'golden.npz')
KEPT_STRIDE = 29
SCHEMES = {
    'divst': 'divided_space_time',
    'jointst': 'joint_space_time',
    'spaceonly': 'space_only',
}
CASES = ['divst_A', 'divst_B', 'jointst_A', 'spaceonly_A']


class Golden:
    """Outputs of the reference for one network, kept here or in the folder of golden files."""

    def __init__(self, case: str, folder: Path | None) -> None:
        self.case = case
        self.noise = json.loads(str(KEPT[f'{case}.noise']))
        self.file = None
        if folder is not None:
            scheme, fill = case.split('_')
            name = f'hf_timesformer_divst_tiny_{fill}'
            name = name if scheme == 'hf' else f'timesformer_{scheme}_tiny_{fill}'
            self.file = np.load(folder / f'{name}.npz')

    def __contains__(self, key: str) -> bool:
        return key in self.noise

    def check(self, got: Tensor, key: str) -> None:
        """Within ten times the reference's own float32 error, as the golden files ask."""
        numbers = got.detach().numpy()
        if self.file is not None:
            want: NDArray[Any] = self.file[f'out.{key}']
        else:
            want = KEPT[f'{self.case}.{key}']
            if want.ndim == 1 and numbers.ndim > 1:
                numbers = numbers.reshape(-1)[::KEPT_STRIDE]
        tolerance = max(10 * self.noise[key], 1e-6 * float(np.abs(want).max()))
        np.testing.assert_allclose(numbers, want, rtol=0, atol=tolerance, err_msg=key)


@pytest.fixture(params=['kept', 'whole'])
def load_golden(request: pytest.FixtureRequest) -> Callable[[str], Golden]:
    folder = request.getfixturevalue('golden_root') if request.param == 'whole' else None
    return lambda case: Golden(case, folder)


def build(state: dict[str, Tensor], attention: str) -> tuple[TimeSformer, TimeSformerHead]:
    """The tiny network with converted weights; 'nearest' is what the reference resizes with."""
    model = TimeSformer(
        attention=attention,
        num_frames=4,
        image_size=64,
        vit=dict(embed_dim=96, depth=2, num_heads=4),
        resize='nearest',
    ).eval()
    head = TimeSformerHead(num_classes=10, in_channels=96)
    converted = convert(state)
    for part, prefix in ((model, 'backbone.'), (head, 'cls_head.')):
        part.load_state_dict(
            {k.removeprefix(prefix): v for k, v in converted.items() if k.startswith(prefix)}
        )
    return model, head


def make_clips(seed: int, *shape: int) -> Tensor:
    rng = np.random.default_rng(seed)
    return torch.from_numpy(rng.standard_normal(size=shape, dtype=np.float32))


def in_reference_order(x: Tensor, attention: str) -> Tensor:
    """Tokens (T, B, 1 + P, D) as the reference keeps them: patch by patch, or frame by frame."""
    if attention == 'space_only':
        # (1, T * B, ...) to (B * T, ...)
        return rearrange(x[0], '(t b) p d -> (b t) p d', b=2)
    return torch.cat([x[0, :, :1], rearrange(x[:, :, 1:], 't b p d -> b (p t) d')], dim=1)


@pytest.mark.parametrize('case', CASES)
def test_outputs_agree_with_the_reference(
    case: str,
    load_golden: Callable[[str], Golden],
    make_reference_state: Callable[[str, str], dict[str, Tensor]],
) -> None:
    golden, (name, fill) = load_golden(case), case.split('_')
    attention = SCHEMES[name]
    model, head = build(make_reference_state(attention, fill), attention)
    clips = make_clips(0, 2, 3, 4, 64, 64)
    with torch.no_grad():
        tokens, rows = model.embed(clips)
        after = model.blocks[0](tokens, rows)
        golden.check(in_reference_order(tokens, attention), 'tokens_in_block0')
        golden.check(in_reference_order(after, attention), 'tokens_out_block0')
        golden.check(model(clips), 'cls_feature')
        golden.check(head(model(clips)), 'logits')
        # another number of frames, and another size
        golden.check(head(model(make_clips(1, 2, 3, 8, 64, 64))), 'logits_x_T8')
        height, width = (96, 64) if 'logits_x_96x64' in golden else (64, 96)
        other = head(model(make_clips(2, 2, 3, 4, height, width)))
        golden.check(other, f'logits_x_{height}x{width}')


@pytest.mark.parametrize('case', CASES)
def test_gradients_agree_with_the_reference(
    case: str,
    load_golden: Callable[[str], Golden],
    make_reference_state: Callable[[str, str], dict[str, Tensor]],
) -> None:
    golden, (name, fill) = load_golden(case), case.split('_')
    attention = SCHEMES[name]
    state = make_reference_state(attention, fill)
    model, head = build(state, attention)
    head(model(make_clips(0, 2, 3, 4, 64, 64))).square().mean().backward()
    parameters = {f'backbone.{k}': p for k, p in model.named_parameters()}
    parameters |= {f'cls_head.{k}': p for k, p in head.named_parameters()}
    ours = dict(zip(state, convert(state), strict=True))
    names = [ours[name] for name in KEPT[f'{case}.grad_names'].tolist()]
    gradients = [parameters[name].grad for name in names]
    norms = torch.stack([gradient.double().norm() for gradient in gradients])
    golden.check(norms, 'grad_l2_per_param')
    golden.check(gradients[names.index('cls_head.fc.weight')], 'grad_head_weight')
    time_or_cls = model.cls_token if attention == 'space_only' else model.time_embed
    shape = (1, -1, model.embed_dim)
    golden.check(time_or_cls.grad.view(shape), 'grad_time_or_cls')


def test_transformers_weights_agree(
    load_golden: Callable[[str], Golden],
    make_transformers_state: Callable[[str], dict[str, Tensor]],
) -> None:
    golden = load_golden('hf_A')
    model, head = build(make_transformers_state('A'), 'divided_space_time')
    # transformers takes (B, T, C, H, W)
    clips = make_clips(3, 2, 4, 3, 64, 64).transpose(1, 2)
    with torch.no_grad():
        tokens, _ = model.embed(clips)
        golden.check(in_reference_order(tokens, 'divided_space_time'), 'embeddings')
        last = in_reference_order(model.tokens(clips), 'divided_space_time')
        golden.check(last, 'last_hidden_state')
        golden.check(head(model(clips)), 'logits')
