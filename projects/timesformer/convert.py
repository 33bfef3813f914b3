"""Released weights of TimeSformer, and of image transformers, to ours.

Read, and told apart by their names:
- facebookresearch/TimeSformer@a5ef29a, with or without `model.` in front;
- transformers' `TimesformerForVideoClassification` and `TimesformerModel`;
- MMAction2's recognizer, or its backbone alone;
- timm's ViT, class `VisionTransformer`, with one linear layer as head. It gives the weights of
  `attention='space_only'`; `TimeSformer(init=...)` makes those of any scheme of it.

Clips must be normalised as the source was trained: mean 0.45 and deviation 0.225 of values in
[0, 1] for the first two, 127.5 and 127.5 of grey levels for MMAction2.
"""

import re
from collections.abc import Iterable

from torch import Tensor

# what comes before a block's number in each format; all are brought to that of the first
_BLOCKS = r'^(?:blocks|encoder\.layer|transformer_layers\.layers)\.(\d+)\.'

# names outside of blocks, to ours
_OUTSIDE = (
    (r'^(embeddings\.)?cls_token$', 'backbone.cls_token'),
    (r'^(pos_embed|embeddings\.position_embeddings)$', 'backbone.pos_embed'),
    (r'^(time_embed|embeddings\.time_embeddings)$', 'backbone.time_embed'),
    (
        r'^(patch_embed\.(proj|projection)|embeddings\.patch_embeddings\.projection)\.',
        'backbone.patch_embed.',
    ),
    (r'^(norm|layernorm)\.', 'backbone.norm.'),
    (r'^(head|classifier|cls_head\.fc_cls)\.', 'cls_head.fc.'),
)

# names inside of a block to ours, for all formats but that of MMAction2
_INSIDE = (
    (r'^(temporal_norm1|temporal_layernorm)\.', 'added.time.norm.'),
    (r'^(temporal_attn|temporal_attention\.attention)\.qkv\.', 'added.time.qkv.'),
    (r'^(temporal_attn\.proj|temporal_attention\.output\.dense)\.', 'added.time.proj.'),
    (r'^(temporal_fc|temporal_dense)\.', 'added.time.fc.'),
    (r'^(norm1|layernorm_before)\.', 'attn.norm.'),
    (r'^(attn|attention\.attention)\.qkv\.', 'attn.qkv.'),
    (r'^(attn\.proj|attention\.output\.dense)\.', 'attn.proj.'),
    (r'^(norm2|layernorm_after)\.', 'mlp.norm.'),
    (r'^(mlp\.fc1|intermediate\.dense)\.', 'mlp.fc1.'),
    (r'^(mlp\.fc2|output\.dense)\.', 'mlp.fc2.'),
)

# MMAction2 numbers the parts of a block; the first attention is in time where it has two
_INSIDE_MMACTION = (
    (r'^attentions\.TIME\.norm\.', 'added.time.norm.'),
    (r'^attentions\.TIME\.attn\.in_proj_', 'added.time.qkv.'),
    (r'^attentions\.TIME\.attn\.out_proj\.', 'added.time.proj.'),
    (r'^attentions\.TIME\.temporal_fc\.', 'added.time.fc.'),
    (r'^(norms\.0|attentions\.SPACE\.norm)\.', 'attn.norm.'),
    (r'^attentions\.SPACE\.attn\.in_proj_', 'attn.qkv.'),
    (r'^attentions\.SPACE\.attn\.out_proj\.', 'attn.proj.'),
    (r'^(norms\.1|ffns\.0\.norm)\.', 'mlp.norm.'),
    (r'^ffns\.0\.layers\.0\.0\.', 'mlp.fc1.'),
    (r'^ffns\.0\.layers\.1\.', 'mlp.fc2.'),
)


