"""Remove the shadows from whole videos, or draw what each method would make of them.

The methods are those of `mmotion.transforms.shadows`.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mmotion.atomic import check_not_kept, keep_files
from mmotion.structures.times import list_irregular
from mmotion.transforms.shadows import ColorMask, ShadowRemover, build_remover
from mmotion.video.pictures import write_picture
from mmotion.video.sources import VideoSource
from mmotion.video.writer import VideoWriter
from mmotion.visualization.drawing import WHITE, write_text

# rows of a preview, and the width of its pictures and height of its titles in pixels
PREVIEW_FRAMES = 4
PREVIEW_WIDTH, TITLE_HEIGHT = 320, 22
# written when all pictures of a folder are
DONE = '.done'

Image = NDArray[np.uint8]


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
    with keep_files([source.path]):
        check_not_kept(target)
    if (target if source.fps is not None else target / DONE).exists():
        return f'{target} is there already'
    if remover.needs_frames:
        remover.fit(source.sample(num_frames))
    frames = clean_frames(remover, source.read(source.numbers))
    if source.fps is not None:
        times_s = [source.times.time_at(number) for number in source.numbers.tolist()]
        listed_s = list_irregular(times_s, source.fps)
        with VideoWriter(target, fps=source.fps, times_s=listed_s) as writer:
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
    if isinstance(remover, ColorMask):
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
