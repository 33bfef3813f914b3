"""Watch several cameras at once, in one process and by one model.

CAMERAS is a file of YAML with a name and an address for each, and options if need be:

    door: rtsp://camera.local/door
    belt: {url: "http://camera.local/belt.mjpg", queue: 16}
    test: {url: workout.mp4, realtime: true}

Addresses are those of "mmotion predict". Options are fps, stall_s, retries, queue, on_alarm, and
realtime for a video file that is played as a camera would give it. docs/live.md tells more.

Example:
    mmotion watch repnet_small cameras.yaml --stats
    mmotion watch anomaly_folder cameras.yaml --checkpoint belt.pth --on-alarm ./siren.sh
"""

import argparse
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from mmotion.atomic import check_not_kept, check_writable
from mmotion.cli.live_arguments import add_watch_arguments, open_alarm
from mmotion.cli.model_arguments import add_model_arguments, add_predictor_options
from mmotion.cli.opened_model import open_model, set_predictor_options
from mmotion.cli.shared_arguments import add_config_arguments

if TYPE_CHECKING:
    from mmotion.inference.camera_list import Camera
    from mmotion.inference.lines import LineFile

# cameras are not gone on with
HOW_TO_GO_ON = ''


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `mmotion watch`."""
    add_config_arguments(parser)
    parser.add_argument('cameras', metavar='CAMERAS', help='a YAML or JSON file, see above')
    parser.add_argument(
        '--json-lines',
        metavar='FILE',
        default='-',
        help='write the answers to FILE; default: to stdout',
    )
    parser.add_argument(
        '--max-batch',
        type=int,
        default=8,
        metavar='N',
        help='run the model for N cameras at once, at most; default: 8',
    )
    add_model_arguments(parser)
    add_watch_arguments(parser.add_argument_group('cameras that say nothing else'))


# what the predictor of CONFIG can be told
add_more_arguments = add_predictor_options


def run(args: argparse.Namespace) -> int:
    """Watch as the arguments say."""
    # torch comes later: a list that is wrong is answered at once
    from mmotion.inference.camera_list import read_cameras
    from mmotion.inference.lines import LineFile

    options = ('stall_s', 'retries', 'queue', 'on_alarm')
    cameras = read_cameras(args.cameras, **{name: getattr(args, name) for name in options})
    if args.json_lines == '-':
        # whoever reads the lines wants nothing else
        stdout = sys.stdout
        with redirect_stdout(sys.stderr):
            return _watch(args, cameras, stdout)
    check_not_kept(args.json_lines)
    check_writable(Path(args.json_lines).parent)
    with LineFile(Path(args.json_lines)) as lines:
        return _watch(args, cameras, lines)


def _watch(args: argparse.Namespace, cameras: 'list[Camera]', lines: 'TextIO | LineFile') -> int:
    from mmotion.checks import check_at_least
    from mmotion.inference.many_cameras import watch_cameras

    check_at_least('--max-batch', args.max_batch, 1)
    model = open_model(args)
    set_predictor_options(args, model)
    alarms = [open_alarm(camera.on_alarm, model.kind, camera.name) for camera in cameras]
    predictor = model.load(device=args.device)
    predictor.prepare([Path(camera.name) for camera in cameras])
    failed = watch_cameras(
        predictor,
        cameras,
        lines,
        alarms=alarms,
        max_batch=args.max_batch,
        with_stats=args.stats,
        debug=args.debug,
    )
    if failed:
        names = ', '.join(failed)
        print(f'mmotion: {len(failed)} of {len(cameras)} cameras failed: {names}', file=sys.stderr)
    return 1 if failed else 0
