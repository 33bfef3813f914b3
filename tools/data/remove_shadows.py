"""Remove the shadows from videos, or look at what each method would make of them.

SOURCE is a video, a folder of pictures, or a folder with any number of both. The methods are those
of `mmotion/transforms/shadows.py`:

    hsv: keep what has the colour of the object; the ranges are given or estimated
    ssim: keep what has changed in structure since the frame before
    filter: divide the brightness by that of the surroundings
    background: put the empty background in the place of its darkened copies

With --preview nothing is removed: OUT gets `<name>.png` for each video, some of its frames beside
what the methods make of them. Without, OUT gets `<name>.mp4` for a file, and a folder of PNG for a
folder; what is there already is not done again.

Example:
    python tools/data/remove_shadows.py data/videos --out preview --preview
    python tools/data/remove_shadows.py data/videos --out data/clean --method background
    python tools/data/remove_shadows.py mouse.mp4 --out clean --method hsv \
        --set low=5,40,90 high=25,255,255
"""

import argparse
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

# the checkout in place of this folder, so that nothing needs to be installed
sys.path[0] = str(Path(__file__).resolve().parents[2])

from mmotion.atomic import write_atomically  # noqa: E402
from mmotion.transforms.shadows import (  # noqa: E402
    METHODS,
    NUM_FRAMES,
    ColourMask,
    ShadowRemover,
    build_remover,
)
from mmotion.video import VideoWriter  # noqa: E402
from mmotion.video.files import find_sources  # noqa: E402
from mmotion.video.sources import VideoSource, open_source  # noqa: E402
from mmotion.visualization.drawing import WHITE, write_text  # noqa: E402

USAGE_ERROR = 2
# rows of a preview, and the width of its pictures and height of its titles in pixels
PREVIEW_FRAMES = 4
PREVIEW_WIDTH, TITLE_HEIGHT = 320, 22
# written when all pictures of a folder are
DONE = '.done'

Image = NDArray[np.uint8]


def main(argv: Sequence[str] | None = None) -> int:
    """Parse the command line, go through the videos, print what was written.

    Returns:
        0 if all is well, 1 if some videos failed, 2 for a wrong use.
    """
    parser = argparse.ArgumentParser(description='Remove the shadows from videos.')
    add = parser.add_argument
    add('source', metavar='SOURCE', type=Path, help='video, folder of pictures, or of videos')
    add('--out', required=True, type=Path, help='folder to write')
    add('--method', choices=[*METHODS], help='without --preview it must be given')
    add('--set', nargs='+', default=[], metavar='NAME=VALUE', help='arguments of the method')
    add('--num-frames', type=int, default=NUM_FRAMES, help='frames to learn from')
    add('--preview', action='store_true', help='only write pictures of what would be made')
    args = parser.parse_args(argv)
    try:
        if args.method is None and not args.preview:
            raise ValueError('--method must be given without --preview, got none')
        if args.num_frames < 2:
            raise ValueError(f'--num-frames must be at least 2, got {args.num_frames}')
        options = parse_options(args.set)
        if args.set and args.method is None:
            raise ValueError(f'--set must come with --method, got {" ".join(args.set)}')
        chosen = {args.method: options} if args.method else {method: {} for method in METHODS}
        for method, its_options in chosen.items():
            build_remover(method, **its_options)
        found = find_sources(args.source)
    except (ValueError, OSError) as error:
        print(f'remove_shadows.py: error: {error}', file=sys.stderr)
        return USAGE_ERROR
    num_failed = 0
    console = Console(stderr=True)
    for name, path in track(found.items(), 'shadows', console=console, disable=len(found) < 2):
        try:
            source = open_source(path, name=name)
            if args.preview or args.method is None:
                written = write_preview(source, args.out, chosen, num_frames=args.num_frames)
            else:
                remover = build_remover(args.method, **options)
                written = clean_video(source, args.out, remover, num_frames=args.num_frames)
        except (ValueError, OSError) as error:
            num_failed += 1
            print(f'remove_shadows.py: {name}: {error}', file=sys.stderr)
            continue
        print(f'{name}: {written}')
    if num_failed:
        print(f'remove_shadows.py: {num_failed} of {len(found)} videos failed', file=sys.stderr)
    return 1 if num_failed else 0


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


