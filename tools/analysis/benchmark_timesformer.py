"""Compare the speed and memory of TimeSformer with other implementations of it, in one run.

All of them take turns on the same clips and do the same arithmetic. Weights are random; those of
the others, converted to ours, must give the same logits.

    mmotion benchmark timesformer
    mmotion benchmark timesformer --device cuda --batch-size 8

The implementation of Hugging Face takes part if `pip install transformers` has been run.
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from end_to_end import measure_prediction
from measuring import (
    Options,
    Way,
    compare_ways,
    compile_model,
    make_way,
    relative_difference,
    run_benchmark,
)
from mmengine.registry import DefaultScope
from torch import Tensor, nn

from mmotion.registry import MODELS
from projects.timesformer.convert import convert
from projects.timesformer.models import TimeSformer, TimeSformerHead

NUM_CLASSES = 400
OURS = 'ours'
BF16, COMPILED = ', bf16', ', compiled'
NAMES = (
    *(OURS, 'MMAction2', 'Hugging Face'),
    *(f'{name}{BF16}' for name in (OURS, 'MMAction2', 'Hugging Face')),
)


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """Sizes of a TimeSformer with divided space-time attention, by default those of the base."""

    num_frames: int = 8
    image_size: int = 224
    embed_dim: int = 768
    depth: int = 12
    num_heads: int = 12


TINY = Sizes(num_frames=2, image_size=32, embed_dim=32, depth=2, num_heads=2)


class Classifier(nn.Module):
    """A backbone and a head, with the names that they have in checkpoints of recognizers.

    Args:
        backbone: From clips (B, 3, T, H, W) to embeddings (B, D).
        cls_head: From embeddings to logits (B, NUM_CLASSES).
    """

    def __init__(self, backbone: nn.Module, cls_head: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone
        self.cls_head = cls_head

    def forward(self, clips: Tensor) -> Tensor:
        """Logits (B, NUM_CLASSES) of clips (B, 3, T, H, W)."""
        return self.cls_head(self.backbone(clips))


def build_ours(sizes: Sizes) -> nn.Module:
    """Our TimeSformer."""
    backbone = TimeSformer(
        num_frames=sizes.num_frames,
        image_size=sizes.image_size,
        vit=dict(embed_dim=sizes.embed_dim, depth=sizes.depth, num_heads=sizes.num_heads),
    )
    head = TimeSformerHead(num_classes=NUM_CLASSES, in_channels=sizes.embed_dim)
    return Classifier(backbone, head)


def build_mmaction2(sizes: Sizes) -> nn.Module:
    """MMAction2's TimeSformer."""
    with DefaultScope.overwrite_default_scope('mmaction'):
        backbone = MODELS.get('mmaction.TimeSformer')(
            num_frames=sizes.num_frames,
            img_size=sizes.image_size,
            patch_size=16,
            embed_dims=sizes.embed_dim,
            num_transformer_layers=sizes.depth,
            num_heads=sizes.num_heads,
        )
    head = nn.Sequential(OrderedDict(fc_cls=nn.Linear(sizes.embed_dim, NUM_CLASSES)))
    return Classifier(backbone, head)


def build_hugging_face(sizes: Sizes) -> nn.Module:
    """`TimesformerForVideoClassification` of transformers.

    Raises:
        ImportError: If transformers is not installed.
    """
    from transformers import TimesformerConfig, TimesformerForVideoClassification

    class LogitsOnly(TimesformerForVideoClassification):
        def forward(self, clips: Tensor) -> Tensor:
            return super().forward(clips.transpose(1, 2)).logits

    config = TimesformerConfig(
        num_frames=sizes.num_frames,
        image_size=sizes.image_size,
        hidden_size=sizes.embed_dim,
        intermediate_size=4 * sizes.embed_dim,
        num_hidden_layers=sizes.depth,
        num_attention_heads=sizes.num_heads,
        num_labels=NUM_CLASSES,
    )
    return LogitsOnly(config)


BUILDERS: dict[str, Callable[[Sizes], nn.Module]] = {
    OURS: build_ours,
    'MMAction2': build_mmaction2,
    'Hugging Face': build_hugging_face,
}


def build(name: str, sizes: Sizes) -> nn.Module:
    """Build an implementation in eval mode, so that nothing is dropped at random.

    All matrices are drawn at random, also those that start at zero and would hide differences.
    """
    torch.manual_seed(0)
    model = BUILDERS[name](sizes).eval()
    for parameter in model.parameters():
        if parameter.ndim > 1:
            nn.init.trunc_normal_(parameter, std=0.02)
    return model


def draw_clips(sizes: Sizes, batch_size: int) -> Tensor:
    """Random clips (B, 3, T, H, W)."""
    torch.manual_seed(1)
    return torch.randn(batch_size, 3, sizes.num_frames, sizes.image_size, sizes.image_size)


def build_way(name: str, *, sizes: Sizes, batch_size: int, device: str) -> Way:
    """Build one of `NAMES`, or ours compiled.

    Args:
        name: An implementation, and how it is run.
        sizes: Of the model.
        batch_size: Clips in a pass.
        device: 'cpu' or 'cuda'.
    """
    plain = name.removesuffix(COMPILED)
    model, difference = build(plain.removesuffix(BF16), sizes), None
    clips = draw_clips(sizes, batch_size)
    if plain in BUILDERS and plain != OURS:
        difference = find_difference(model, sizes, clips)
    model.to(device)
    clips = clips.to(device)
    if BF16 in plain and not plain.startswith(OURS):
        with torch.no_grad(), torch.autocast(device, torch.bfloat16):
            rounded = model(clips)
        with torch.no_grad():
            difference = relative_difference(rounded, model(clips))
    run = compile_model(model) if name.endswith(COMPILED) else model
    parameters = list(model.parameters())
    return make_way(run, clips, parameters, bf16=BF16 in name, difference=difference)


@torch.no_grad()
def find_difference(other: nn.Module, sizes: Sizes, clips: Tensor) -> float:
    """Give ours the weights of another implementation, and compare what the two say of a clip."""
    ours = build(OURS, sizes)
    ours.load_state_dict(convert(dict(other.state_dict())))
    return relative_difference(ours(clips[:1]), other(clips[:1]))


def compare_timesformers(options: Options) -> list[str]:
    """Time our TimeSformer and the others in turn; a table in Markdown."""
    sizes = TINY if options.tiny else Sizes()
    batch_size = options.batch_size or (8 if options.device == 'cuda' else 1)
    table = compare_ways(
        f'TimeSformer {sizes.num_frames}x{sizes.image_size}, divided space-time, {batch_size} '
        'clips',
        partial(build_way, sizes=sizes, batch_size=batch_size, device=options.device),
        NAMES,
        compiled=OURS + BF16 + COMPILED,
        items=batch_size,
        options=options,
        notes=[
            'Difference: of the logits, from ours in fp32 with the same weights; of other '
            'implementations in bf16, from themselves in fp32.'
        ],
    )
    return [table]


if __name__ == '__main__':
    run_benchmark(
        'Time TimeSformer against other implementations.',
        compare_timesformers,
        predicts=partial(measure_prediction, 'timesformer_shapes'),
        rounds=9,
    )
