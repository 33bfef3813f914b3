"""Count the parameters of a config's model and the multiply-adds of one pass over one clip.

A multiply-add counts as one FLOP, as fvcore has it and as papers print it. fvcore watches passes
over a clip, so this takes as long as the model does.

The column 'of the paper' has what a paper's formulas ask for, 'done' what the model does to get the
same logits; they differ where a model leaves out what does not reach its output.

Example:
    mmotion flops repnet_shapes --shape 64 64 64
"""

import argparse

from mmotion.cli.shared_arguments import add_config_options, read_config


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `mmotion flops`."""
    parser.add_argument('configs', metavar='CONFIG', nargs='+', help='paths or names of configs')
    parser.add_argument(
        '--shape',
        nargs=3,
        type=int,
        metavar=('T', 'H', 'W'),
        help='frames, height and width of a clip; default: those that the model is built for',
    )
    parser.add_argument('--views', type=int, default=3, help='clips that testing averages over')
    add_config_options(parser)


def run(args: argparse.Namespace) -> int:
    """Print one line a config."""
    import logging
    import warnings
    from pathlib import Path
    from typing import Any

    from mmotion.paths import find_config

    # all names are answered for before torch is imported, and before the first is built
    for name in args.configs:
        find_config(name)
    import torch

    from mmotion.inference.flops import AllTokens, Scorer, build_model, clip_shape, count_flops

    # the tracer warns of each shape that it takes for a constant
    logging.getLogger('fvcore').setLevel(logging.ERROR)
    warnings.filterwarnings('ignore', category=torch.jit.TracerWarning)
    # that torch.jit, which fvcore uses, will go
    warnings.filterwarnings('ignore', category=FutureWarning, module=r'(torch|fvcore)\.')
    warnings.filterwarnings('ignore', category=DeprecationWarning, module=r'(torch|fvcore)\.')
    row = '{:<30} {:>12} {:>12} {:>14} {:>14} {:>14}'
    views = f'TFLOPs, {args.views} views'
    print(row.format('', 'clip', 'million', 'GFLOPs a view', views, 'GFLOPs a view'))
    print(row.format('config', 'T x H x W', 'parameters', 'of the paper', 'of the paper', 'done'))
    for name in args.configs:
        config = read_config(name, args.cfg_options, 'model')
        shape = tuple(args.shape) if args.shape else clip_shape(config)
        if shape is None:
            raise ValueError(
                f'--shape must be given where a config does not say what clips it takes, got {name}'
            )
        model = build_model(config)
        parameters = sum(parameter.numel() for parameter in model.parameters())
        done = count_flops(Scorer(model), shape)
        backbone: Any = getattr(model, 'backbone', None)
        paper = count_flops(AllTokens(backbone), shape) if hasattr(backbone, 'tokens') else done
        numbers = (parameters / 1e6, paper / 1e9, args.views * paper / 1e12, done / 1e9)
        cells = (f'{number:.3f}' for number in numbers)
        print(row.format(Path(name).stem, 'x'.join(map(str, shape)), *cells))
    return 0
