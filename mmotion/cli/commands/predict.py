"""Find out about your own videos.

What a predictor can be told differs from config to config: `mmotion predict CONFIG --help` lists
the options of that config's predictor as well, which are set as `--predictor.NAME VALUE`.

Example:
    mmotion predict repnet_small workout.mp4 --draw
    mmotion predict repnet_small rtsp://camera.local/gym --stats
    mmotion predict repnet_small --manifest videos.csv --out corpus --workers 2
    mmotion predict repnet_small --help
"""

import argparse
import dataclasses
import sys
from contextlib import nullcontext, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from mmotion.atomic import check_not_kept, check_writable, keep_files
from mmotion.cli.corpus_arguments import (
    add_corpus_arguments,
    check_no_manifest,
    predict_manifest,
)
from mmotion.cli.live_arguments import (
    LIVE_HELP,
    add_live_arguments,
    open_alarm,
    open_live,
    watch_live,
)
from mmotion.cli.model_arguments import add_model_arguments, add_predictor_options
from mmotion.cli.opened_model import open_model, set_predictor_options
from mmotion.cli.shared_arguments import add_config_arguments, choice_before

if TYPE_CHECKING:
    from mmotion.video.live import LiveVideo

# what --draw can be told
DRAWINGS = ('video', 'gif', 'sheet')
HOW_TO_GO_ON = '; "--resume" goes on with the videos that are left'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `mmotion predict`."""
    add_config_arguments(parser)
    parser.add_argument(
        '--fps',
        type=float,
        metavar='F',
        help='frames per second of folders of pictures and of keypoints in .npy, and of videos '
        'whose own are wrong',
    )
    parser.add_argument('--out', metavar='DIR', default='results', help='default: results')
    parser.add_argument(
        '--resume',
        action='store_true',
        help='pass over the videos whose results are there, made from the same file by the same '
        'config, weights and options',
    )
    parser.add_argument(
        '--draw',
        nargs='?',
        action='append',
        default=[],
        const='video',
        type=choice_before('VIDEO', '--draw', DRAWINGS),
        choices=DRAWINGS,
        help='draw the results: plots and a video; besides, its first seconds as a small GIF, or a '
        'sheet of stills; may be given again',
    )
    parser.add_argument(
        '--attention', action='store_true', help='draw where the model looks, if it can tell'
    )
    parser.add_argument(
        '--export',
        nargs='+',
        action='extend',
        default=[],
        metavar='FORMAT',
        help='write files for other programs too, in formats that the predictor knows',
    )
    parser.add_argument(
        '--json-lines',
        metavar='FILE',
        help='write each result while a video goes on as a line of JSON, to FILE or - for stdout, '
        'and nothing else',
    )
    parser.add_argument('--start', type=float, default=0.0, metavar='S', help='from second S on')
    parser.add_argument('--end', type=float, metavar='S', help='up to second S')
    parser.add_argument(
        '--regions',
        nargs='+',
        action='extend',
        metavar='BOX',
        help='look at parts of the picture, each by itself: [NAME=]X1,Y1,X2,Y2 in pixels, or a '
        'JSON file of regions or of what a detector has found',
    )
    parser.add_argument(
        '--region-margin',
        type=float,
        metavar='SHARE',
        help='part of its width and height to see around a region; default: 0.1',
    )
    add_model_arguments(parser)
    add_live_arguments(parser)
    add_corpus_arguments(parser)
    parser.epilog = f'{parser.epilog}\n{LIVE_HELP}'


def add_more_arguments(parser: argparse.ArgumentParser, words: list[str]) -> None:
    """Add the videos, and the options of the predictor of the config if they are asked for.

    Args:
        parser: Of `mmotion predict`.
        words: What a user has typed.

    Raises:
        ValueError: If such options come without a config before them.
    """
    has_manifest = any(word.partition('=')[0] == '--manifest' for word in words)
    parser.add_argument(
        'videos',
        metavar='VIDEO',
        # argparse takes none, where there may be none, before it comes to those behind options
        nargs='*' if has_manifest else '+',
        help='a file, a folder of videos, a folder of pictures, a pattern in quotes; or a camera '
        'or stream, see below',
    )
    add_predictor_options(parser, words)


def run(args: argparse.Namespace) -> int:
    """Predict as the arguments say."""
    if args.manifest:
        try:
            return predict_manifest(args)
        except KeyboardInterrupt as stop:
            stop.how_to_go_on = '; the same command goes on with the videos that are left'
            raise
    check_no_manifest(args)
    live = open_live(args)
    if live and not args.json_lines:
        args.json_lines = '-'
    try:
        if args.json_lines != '-':
            return _run_predictor(args, None, live)
        # whoever reads the lines wants nothing else
        stdout = sys.stdout
        with redirect_stdout(sys.stderr):
            return _run_predictor(args, stdout, live)
    except KeyboardInterrupt as stop:
        # lines are not gone on with, nor is a camera
        if args.json_lines:
            stop.how_to_go_on = ''
        raise


def _run_predictor(args: argparse.Namespace, lines: TextIO | None, live: 'LiveVideo | None') -> int:
    """Predict; `lines` is where JSON lines go if they go to no file."""
    # torch comes later: a video that is not there is answered at once
    from mmotion.video.files import find_videos

    _check_options(args)
    videos = [] if live else find_videos(args.videos, with_pictures=True)
    if args.json_lines and Path(args.json_lines).resolve() in {v.resolve() for v in videos}:
        raise ValueError(f'--json-lines must not name a VIDEO, got {args.json_lines}')
    if args.json_lines not in (None, '-'):
        with keep_files(videos):
            check_not_kept(args.json_lines)
    if args.json_lines and not lines:
        check_writable(Path(args.json_lines).parent)
    regions = []
    if args.regions:
        from mmotion.regions.files import read_regions

        regions = read_regions(args.regions)
    from mmotion.inference.lines import LineFile
    from mmotion.inference.many_videos import predict_videos, stream_videos
    from mmotion.inference.outputs import Outputs

    model = open_model(args)
    kind, config = model.kind, model.config
    outputs = Outputs(
        out_dir=Path(args.out),
        draw=bool(args.draw),
        stills=[kind for kind in dict.fromkeys(args.draw) if kind != 'video'],
        attention=args.attention,
        export=args.export,
        provenance={
            **model.provenance,
            **({} if args.fps is None else {'fps_given': args.fps}),
        },
    )
    if not args.json_lines:
        outputs.check(kind)
    # a class that nobody knows is refused, with the names near it, when it is to be built
    unknown = [v for v in videos if args.fps is None and kind and kind.needs_fps(v, config)]
    if unknown:
        raise ValueError(
            '--fps must be given for pictures, and for keypoints that do not tell it, got none for '
            f'{unknown[0]}; --fps 30 is the most usual'
        )
    set_predictor_options(args, model)
    alarm = open_alarm(args.on_alarm, kind, live.name) if live else None
    predictor = model.load(device=args.device)
    times = {'fps': args.fps, 'start_s': args.start, 'end_s': args.end}
    if args.json_lines:
        with nullcontext(lines) if lines else LineFile(Path(args.json_lines)) as target:
            if live:
                return watch_live(args, predictor, live, alarm, target)
            failed = stream_videos(predictor, videos, target, **times, debug=args.debug)
        return 1 if failed else 0
    margin = {} if args.region_margin is None else {'region_margin': args.region_margin}
    asked = {**times, **margin, 'regions': [region.to_dict() for region in regions]}
    settings = model.describe_settings(args.model_path, asked)
    outputs = dataclasses.replace(outputs, settings=settings)
    asked['regions'] = regions
    failed = predict_videos(
        predictor, videos, outputs, **asked, resume=args.resume, debug=args.debug
    )
    return 1 if failed else 0


def _check_options(args: argparse.Namespace) -> None:
    """Refuse values that are out of range, and options that do not go together.

    Raises:
        ValueError: If there is one.
    """
    if args.fps is not None and not 0 < args.fps < float('inf'):
        raise ValueError(f'--fps must be above 0 and finite, got --fps {args.fps:g}')
    # written so that NaN fails as well
    if not 0 <= args.start < float('inf') or not (args.end is None or args.start < args.end):
        raise ValueError(
            '--start must not be negative and --end must come after it, got '
            f'--start {args.start:g}' + ('' if args.end is None else f' --end {args.end:g}')
        )
    margin = args.region_margin
    if margin is not None and not (args.regions and 0 <= margin < float('inf')):
        raise ValueError(
            '--region-margin must be at least 0 and come with --regions, got '
            f'--region-margin {margin:g}' + ('' if args.regions else ' without --regions')
        )
    for option in ('draw', 'attention', 'regions', 'export', 'resume'):
        if args.json_lines and getattr(args, option):
            raise ValueError(f'--json-lines must come without --{option}, got both; leave out one')
    if args.regions and args.attention:
        raise ValueError('--attention must come without --regions, got both; leave out one')
