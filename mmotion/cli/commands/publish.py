"""Make a small file, or a folder to hand on, out of a training checkpoint.

Optimizer, schedules and log are left out. To a folder, the weights are written as safetensors, with
what a prediction needs of the config, a model card and the SHA-256 of each: `load_model(FOLDER)`
reads it, and "mmotion push" uploads it. A file `OUT.pth` has the weights and the names of the
classes, and beside it lies `OUT.pth.sha256`, which `sha256sum -c` reads, for `shipped_weights` of a
config.

Example:
    mmotion publish work_dirs/repnet_small/epoch_8.pth repnet_small --config repnet_small
"""

import argparse
from pathlib import Path

from mmotion.atomic import write_atomically
from mmotion.cli.shared_arguments import add_config_options, read_config


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `mmotion publish`."""
    parser.add_argument('source', type=Path, metavar='IN', help='checkpoint of a training run')
    parser.add_argument('target', type=Path, metavar='OUT', help='folder, or file.pth, to write')
    parser.add_argument('--config', metavar='CONFIG', help='of the training run, for a folder')
    add_config_options(parser)
    parser.add_argument('--half', action='store_true', help='round matrices to float16')
    parser.add_argument(
        '--licence', default='other', help='for the model card, by SPDX: apache-2.0, cc-by-4.0, ...'
    )


def run(args: argparse.Namespace) -> int:
    """Publish one checkpoint and print what came out."""
    if args.target.suffix == '.pth':
        digest = publish(args.source, args.target, half=args.half)
        print(f'{args.target}: {args.target.stat().st_size / 1e6:.2f} MB, SHA-256 {digest}')
        return 0
    if not args.config:
        raise ValueError(
            f'--config must be given to publish a folder, got OUT {args.target}; name the config '
            'of the training run, or end OUT in .pth to write one file'
        )
    config = read_config(args.config, args.cfg_options, 'model', 'predictor', 'test_pipeline')
    from mmotion.inference.published import SUMS, write_published

    options = {'half': args.half, 'licence': args.licence}
    folder = write_published(args.target, config, args.source, **options)
    print(f'{folder}:\n{(folder / SUMS).read_text(encoding="utf-8")}', end='')
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
    from mmotion.checkpoint.downloads import hash_file
    from mmotion.inference.published import choose_meta, round_matrices

    loaded = load_checkpoint_file(source)
    weights = find_state_dict(loaded, source=source)
    weights = round_matrices(weights) if half else weights
    save_checkpoint_file({'meta': choose_meta(loaded), 'state_dict': weights}, target)
    digest = hash_file(target)
    with write_atomically(Path(f'{target}.sha256')) as temporary:
        temporary.write_text(f'{digest}  {target.name}\n', encoding='utf-8')
    return digest
