"""Find people and their keypoints in videos, a JSON file for each."""

import argparse

from mmotion.cli.shared_arguments import add_detector_arguments

HOW_TO_GO_ON = '; the same command goes on with the videos that are left'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `mmotion extract-keypoints`."""
    parser.add_argument(
        'videos', metavar='VIDEO', nargs='+', help='a file, a folder, or a pattern in quotes'
    )
    add_detector_arguments(parser, 'what finds people')
    parser.add_argument(
        '--every', type=int, default=5, metavar='N', help='look at every N-th frame; default: 5'
    )
    parser.add_argument(
        '--keep',
        choices=('all', 'best', 'largest'),
        default='all',
        help='all people, tracked (default), or one of each frame, by score or by size',
    )
    parser.add_argument(
        '--fps',
        type=float,
        metavar='F',
        help='frames per second, where those of files are wrong',
    )
    parser.add_argument('--out', metavar='DIR', default='keypoints', help='default: keypoints')
    parser.add_argument(
        '--workers',
        type=int,
        default=1,
        metavar='N',
        help='videos at a time, each with a detector of its own; keypoint_rcnn uses all cores by '
        'itself; default: 1',
    )
    parser.add_argument(
        '--batch-size',
        type=int,
        default=4,
        metavar='N',
        help='frames at a time for keypoint_rcnn; default: 4',
    )
    parser.add_argument('--device', metavar='D', help='cpu, cuda, cuda:1, ...')


def run(args: argparse.Namespace) -> int:
    """Find people and keypoints as the arguments say."""
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
        fps=args.fps,
        batch_size=args.batch_size,
        workers=args.workers,
    )
    return 1 if failed else 0
