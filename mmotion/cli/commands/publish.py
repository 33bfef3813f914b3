"""Make a small file of weights out of a training checkpoint, and write down its SHA-256.

Optimizer, schedules and log are left out; matrices are rounded to half precision, while biases and
the statistics of norms, which are few, stay as they are. `OUT.sha256` can be checked by
`sha256sum -c`, and is what `shipped_weights` of a config is checked against.

Example:
    mmotion publish work_dirs/repnet_small/epoch_8.pth repnet_small.pth --half
"""

import argparse
import hashlib
from pathlib import Path

from mmotion import __version__
from mmotion.atomic import write_atomically


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `mmotion publish`."""
    parser.add_argument('source', type=Path, metavar='IN', help='checkpoint of a training run')
    parser.add_argument('target', type=Path, metavar='OUT', help='file to write')
    parser.add_argument('--half', action='store_true', help='round matrices to float16')


def run(args: argparse.Namespace) -> int:
    """Publish one checkpoint and print what came out."""
    digest = publish(args.source, args.target, half=args.half)
    print(f'{args.target}: {args.target.stat().st_size / 1e6:.2f} MB, SHA-256 {digest}')
    return 0


def publish(source: Path, target: Path, *, half: bool = False) -> str:
    """Write the weights of a checkpoint to a file of their own.

    Args:
        source: Checkpoint of a training run.
        target: Where to write; `<target>.sha256` lies beside it.
        half: Round matrices, that is tensors of two dimensions and more, to float16.

    Returns:
        The SHA-256 of the new file.

    Raises:
        CheckpointError: If the source cannot be read or holds no weights.
    """
    from mmotion.checkpoint import find_state_dict, load_checkpoint_file, save_checkpoint_file

    weights = find_state_dict(load_checkpoint_file(source), source=source)
    if half:
        weights = {
            name: tensor.half() if tensor.ndim > 1 and tensor.is_floating_point() else tensor
            for name, tensor in weights.items()
        }
    save_checkpoint_file({'meta': {'mmotion_version': __version__}, 'state_dict': weights}, target)
    digest = hashlib.sha256(target.read_bytes()).hexdigest()
    with write_atomically(Path(f'{target}.sha256')) as temporary:
        temporary.write_text(f'{digest}  {target.name}\n', encoding='utf-8')
    return digest