def clean_video(
    source: VideoSource, out_dir: Path, remover: ShadowRemover, *, num_frames: int
) -> str:
    """Write a video, or a folder of pictures, without shadows, unless it is there.

    Args:
        source: What to read.
        out_dir: Folder to write to.
        remover: The method.
        num_frames: Frames that it learns from, if it must.

    Returns:
        What was written.

    Raises:
        VideoError: If the video cannot be read or written.
        ValueError: If the method finds no object to learn from.
    """
    target = out_dir / source.name
    if source.fps is not None and target.suffix != '.mp4':
        target = target.with_name(f'{target.name}.mp4')
    if target.resolve() == source.path.resolve():
        raise ValueError(
            f'the result must not take the place of its input, got {target}; choose another --out'
        )
    if (target if source.fps is not None else target / DONE).exists():
        return f'{target} is there already'
    if remover.needs_frames:
        remover.fit(source.sample(num_frames))
    frames = clean_frames(remover, source.read(source.numbers))
    if source.fps is not None:
        with VideoWriter(target, fps=source.fps) as writer:
            for frame in frames:
                writer.write(frame)
    else:
        for label, frame in zip(source.labels.tolist(), frames, strict=True):
            write_picture(target / f'{label:08d}.png', frame)
        (target / DONE).touch()
    return f'{len(source.numbers)} frames written to {target}'


def clean_frames(remover: ShadowRemover, frames: Iterable[Image]) -> Iterator[Image]:
    """Remove the shadows of frames; each is compared with the one before, the first with the next.

    A video of a single frame has none to compare with.
    """
    waiting = iter(frames)
    before = next(waiting)
    second = next(waiting, None)
    yield remover.remove(before, second)
    for frame in waiting if second is None else chain([second], waiting):
        yield remover.remove(frame, before)
        before = frame


def write_preview(
    source: VideoSource,
    out_dir: Path,
    methods: Mapping[str, dict[str, Any]],
    *,
    num_frames: int,
) -> str:
    """Write frames of a video beside what some methods make of them, as a picture.

    Args:
        source: The video.
        out_dir: Folder of the picture.
        methods: Options by method.
        num_frames: Frames that a method learns from, if it must.

    Returns:
        What was written, with the reason for each method that cannot be used.

    Raises:
        VideoError: If the video cannot be read.
    """
    sample = source.sample(num_frames)
    last = len(source.numbers) - 1
    places = np.unique(np.linspace(0, max(last - 1, 0), PREVIEW_FRAMES).round().astype(int))
    # each with the frame after it, which is compared with the one before
    pairs = [[*source.read(source.numbers[[p, min(p + 1, last)]])] for p in places.tolist()]
    columns = [make_column('original', [frame for _, frame in pairs])]
    notes = []
    for method, options in methods.items():
        remover = build_remover(method, **options)
        try:
            remover.fit(sample)
        except ValueError as error:
            notes.append(f'{method} left out: {error}')
            continue
        cleaned = [remover.remove(frame, before) for before, frame in pairs]
        columns.append(make_column(describe(method, remover), cleaned))
    target = out_dir / f'{source.name}.png'
    write_picture(target, np.hstack(columns))
    return '; '.join([str(target), *notes])


def describe(method: str, remover: ShadowRemover) -> str:
    """A title: the method, and the ranges that it has found or was given."""
    if isinstance(remover, ColourMask):
        return f'{method} low {remover.low} high {remover.high}'
    return method


def make_column(title: str, frames: Sequence[Image]) -> Image:
    """Put frames below each other, all as wide as a preview's pictures, with a title above."""
    height, width = frames[0].shape[:2]
    size = (PREVIEW_WIDTH, round(PREVIEW_WIDTH * height / width))
    small = [cv2.resize(f, size, interpolation=cv2.INTER_AREA).astype(np.uint8) for f in frames]
    head = np.zeros((TITLE_HEIGHT, PREVIEW_WIDTH, 3), np.uint8)
    write_text(head, title, (4, TITLE_HEIGHT - 7), 9, WHITE, PREVIEW_WIDTH - 8)
    return np.vstack([head, *small])


def write_picture(path: Path, image: Image) -> None:
    """Write a PNG that is either whole or not there."""
    with write_atomically(path) as temporary:
        _, content = cv2.imencode('.png', cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
        temporary.write_bytes(content.tobytes())


if __name__ == '__main__':
    sys.exit(main())
