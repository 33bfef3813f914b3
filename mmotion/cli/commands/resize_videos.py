"""Write smaller copies of all videos in a folder, so that training decodes less.

SOURCE is a video or a folder; OUT gets the same folders and names, with .mp4 behind those of other
kinds. Frames keep their times; sound is left out. A video that is small enough is copied as it is.
What is there already is not done again, so the command can be stopped and started anew.

Example:
    mmotion resize-videos data/videos --out data/videos_256 --short-side 256
"""

import argparse
import shutil
from pathlib import Path

from mmotion.atomic import keep_files, write_atomically

HOW_TO_GO_ON = '; the same command goes on with the videos that are left'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `mmotion resize-videos`."""
    add = parser.add_argument
    add('source', metavar='SOURCE', type=Path, help='video, or folder of videos at any depth')
    add('--out', metavar='OUT', required=True, type=Path, help='folder to write')
    add(
        '--short-side',
        type=int,
        default=256,
        metavar='N',
        help='of the copies, in pixels; default: 256',
    )


def run(args: argparse.Namespace) -> int:
    """Go through the videos, and print what was written."""
    if args.short_side < 16:
        raise ValueError(f'--short-side must be at least 16, got --short-side {args.short_side}')
    folder = args.source.parent if args.source.is_file() else args.source
    if args.out.resolve() == folder.resolve():
        raise ValueError(
            f'--out must be another folder than that of the videos, got --out {args.out}; the '
            'copies have the same names'
        )
    from mmotion.inference.many_videos import do_each, show_progress
    from mmotion.video.files import find_sources

    def resize(name: str, path: Path) -> str:
        with keep_files([path]):
            return resize_video(path, args.out / name, args.short_side)

    found = [item for item in find_sources(args.source).items() if item[1].is_file()]
    return do_each(show_progress(found, 'resize'), resize)


def resize_video(path: Path, target: Path, short_side: int) -> str:
    """Write a smaller copy of a video, unless it is there.

    Args:
        path: The video.
        target: Where to; if no video can be written under its suffix, .mp4 is added.
        short_side: In pixels.

    Returns:
        What was done.

    Raises:
        VideoError: If the video cannot be read or written.
    """
    import cv2
    import numpy as np

    from mmotion.structures.times import list_irregular
    from mmotion.video.reading import iterate_frames
    from mmotion.video.scan import scan_video
    from mmotion.video.writer import VideoWriter

    index = scan_video(path)
    info = index.info
    factor = short_side / min(info.width, info.height)
    if factor < 1 and target.suffix.lower() not in ('.mp4', '.mov', '.mkv'):
        target = target.with_name(f'{target.name}.mp4')
    if target.exists():
        return f'{target} is there already'
    if factor >= 1:
        with write_atomically(target) as temporary:
            shutil.copyfile(path, temporary)
        return f'copied to {target}, as it is {info.width} x {info.height}'
    # even, as the format of the copies wants them
    width, height = (2 * round(factor * side / 2) for side in (info.width, info.height))
    times_s = list_irregular(index.times_s.tolist(), info.fps)
    with VideoWriter(target, fps=info.fps, times_s=times_s) as writer:
        for frame in iterate_frames(path):
            small = cv2.resize(frame.image, (width, height), interpolation=cv2.INTER_AREA)
            writer.write(np.asarray(small, np.uint8))
    return f'{info.width} x {info.height} to {width} x {height} in {target}'