def convert(state_dict: dict[str, Tensor]) -> dict[str, Tensor]:
    """Rename and reshape the weights of another implementation, whichever it is.

    Args:
        state_dict: As it is in the file.

    Returns:
        Weights of a `Recognizer3D` with a `TimeSformer` as `backbone` and, if the source has one, a
        `TimeSformerHead` as `cls_head`; in the order of the source.

    Raises:
        ValueError: If the entries are not those of a known source, with all names that are too
            many or too few.
    """
    names = {name: re.sub(r'^(model|timesformer|backbone)\.', '', name) for name in state_dict}
    if any(re.match(r'blocks\.\d+\.mlp\.norm\.', name) for name in names.values()):
        raise ValueError(
            'state_dict must come from another implementation, got weights that are mmotion '
            'TimeSformer already; use them as they are'
        )
    if not any(re.match(_BLOCKS, name) for name in names.values()):
        found = ', '.join(list(state_dict)[:3]) or 'nothing'
        raise ValueError(
            'state_dict must come from facebookresearch/TimeSformer, transformers, MMAction2 or a '
            f'ViT of timm, got {found}, ...'
        )
    patterns = _inside_patterns(list(names.values()))
    renamed = {name: _rename(short, patterns) for name, short in names.items()}
    converted = {
        new: _reshape(new, state_dict[old]) for old, new in renamed.items() if new is not None
    }
    unexpected = [old for old, new in renamed.items() if new is None]
    wanted = _wanted(converted)
    missing = sorted(wanted - converted.keys())
    unexpected += [old for old, new in renamed.items() if new is not None and new not in wanted]
    problems = [
        f'{what}: {", ".join(some)}'
        for what, some in (('missing', missing), ('unexpected', unexpected))
        if some
    ]
    if problems:
        raise ValueError(
            'state_dict must hold exactly the weights of a TimeSformer or ViT, got '
            f'{"; ".join(problems)} (missing ones in the names of mmotion)'
        )
    return converted


def _inside_patterns(names: list[str]) -> list[tuple[str, str]]:
    """How the parts of a block are renamed, given all names of the source."""
    if not any(name.startswith('transformer_layers.') for name in names):
        return list(_INSIDE)
    time, space = ('0', '1') if any('.attentions.1.' in name for name in names) else ('none', '0')
    return [
        (pattern.replace('TIME', time).replace('SPACE', space), new)
        for pattern, new in _INSIDE_MMACTION
    ]


def _rename(name: str, inside: Iterable[tuple[str, str]]) -> str | None:
    """The name that an entry has here, or None if it has none."""
    block = re.match(_BLOCKS, name)
    start = f'backbone.blocks.{block[1]}.' if block else ''
    rest = name[block.end() :] if block else name
    for pattern, new in inside if block else _OUTSIDE:
        renamed, count = re.subn(pattern, new, rest)
        if count:
            return start + renamed
    return None


def _reshape(name: str, value: Tensor) -> Tensor:
    """Drop the batch axis of embeddings, and make a linear layer of the convolution of patches."""
    if name.endswith(('cls_token', 'pos_embed', 'time_embed')):
        return value.reshape(-1) if name.endswith('cls_token') else value.flatten(0, -2)
    return value.flatten(1) if name == 'backbone.patch_embed.weight' else value


def _wanted(converted: Iterable[str]) -> set[str]:
    """All names of the model that these weights belong to."""
    found = set(converted)
    numbers = [int(name.split('.')[2]) for name in found if name.startswith('backbone.blocks.')]
    parts = ['attn.norm', 'attn.qkv', 'attn.proj', 'mlp.norm', 'mlp.fc1', 'mlp.fc2']
    divided = any('.added.' in name for name in found)
    if divided:
        parts += ['added.time.norm', 'added.time.qkv', 'added.time.proj', 'added.time.fc']
    layers = [f'backbone.blocks.{i}.{part}' for i in range(max(numbers) + 1) for part in parts]
    layers += ['backbone.patch_embed', 'backbone.norm']
    if any(name.startswith('cls_head.') for name in found):
        layers.append('cls_head.fc')
    wanted = {f'{layer}.{kind}' for layer in layers for kind in ('weight', 'bias')}
    wanted |= {'backbone.cls_token', 'backbone.pos_embed'}
    # attention in space alone has none
    if divided or 'backbone.time_embed' in found:
        wanted.add('backbone.time_embed')
    return wanted
