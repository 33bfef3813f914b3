r"""Plot the learning rate or the momentum of a config over its training.

The model and its optimizer are built, so that rates of their own for some layers are seen: of many
the lowest and the highest are drawn, and what is between them. The data set tells how many steps an
epoch has; where it is not there, --epoch-length does.

Example:
    mmotion plot-schedule repnet_shapes --out schedule.png
    mmotion plot-schedule timesformer_k400_tiny --epoch-length 300 --cfg-options \
        optim_wrapper.optimizer.lr=0.01
"""

import argparse
import copy
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmotion.cli.shared_arguments import add_config_arguments, read_config

if TYPE_CHECKING:
    from mmengine.config import Config

MAX_POINTS = 5000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `mmotion plot-schedule`."""
    add_config_arguments(parser)
    add = parser.add_argument
    add('--parameter', choices=('lr', 'momentum'), default='lr', help='default: lr')
    add('--epoch-length', type=int, metavar='N', help='steps of an epoch; default: by the data')
    add('--out', type=Path, metavar='FILE', help='default: NAME_lr.png')


def run(args: argparse.Namespace) -> int:
    """Go through the training without training, and draw."""
    if args.epoch_length is not None and args.epoch_length < 1:
        raise ValueError(f'--epoch-length must be at least 1, got {args.epoch_length}')
    needed = ('model', 'train_cfg', 'train_dataloader', 'optim_wrapper')
    config = read_config(args.config, args.cfg_options, *needed)
    from matplotlib.figure import Figure
    from mmengine.registry import init_default_scope

    from mmotion.visualization import PLOT_LINE, save_figure, style_axes

    init_default_scope(config.get('default_scope', 'mmotion'))
    length = args.epoch_length or count_steps(config)
    lows, highs = zip(*list_ranges(config, length, args.parameter), strict=True)
    name = Path(str(config.filename)).stem
    out = args.out or Path(f'{name}_{args.parameter}.png')
    figure = Figure(figsize=(9, 4), layout='constrained')
    axes = figure.subplots()
    # of millions of steps no more are seen
    shown = slice(None, None, -(-len(highs) // MAX_POINTS))
    epochs = [step / length for step in range(len(highs))][shown]
    axes.plot(epochs, highs[shown], color=PLOT_LINE, lw=2)
    if lows != highs:
        axes.plot(epochs, lows[shown], color=PLOT_LINE, lw=1)
        axes.fill_between(epochs, lows[shown], highs[shown], color=PLOT_LINE, alpha=0.2, lw=0)
    axes.set(title=f'{name}: {args.parameter}', ylabel=args.parameter)
    axes.set(xlabel=f'epoch of {length} steps', xlim=(0, epochs[-1] or 1))
    style_axes(axes)
    save_figure(figure, out)
    print(
        f'{args.parameter} of {len(highs):,} steps, {length:,} an epoch: begins at {highs[0]:.4g}, '
        f'highest {max(highs):.4g}, ends at {highs[-1]:.4g}: {out}'
    )
    return 0


def count_steps(config: 'Config') -> int:
    """Steps of an epoch, by the data set that is trained on.

    Raises:
        ValueError: If it cannot be built.
    """
    from mmotion.training.runner import Runner

    try:
        return len(Runner.build_dataloader(copy.deepcopy(config.train_dataloader)))
    except (OSError, ValueError) as error:
        raise ValueError(
            f'--epoch-length must be given where the data are not there, got none and "{error}"'
        ) from error


def list_ranges(config: 'Config', epoch_length: int, parameter: str) -> list[tuple[float, float]]:
    """The lowest and the highest rate, or momentum, of all parameters, at each step of a training.

    Args:
        config: Its model, optimizer and schedule are built, with random weights.
        epoch_length: Steps of an epoch.
        parameter: 'lr' or 'momentum'.
    """
    import warnings

    from mmengine.optim import build_optim_wrapper
    from mmengine.registry import PARAM_SCHEDULERS

    from mmotion.registry import MODELS
    from mmotion.training.schedule import fit_schedule, list_parts

    optimizer: Any = build_optim_wrapper(MODELS.build(config.model), config.optim_wrapper)
    max_epochs, max_iters = (config.train_cfg.get(f'max_{unit}') for unit in ('epochs', 'iters'))
    max_iters = max_iters or max_epochs * epoch_length
    max_epochs = max_epochs or -(-max_iters // epoch_length)
    schedule = copy.deepcopy(config.get('param_scheduler') or [])
    fit_schedule(schedule, max_epochs=max_epochs, max_iters=max_iters, epoch_length=epoch_length)
    given: dict[str, Any] = {'optimizer': optimizer, 'epoch_length': epoch_length}
    schedulers = []
    for _, part in list_parts(schedule):
        end = max_epochs if part.get('by_epoch', True) else max_iters
        schedulers.append(PARAM_SCHEDULERS.build({'end': end, **part}, default_args=given))
    read = optimizer.get_lr if parameter == 'lr' else optimizer.get_momentum
    ranges = []
    with warnings.catch_warnings():
        # that no step was taken
        warnings.simplefilter('ignore', UserWarning)
        for step in range(1, max_iters + 1):
            values = read()[parameter]
            ranges.append((min(values), max(values)))
            for scheduler in schedulers:
                if not scheduler.by_epoch or step % epoch_length == 0:
                    scheduler.step()
    return ranges
