"""What `mmotion predict` is told about a corpus of videos; imports nothing heavy."""

import argparse
import sys
from importlib.util import find_spec
from pathlib import Path

from mmotion.atomic import check_writable
from mmotion.cli.opened_model import open_model, set_predictor_options
from mmotion.corpus import ENGINES

# what is there for one video at a time, or is told by the columns of a manifest
NOT_FOR_MANY = ('videos', 'draw', 'attention', 'export', 'json_lines', 'start', 'end', 'regions')
NOT_FOR_MANY += ('resume',)
# reasons that are told at the end
SHOWN = 5
# of the options below, those that say nothing without a manifest
_DEFAULTS = {
    'engine': 'local',
    'workers': None,
    'gpus_per_worker': None,
    'video_root': None,
    'timeout_s': None,
    'json': False,
    'retry_failed': False,
    'embeddings': False,
}


def add_corpus_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of many videos."""
    group = parser.add_argument_group(
        'a corpus of videos, see docs/scale.md',
        'in place of VIDEO; results are Parquet files in OUT',
    )
    add = group.add_argument
    add(
        '--manifest',
        metavar='FILE',
        help='videos to predict: a table (.parquet, .csv, .tsv, .jsonl) with a column video, and '
        'perhaps id, start_s, end_s and regions; a list (.txt); a folder; or a pattern in quotes. '
        'A run that was stopped goes on',
    )
    add('--video-root', metavar='DIR', help='folder of relative paths; default: that of FILE')
    add(
        '--engine',
        choices=ENGINES,
        default='local',
        help='what runs the workers: processes of this machine, or Ray; default: local',
    )
    add(
        '--workers',
        type=int,
        metavar='N',
        help='processes, each with the model; default: one a core, or a share of a GPU',
    )
    add(
        '--gpus-per-worker',
        type=float,
        metavar='F',
        help='share of a GPU for each worker, such as 0.25',
    )
    add(
        '--timeout-s',
        type=float,
        metavar='S',
        help='give up a video that takes more than S seconds',
    )
    add('--json', action='store_true', help='write OUT/json/ID.json for each video too')
    add('--retry-failed', action='store_true', help='try videos again that failed before')
    add(
        '--embeddings',
        nargs='?',
        const=True,
        default=False,
        metavar='LAYER',
        help='write what a layer of the model gives too, averaged over place and time, such as '
        'backbone.blocks.3; default: backbone or encoder',
    )


def check_no_manifest(args: argparse.Namespace) -> None:
    """Refuse options of a corpus where there is none.

    Raises:
        ValueError: If there is one.
    """
    for name, value in _DEFAULTS.items():
        if getattr(args, name) != value:
            option = name.replace('_', '-')
            raise ValueError(f'--{option} must come with --manifest, got it without; leave it out')


def predict_manifest(args: argparse.Namespace) -> int:
    """Predict the videos of a manifest as the arguments say, and give the exit code.

    Raises:
        ImportError: If a package is not installed.
        ValueError: If an option is for one video at a time, or a value is out of range.
    """
    _check_options(args)
    missing = [name for name in ('pyarrow', 'fsspec', 'duckdb') if not find_spec(name)]
    if missing:
        raise ImportError(
            'a corpus must have the packages pyarrow, fsspec and duckdb, got no '
            f'{" and no ".join(missing)}; '
            'pip install "mmotion[corpus]"'
        )
    from mmotion.corpus.manifest import read_manifest

    # a manifest that is wrong is answered before torch is imported
    manifest = read_manifest(args.manifest, root=args.video_root)
    check_writable(args.out)
    from mmotion.corpus.run import choose_engine, run_corpus
    from mmotion.corpus.worker import Job
    from mmotion.regions import MARGIN

    model = open_model(args)
    set_predictor_options(args, model)
    out = Path(args.out)
    margin = MARGIN if args.region_margin is None else args.region_margin
    job = Job(
        load=model.load,
        fps=args.fps,
        region_margin=margin,
        json_dir=out / 'json' if args.json else None,
        timeout_s=args.timeout_s,
        embeddings=args.embeddings,
    )
    engine = choose_engine(
        args.engine,
        workers=args.workers,
        device=args.device,
        gpus_per_worker=args.gpus_per_worker,
    )
    asked = {'fps': args.fps, 'region_margin': margin}
    if args.embeddings:
        asked['embeddings'] = args.embeddings
    settings = model.describe_settings(args.model_path, asked)
    run = {**model.provenance, 'settings': settings}
    outcome = run_corpus(manifest, job, out, run=run, engine=engine, retry_failed=args.retry_failed)
    before = outcome.done + outcome.failed - outcome.new
    text = f'mmotion: {outcome.done:,} of {len(manifest):,} videos done, {outcome.failed:,} failed'
    print(text + (f', {before:,} of them before' if before else ''), file=sys.stderr)
    if outcome.failed:
        _tell_reasons(out)
    return 1 if outcome.failed else 0


def _tell_reasons(out: Path) -> None:
    """Say why videos failed, this time and before."""
    from mmotion.corpus.overview import group_reasons
    from mmotion.corpus.reading import open_results

    for number, reason, video in group_reasons(open_results(out))[:SHOWN]:
        print(f'mmotion: {number:,} failed, such as {video}: {reason}', file=sys.stderr)
    print(f'mmotion: "mmotion results {out}" tells more', file=sys.stderr)


def _check_options(args: argparse.Namespace) -> None:
    for name in NOT_FOR_MANY:
        if getattr(args, name):
            option = 'VIDEO' if name == 'videos' else f'--{name.replace("_", "-")}'
            why = {
                'start': ', whose columns start_s, end_s and regions tell that of each video',
                'resume': ', as a run over one always goes on with what is left',
            }
            tells = why.get('start' if name in ('end', 'regions') else name, '')
            raise ValueError(f'{option} must be left out with --manifest{tells}, got both')
    if args.workers is not None and args.workers < 1:
        raise ValueError(f'--workers must be at least 1, got --workers {args.workers}')
    if args.timeout_s is not None and not args.timeout_s > 0:
        raise ValueError(f'--timeout-s must be above 0, got --timeout-s {args.timeout_s:g}')
    if args.fps is not None and not 0 < args.fps < float('inf'):
        raise ValueError(f'--fps must be above 0 and finite, got --fps {args.fps:g}')
