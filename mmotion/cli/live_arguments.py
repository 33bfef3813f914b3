"""What `predict` and `watch` are told about cameras, streams and pipes; imports nothing heavy."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from mmotion.inference.alarms import AlarmCommand
    from mmotion.inference.lines import LineFile
    from mmotion.inference.predictor import Predictor
    from mmotion.video.live import LiveVideo

# of predict, what needs a video that can be read again, or that ends
NOT_LIVE = ('draw', 'attention', 'regions', 'export', 'resume')
LIVE_HELP = """cameras, one at a time ("mmotion watch" takes several): the number of a camera (0),
/dev/video0, rtsp://, rtsps://, http://, https://, tcp://, udp:// and srt:// addresses, and - for a
video that is piped in. They are answered in lines of JSON, to stdout if --json-lines does not name
a file. docs/live.md tells more.
"""
# what they are when nobody says: of these, one that is given needs a live source
_DEFAULTS = {'stall_s': 10.0, 'retries': 10, 'queue': 64, 'stats': False, 'on_alarm': None}


def add_live_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of live sources."""
    group = parser.add_argument_group('cameras and streams')
    group.add_argument(
        '--realtime',
        action='store_true',
        help='play a video file as a camera would; what the model is too slow for is dropped',
    )
    add_watch_arguments(group)


def add_watch_arguments(group: argparse._ArgumentGroup) -> None:
    """Add the options that one live source has as well as several."""
    group.add_argument(
        '--stats',
        action='store_true',
        help='say on stderr every 10 s, and in the last line, how fast and how late answers are',
    )
    group.add_argument(
        '--on-alarm',
        metavar='CMD',
        help='call a program when an alarm begins and ends, without a shell; {event}, {time_s}, '
        '{score} and {source} in its arguments are filled in, or added if there is none of them',
    )
    group.add_argument(
        '--stall-s',
        type=float,
        default=_DEFAULTS['stall_s'],
        metavar='S',
        help='connect anew when no frame has come for S seconds; default: 10',
    )
    group.add_argument(
        '--retries',
        type=int,
        default=_DEFAULTS['retries'],
        metavar='N',
        help='give up when it cannot be connected to N times in a row; default: 10',
    )
    group.add_argument(
        '--queue',
        type=int,
        default=_DEFAULTS['queue'],
        metavar='N',
        help='frames that may wait for the model before the oldest are dropped; default: 64',
    )


def open_live(args: argparse.Namespace) -> 'LiveVideo | None':
    """The live source that is named, not yet connected to; None if there are only files.

    Raises:
        FileNotFoundError: If the camera or the file is not there.
        ValueError: If an option does not go with it.
    """
    from mmotion.video.addresses import find_address

    addresses = list(filter(None, map(find_address, args.videos)))
    if not addresses and not args.realtime:
        given = [name for name, value in _DEFAULTS.items() if getattr(args, name) != value]
        if given:
            raise ValueError(
                f'--{given[0].replace("_", "-")} must come with a camera, a stream or --realtime, '
                f'got {args.videos[0]}; leave it out'
            )
        return None
    if len(args.videos) > 1:
        raise ValueError(
            f'a live source must be the only VIDEO, got {len(args.videos)}; "mmotion watch" takes '
            'several'
        )
    for option in NOT_LIVE:
        if getattr(args, option):
            name = addresses[0].name if addresses else '--realtime'
            raise ValueError(f'--{option} must be left out for a live source, got it with {name}')
    from mmotion.video.live import LiveVideo

    return LiveVideo(
        args.videos[0],
        fps=args.fps,
        stall_s=args.stall_s,
        retries=args.retries,
        queue=args.queue,
        realtime=args.realtime,
    )


def open_alarm(command: str | None, kind: Any, source: str) -> 'AlarmCommand | None':
    """The command for alarms; None if there is to be none.

    Args:
        command: What was given.
        kind: Class of the predictor.
        source: Name of what is watched.

    Raises:
        FileNotFoundError: If the program is not there.
        ValueError: If the predictor raises no alarms, or the command is none.
    """
    if command is None:
        return None
    if not kind.has_alarms:
        raise ValueError(
            f'--on-alarm must come with a predictor that raises alarms, got {kind.__name__}; '
            'take one of the anomaly configs, or leave it out'
        )
    from mmotion.inference.alarms import AlarmCommand

    return AlarmCommand(command, source=source)


def watch_live(
    args: argparse.Namespace,
    predictor: 'Predictor',
    video: 'LiveVideo',
    alarm: 'AlarmCommand | None',
    lines: 'TextIO | LineFile',
) -> int:
    """Watch as the arguments say, and give the exit code."""
    from mmotion.inference.watching import watch

    predictor.prepare([Path(video.name)])
    is_done = watch(
        predictor,
        video,
        lines,
        with_stats=args.stats,
        alarm=alarm,
        start_s=args.start,
        end_s=args.end,
    )
    return 0 if is_done else 1
