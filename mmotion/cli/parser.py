"""The command line: `mmotion train | test | predict | extract-keypoints | list | doctor | convert`.

Exit codes: 0 all done, 1 some failed (named at the end), 2 wrong use. What a user can get wrong is
answered in one line on stderr; `--debug`, or `MMOTION_DEBUG=1`, shows the traceback instead.

Nothing heavy is imported before it is known what to do, so that `--help` answers at once.
"""

import argparse
import inspect
import os
import sys
from collections.abc import Sequence
from contextlib import nullcontext, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from mmotion import __version__
from mmotion.cli.arguments import (
    add_convert_arguments,
    add_extract_arguments,
    add_list_arguments,
    add_predict_arguments,
    add_test_arguments,
    add_train_arguments,
)

if TYPE_CHECKING:
    from mmengine.config import Config

USAGE_ERROR = 2
INTERRUPTED = 130  # what a shell reports for Ctrl-C
# what bad input raises; anything else is a defect and shows its traceback
EXPECTED_ERRORS = (ValueError, TypeError, OSError, LookupError, ImportError)
DUMP_SUFFIXES = ('.json', '.pkl', '.pickle')
# what to do after Ctrl-C
HOW_TO_GO_ON = {
    'train': '; "--resume" goes on from the last checkpoint',
    'extract-keypoints': '; the same command goes on with the videos that are left',
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        argv: Arguments after the program's name, those of the process by default.

    Returns:
        The exit code.
    """
    parser = build_parser()
    try:
        args = parser.parse_args(argv)
    except SystemExit as stop:
        return int(stop.code or 0)
    if args.command is None:
        parser.print_help(sys.stderr)
        return USAGE_ERROR
    debug = args.debug or os.environ.get('MMOTION_DEBUG', '0') not in ('', '0')
    try:
        return args.run(args)
    except KeyboardInterrupt:
        print(f'\nmmotion: stopped{HOW_TO_GO_ON.get(args.command, "")}', file=sys.stderr)
        return INTERRUPTED
    except EXPECTED_ERRORS as error:
        if debug:
            raise
        message = error.args[0] if isinstance(error, KeyError) and error.args else error
        print(f'mmotion: error: {message}', file=sys.stderr)
        print('mmotion: (--debug shows where it was raised)', file=sys.stderr)
        return USAGE_ERROR


def build_parser() -> argparse.ArgumentParser:
    """Build the parser of all commands; imports nothing."""
    parser = argparse.ArgumentParser(
        prog='mmotion', description='Understand motion in video.', allow_abbrev=False
    )
    parser.add_argument('--version', action='version', version=f'mmotion {__version__}')
    commands = parser.add_subparsers(dest='command', metavar='COMMAND')
    for name, run, summary, add_arguments in (
        ('train', _train, 'train a model', add_train_arguments),
        ('test', _test, 'measure a trained model on its test set', add_test_arguments),
        ('predict', _predict, 'find out about your own videos', add_predict_arguments),
        (
            'extract-keypoints',
            _extract_keypoints,
            'find people and their keypoints in videos, a JSON file for each',
            add_extract_arguments,
        ),
        ('list', _list, 'list configs, systems or registered names', add_list_arguments),
        ('doctor', _doctor, 'check this installation', None),
        ('convert', _convert, 'convert released weights to ours', add_convert_arguments),
    ):
        command = commands.add_parser(name, help=summary, description=summary, allow_abbrev=False)
        command.add_argument('--debug', action='store_true', help='show tracebacks of errors')
        command.set_defaults(run=run)
        if add_arguments is not None:
            add_arguments(command)
    return parser


def _load_config(args: argparse.Namespace, *required: str) -> 'Config':
    """Load the config of a command, and check that it can be used for it."""
    from mmotion.compat import apply_compat

    apply_compat()
    from mmengine.config import DictAction

    from mmotion.config import load_config

    # mmengine's action knows how values are written; it is too slow to import for `--help`
    reader = argparse.ArgumentParser(add_help=False)
    reader.add_argument('--options', nargs='+', action=DictAction)
    options = (
        reader.parse_args(['--options', *args.cfg_options]).options if args.cfg_options else {}
    )
    config = load_config(args.config, options)
    missing = [key for key in required if config.get(key) is None]
    if missing:
        raise ValueError(
            f'a config must have {", ".join(required)} for this command, got '
            f'{config.filename} without {", ".join(missing)}'
        )
    return config


def _train(args: argparse.Namespace) -> int:
    _set_local_rank(args)
    config = _load_config(args, 'model', 'train_dataloader', 'train_cfg', 'optim_wrapper')
    from mmengine.device import get_device

    from mmotion.training.memory import keep_freed_memory
    from mmotion.training.runner import build_runner, stop_processes

    if get_device() == 'cpu':
        keep_freed_memory()

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
    )
    try:
        runner.train()
    except EXPECTED_ERRORS as error:
        # once it runs, it is no wrong use, and the traceback is wanted
        if runner.iter:
            raise RuntimeError(f'training failed after {runner.iter} steps: {error}') from error
        raise
    runner.logger.info(f'training is done: {runner.work_dir}')
    stop_processes()
    return 0


def _test(args: argparse.Namespace) -> int:
    _set_local_rank(args)
    if args.dump and Path(args.dump).suffix not in DUMP_SUFFIXES:
        raise ValueError(
            f'--dump must end in one of {", ".join(DUMP_SUFFIXES)}, got --dump {args.dump}'
        )
    config = _load_config(args, 'model', 'test_dataloader', 'test_cfg', 'test_evaluator')
    from mmotion.checkpoint import find_weights

    checkpoint = find_weights(config, args.checkpoint)
    if checkpoint is None:
        raise ValueError(f'CHECKPOINT must be given, as no weights ship with {config.filename}')
    from mmotion.training.runner import build_runner, stop_processes

    added_hooks: list[dict[str, Any]] = []
    if args.dump and Path(args.dump).suffix == '.json':
        added_hooks.append({'type': 'WriteResultsHook', 'path': args.dump})
    elif args.dump:
        evaluators = config.test_evaluator
        evaluators = evaluators if isinstance(evaluators, list) else [evaluators]
        config.test_evaluator = [*evaluators, {'type': 'DumpResults', 'out_file_path': args.dump}]
    if args.show_dir:
        added_hooks.append({'type': 'ShowResultsHook', 'out_dir': args.show_dir})
    config.custom_hooks = [*(config.get('custom_hooks') or []), *added_hooks]
    runner = build_runner(
        config, work_dir=args.work_dir, load_from=str(checkpoint), launcher=args.launcher
    )
    runner.test()
    stop_processes()
    return 0


def _predict(args: argparse.Namespace) -> int:
    if args.json_lines != '-':
        return _run_predictor(args, None)
    # whoever reads the lines wants nothing else
    stdout = sys.stdout
    try:
        with redirect_stdout(sys.stderr):
            return _run_predictor(args, stdout)
    except BrokenPipeError:
        # the reader has enough; what is still in the buffer must not fail when Python ends
        os.dup2(os.open(os.devnull, os.O_WRONLY), stdout.fileno())
        return 0


def _run_predictor(args: argparse.Namespace, lines: TextIO | None) -> int:
    """Predict; `lines` is where JSON lines go if they go to no file."""
    from mmotion.inference.many_videos import Outputs, predict_videos, stream_videos
    from mmotion.video.files import find_videos

    if args.start < 0 or (args.end is not None and args.end <= args.start):
        raise ValueError(
            '--start must not be negative and --end must come after it, got '
            f'--start {args.start:g}' + ('' if args.end is None else f' --end {args.end:g}')
        )
    from mmotion.regions import MARGIN

    margin = MARGIN if args.region_margin is None else args.region_margin
    if args.region_margin is not None and not (args.regions and 0 <= margin < float('inf')):
        raise ValueError(
            '--region-margin must be at least 0 and come with --regions, got '
            f'--region-margin {margin:g}' + ('' if args.regions else ' without --regions')
        )
    for option in ('draw', 'attention', 'regions', 'export'):
        if args.json_lines and getattr(args, option):
            raise ValueError(f'--json-lines must come without --{option}, got both; leave out one')
    for option in ('attention', 'export'):
        if args.regions and getattr(args, option):
            raise ValueError(f'--{option} must come without --regions, got both; leave out one')
    if args.model_path and not args.detector:
        raise ValueError(
            '--model-path must come with --detector, got --model-path alone; add --detector NAME'
        )
    videos = find_videos(args.videos, with_pictures=True)
    if args.json_lines and Path(args.json_lines).resolve() in {v.resolve() for v in videos}:
        raise ValueError(f'--json-lines must not name a VIDEO, got {args.json_lines}')
    regions = []
    if args.regions:
        from mmotion.regions.files import read_regions

        regions = read_regions(args.regions)
    config = _load_config(args, 'model', 'predictor')
    from mmotion.inference import load_model
    from mmotion.registry import PREDICTORS

    kind = PREDICTORS.get(config.predictor.type)
    outputs = Outputs(
        out_dir=Path(args.out),
        draw=args.draw,
        attention=args.attention,
        export=args.export,
        provenance={
            'config': str(config.filename),
            'checkpoint': args.checkpoint or config.get('shipped_weights'),
        },
    )
    outputs.check(kind)
    if args.detector:
        if 'detector' not in inspect.signature(kind).parameters:
            raise ValueError(
                '--detector must be used with a model that reads keypoints, got the predictor '
                f'{kind.__name__}; leave it out'
            )
        config.predictor.update(detector=args.detector, model_path=args.model_path)
    predictor = load_model(config, args.checkpoint, device=args.device)
    if args.json_lines:
        file = Path(args.json_lines)
        if lines is None:
            file.parent.mkdir(parents=True, exist_ok=True)
        with nullcontext(lines) if lines else file.open('w', encoding='utf-8') as target:
            times = {'fps': args.fps, 'start_s': args.start, 'end_s': args.end}
            return 1 if stream_videos(predictor, videos, target, **times) else 0
    failed = predict_videos(
        predictor,
        videos,
        outputs,
        fps=args.fps,
        start_s=args.start,
        end_s=args.end,
        regions=regions,
        region_margin=margin,
    )
    return 1 if failed else 0


def _extract_keypoints(args: argparse.Namespace) -> int:
    from functools import partial

    from mmotion.keypoints.detectors import DEFAULT_DETECTOR, build_detector
    from mmotion.keypoints.extraction import extract_keypoints

    failed = extract_keypoints(
        args.videos,
        args.out,
        partial(
            build_detector,
            args.detector or DEFAULT_DETECTOR,
            args.model_path,
            args.device,
        ),
        every=args.every,
        keep=args.keep,
        batch_size=args.batch_size,
        workers=args.workers,
    )
    return 1 if failed else 0


def _list(args: argparse.Namespace) -> int:
    from mmotion.cli.catalog import list_entries

    entries = list_entries(args.kind)
    width = max((len(name) for name, _ in entries), default=0)
    for name, description in entries:
        print(f'{name:<{width}}  {description}'.rstrip())
    return 0


def _doctor(args: argparse.Namespace) -> int:
    from mmotion.cli.doctor import check_installation

    checks = check_installation()
    print('\n'.join(map(str, checks)))
    return 1 if any(check.remedy is not None for check in checks) else 0


def _convert(args: argparse.Namespace) -> int:
    from mmotion.checkpoint import find_state_dict, load_checkpoint_file, save_checkpoint_file
    from mmotion.cli.catalog import import_converter

    convert = import_converter(args.system)
    source = load_checkpoint_file(args.source)
    weights = convert(find_state_dict(source, source=args.source))
    meta = {'system': args.system, 'converted_from': Path(args.source).name}
    save_checkpoint_file({'meta': meta, 'state_dict': weights}, args.target)
    print(f'{len(weights)} tensors written to {args.target}')
    return 0


def _set_local_rank(args: argparse.Namespace) -> None:
    if args.local_rank is not None:
        os.environ.setdefault('LOCAL_RANK', str(args.local_rank))


if __name__ == '__main__':
    sys.exit(main())
