"""Train a model."""

import argparse
import sys
from pathlib import Path

from mmotion.cli.shared_arguments import (
    add_config_arguments,
    add_run_arguments,
    choice_before,
    read_config,
    set_local_rank,
)

# what --logger can be told
LOGGERS = ('tensorboard', 'wandb')
HOW_TO_GO_ON = '; "--resume" goes on from the last checkpoint'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `mmotion train`."""
    add_config_arguments(parser)
    add_run_arguments(parser)
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        metavar='CKPT',
        help='go on from a checkpoint, by default from the last one in the work dir',
    )
    parser.add_argument(
        '--stretch-schedule',
        action='store_true',
        help='with --resume: follow the schedule of the config, for instance of more epochs, not '
        'that of the checkpoint',
    )
    parser.add_argument('--amp', action='store_true', help='train in mixed precision')
    parser.add_argument('--compile', action='store_true', help='compile the networks of the model')
    parser.add_argument('--seed', type=int, help='seed of all random numbers')
    parser.add_argument(
        '--auto-scale-lr', action='store_true', help='scale the learning rate by the batch size'
    )
    parser.add_argument(
        '--logger',
        nargs='+',
        action='extend',
        default=[],
        type=choice_before('CONFIG', '--logger', LOGGERS),
        choices=LOGGERS,
        help='write curves for these programs too; pip install "mmotion[track]"',
    )
    parser.add_argument('--no-validate', action='store_true', help='skip validation')


def run(args: argparse.Namespace) -> int:
    """Train as the arguments say."""
    set_local_rank(args)
    needed = ('model', 'train_dataloader', 'train_cfg', 'optim_wrapper')
    config = read_config(args.config, args.cfg_options, *needed)
    from mmengine.device import get_device

    from mmotion.cli.parser import EXPECTED_ERRORS, FAILED
    from mmotion.training.divergence import DivergedError
    from mmotion.training.farewell import describe_end
    from mmotion.training.memory import keep_freed_memory
    from mmotion.training.processes import stop_processes
    from mmotion.training.resuming import find_work_dir, hold_work_dir
    from mmotion.training.runner import build_runner
    from mmotion.training.trackers import add_loggers

    add_loggers(config, args.logger)
    if get_device() == 'cpu':
        keep_freed_memory()

    work_dir = find_work_dir(config, args.work_dir)
    if work_dir.is_dir() and (args.launcher or config.get('launcher') or 'none') == 'none':
        # a runner leaves its logs there as soon as it is built, before it is refused
        with hold_work_dir(work_dir):
            pass
    runner = build_runner(
        config,
        work_dir=args.work_dir,
        resume=args.resume,
        amp=args.amp,
        compile=args.compile,
        seed=args.seed,
        launcher=args.launcher,
        auto_scale_lr=args.auto_scale_lr,
        validate=not args.no_validate,
        stretch_schedule=args.stretch_schedule,
    )
    try:
        runner.train()
    except DivergedError as error:
        if args.debug:
            raise
        print(f'mmotion: error: {error}', file=sys.stderr)
        return FAILED
    except BrokenPipeError:
        raise
    except EXPECTED_ERRORS as error:
        # once it runs, it is no wrong use, and the traceback is wanted
        if runner.iter:
            raise RuntimeError(f'training failed after {runner.iter} steps: {error}') from error
        raise
    # what was changed on the command line is in the config that the run has left
    left = work_dir / Path(str(config.filename)).name
    runner.logger.info(describe_end(runner, str(left) if args.cfg_options else args.config))
    stop_processes()
    return 0
