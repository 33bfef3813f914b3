r"""Remove the shadows from videos, or look at what each method would make of them.

SOURCE is a video, a folder of pictures, or a folder with any number of both. The methods are those
of `mmotion.transforms.shadows`:

    hsv: keep what has the colour of the object; the ranges are given or estimated
    ssim: keep what has changed in structure since the frame before
    filter: divide the brightness by that of the surroundings
    background: put the empty background in the place of its darkened copies

With --preview nothing is removed: OUT gets `<name>.png` for each video, some of its frames beside
what the methods make of them. Without, OUT gets `<name>.mp4` for a file, and a folder of PNG for a
folder; what is there already is not done again.

Example:
    mmotion remove-shadows data/videos --out preview --preview
    mmotion remove-shadows data/videos --out data/clean --method background
    mmotion remove-shadows mouse.mp4 --out clean --method hsv \
        --set low=5,40,90 high=25,255,255
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmotion.atomic import keep_files


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `mmotion remove-shadows`."""
    add = parser.add_argument
    add('source', metavar='SOURCE', type=Path, help='video, folder of pictures, or of videos')
    add('--out', metavar='OUT', required=True, type=Path, help='folder to write')
    add('--method', metavar='NAME', help='see above; without --preview it must be given')
    add('--set', nargs='+', default=[], metavar='NAME=VALUE', help='arguments of the method')
    add('--fps', type=float, metavar='F', help='frames per second, where those of files are wrong')
    add('--num-frames', type=int, metavar='N', help='frames to learn from; default: 40')
    add('--preview', action='store_true', help='only write pictures of what would be made')


def run(args: argparse.Namespace) -> int:
    """Go through the videos, and print what was written."""
    from rich.console import Console
    from rich.progress import track

    from mmotion.cli.shadow_removal import clean_video, write_preview
    from mmotion.inference.many_videos import do_each
    from mmotion.transforms.shadows import METHODS, NUM_FRAMES, build_remover
    from mmotion.video.files import find_sources
    from mmotion.video.sources import open_source

    if args.method is None and not args.preview:
        raise ValueError('--method must be given without --preview, got none')
    num_frames = NUM_FRAMES if args.num_frames is None else args.num_frames
    if num_frames < 2:
        raise ValueError(f'--num-frames must be at least 2, got {num_frames}')
    options = parse_options(args.set)
    if args.set and args.method is None:
        raise ValueError(f'--set must come with --method, got {" ".join(args.set)}')
    chosen: dict[str, Any] = {args.method: options} if args.method else {m: {} for m in METHODS}
    for method, its_options in chosen.items():
        build_remover(method, **its_options)
    found = find_sources(args.source)

    def clean(name: str, path: Path) -> object:
        source = open_source(path, name=name, fps=args.fps)
        with keep_files(found.values()):
            if args.preview:
                return write_preview(source, args.out, chosen, num_frames=num_frames)
            ((method, its_options),) = chosen.items()
            remover = build_remover(method, **its_options)
            return clean_video(source, args.out, remover, num_frames=num_frames)

    console = Console(stderr=True)
    shown = track(found.items(), 'shadows', console=console, disable=len(found) < 2)
    return do_each(shown, clean)


def parse_options(texts: Sequence[str]) -> dict[str, Any]:
    """Read `name=value` with a number, or whole numbers with commas in between.

    Raises:
        ValueError: If one is not so.

    Example:
        >>> parse_options(['low=5,40,90', 'threshold=0.5'])
        {'low': (5, 40, 90), 'threshold': 0.5}
    """
    options: dict[str, Any] = {}
    for text in texts:
        name, _, value = text.partition('=')
        try:
            options[name] = tuple(map(int, value.split(','))) if ',' in value else float(value)
        except ValueError:
            raise ValueError(f'--set must have NAME=NUMBER or NAME=H,S,V, got {text!r}') from None
    return options
