"""Weights of the reference implementation of BKinD to ours, and back.

Read: neuroethology/BKinD@9e73721, the training model (model/unsupervised_model.py) and the detector
(model/kpt_detector.py), which has no decoder. Its checkpoints are dicts with `epoch`, `state_dict`,
`best_loss` and `optimizer`.

Images must be normalised as there, by the mean and deviation of ImageNet.
"""

from torch import Tensor

# the predictor of the reference that is used, of four
_USED = 3


def convert(state_dict: dict[str, Tensor]) -> dict[str, Tensor]:
    """Rename the weights of the reference.

    Args:
        state_dict: Of its training model or detector.

    Returns:
        Weights of `BKinD`, in the order of the source. The predictors that the reference does not
        use are among them, `encoder.pose.unused.*`; a model leaves them out when it loads. Those of
        a detector lack the decoder, and are whole for a `KeypointEncoder` alone.

    Raises:
        ValueError: If they are ours already, or not those of the reference.
    """
    if any(name.startswith('encoder.pose.') for name in state_dict):
        raise ValueError(
            'state_dict must come from the reference implementation, got weights that are mmotion '
            'BKinD already; use them as they are'
        )
    names = {name.removeprefix('module.'): name for name in state_dict}
    prefixes = _list_prefixes()
    renamed = {name: _rename(name, prefixes) for name in names}
    unknown = [name for name, new in renamed.items() if new is None]
    missing = [old for old, _ in prefixes if not any(name.startswith(old) for name in names)]
    # a detector has no decoder at all
    if not any(name.startswith('decoder.') for name in names):
        missing = [old for old in missing if not old.startswith('decoder.')]
    problems = [
        f'{what}: {", ".join(some)}'
        for what, some in (('missing', missing), ('unexpected', unknown))
        if some
    ]
    if problems:
        raise ValueError(
            f'state_dict must come from neuroethology/BKinD, got {"; ".join(problems)}'
        )
    return {new: state_dict[names[old]] for old, new in renamed.items() if new is not None}


def to_reference(state_dict: dict[str, Tensor]) -> dict[str, Tensor]:
    """Rename our weights, with a ResNet-50 as encoder, to those of the reference's training model.

    The reference wants four predictors and uses one. Where the others are missing they become
    copies of it.

    Args:
        state_dict: Of `BKinD`.

    Raises:
        ValueError: If an entry has no name in the reference.
    """
    prefixes = [(ours, reference) for reference, ours in _list_prefixes()]
    renamed = {name: _rename(name, prefixes) for name in state_dict}
    unknown = [name for name, new in renamed.items() if new is None]
    if unknown:
        raise ValueError(f'state_dict must be that of a BKinD, got {", ".join(unknown)}')
    state = {new: state_dict[old] for old, new in renamed.items() if new is not None}
    used = f'kptNet.predict.{_USED}.'
    for name, value in list(state.items()):
        if name.startswith(used):
            for level in range(_USED):
                other = f'kptNet.predict.{level}.{name.removeprefix(used)}'
                state.setdefault(other, value.clone())
    return state


def _list_prefixes() -> list[tuple[str, str]]:
    """What names start with in the reference, and here."""
    pairs = [('encoder.', 'encoder.network.')]
    pairs += [(f'kptNet.laterals.{i}.', f'encoder.pose.laterals.{i}.') for i in range(4)]
    for i in range(3):
        # in the reference the resizing, which has no weights, is part 0
        pairs += [
            (f'kptNet.upsamples.{i}.{part + 1}.', f'encoder.pose.raises.{i}.{part}.')
            for part in (0, 1)
        ]
    parts = (('0', 'reduce.0'), ('1', 'reduce.1'), ('3', 'conv'), ('5', 'norm'))
    for i in range(4):
        head = 'predict' if i == _USED else f'unused.{i}'
        pairs += [
            (f'kptNet.predict.{i}.{old}.', f'encoder.pose.{head}.{new}.') for old, new in parts
        ]
    parts = (('conv1', 'conv1'), ('bn1', 'norm1'), ('conv2', 'conv2'), ('bn2', 'norm2'))
    for i in range(5):
        pairs += [
            (f'decoder.layer{i + 1}.{old}.', f'decoder.blocks.{i}.{new}.') for old, new in parts
        ]
    return [*pairs, ('decoder.conv_final.', 'decoder.head.')]


def _rename(name: str, prefixes: list[tuple[str, str]]) -> str | None:
    """Replace what a name starts with, or None if it starts otherwise."""
    for old, new in prefixes:
        if name.startswith(old):
            return new + name.removeprefix(old)
    return None
