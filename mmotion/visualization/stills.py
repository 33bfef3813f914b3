"""Small pictures of a video that was drawn, to send on: a GIF that loops, and a sheet of stills."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mmotion.atomic import write_atomically
from mmotion.video.scan import scan_video
from mmotion.video.sources import open_source
from mmotion.visualization.drawing import INK, WHITE, add_strip

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

# a second of a GIF takes about as much as ten of a video: its longer side is the first of these
# with which it stays below what messengers and mail take
GIF_SIDES_PX, GIF_BYTES = (480, 360, 240), 5_000_000
GIF_FPS, GIF_S, GIF_COLORS = 10.0, 12.0, 128
# of a sheet, and the longer side of each still
NUM_STILLS, STILL_PX = 12, 400
GAP_PX = 6


def name_still(video: Path, kind: str) -> Path:
    """Where `make_still` writes: `<stem>_overlay.gif`, `<stem>_sheet.png`.

    Args:
        video: `<stem>_overlay.mp4`.
        kind: 'gif' or 'sheet'.
    """
    if kind == 'gif':
        return video.with_suffix('.gif')
    return video.with_name(f'{video.stem.removesuffix("_overlay")}_{kind}.png')


def make_still(video: Path, kind: str, *, start_s: float = 0.0) -> Path:
    """Write a picture of a drawn video beside it.

    Args:
        video: The video.
        kind: 'gif' for the first 12 seconds, again and again, at 10 frames a second, with sides of
            at most 480 pixels, or 240 where it would be above 5 MB; 'sheet' for 12 stills that are
            spread over all of it, with their times.
        start_s: When it begins in the video that was drawn on, for the times.

    Returns:
        The file, see `name_still`.
    """
    path = name_still(video, kind)
    with write_atomically(path) as temporary:
        if kind == 'gif':
            for side in GIF_SIDES_PX:
                _write_gif(video, temporary, side)
                if temporary.stat().st_size <= GIF_BYTES:
                    break
        else:
            _make_sheet(video, start_s).save(temporary, format='png')
    return path


def _write_gif(video: Path, path: Path, side: int) -> None:
    from PIL import Image as Pictures

    index = scan_video(video)
    times_s, end_s = index.times_s, min(index.info.duration_s, GIF_S)
    # the frame that is shown at each tick, or every frame where these are fewer
    ticks_s = np.arange(0, max(end_s, 1 / GIF_FPS), 1 / GIF_FPS)
    numbers = np.unique(np.searchsorted(times_s, ticks_s + 1e-6, side='right') - 1)
    shown_s = np.diff(np.append(times_s[numbers], max(end_s, times_s[numbers[-1]] + 1 / GIF_FPS)))
    pictures = list(_read(video, numbers, side))
    # one palette for all, from frames that are spread over them: what stays the same costs nothing
    chosen = pictures[:: max(len(pictures) // 4, 1)]
    palette = _join(chosen, len(chosen)).quantize(GIF_COLORS)
    plain = Pictures.Dither.NONE
    first, *others = [picture.quantize(palette=palette, dither=plain) for picture in pictures]
    # GIF counts hundredths of a second
    durations_ms = (np.maximum(np.rint(100 * shown_s), 2) * 10).astype(int).tolist()
    first.save(
        path, format='gif', save_all=True, append_images=others, duration=durations_ms, loop=0
    )


def _make_sheet(video: Path, start_s: float) -> 'Picture':
    from PIL import Image as Pictures

    index = scan_video(video)
    total = len(index.times_s)
    number = min(NUM_STILLS, total)
    # the middle of each twelfth
    numbers = ((np.arange(number) + 0.5) * total / number).astype(int)
    is_wide = index.info.width >= index.info.height
    stills = []
    for picture, time_s in zip(
        _read(video, numbers, STILL_PX),
        (start_s + index.times_s[numbers]).tolist(),
        strict=True,
    ):
        minutes, seconds = divmod(time_s, 60)
        time = f'{minutes:.0f}:{seconds:04.1f}'
        stills.append(Pictures.fromarray(add_strip(np.asarray(picture), [(time, WHITE)])))
    return _join(stills, 4 if is_wide else 6)


def _read(video: Path, numbers: NDArray[np.int64], side: int) -> Iterator['Picture']:
    """Frames, one at a time, whose sides are at most so long."""
    from PIL import Image as Pictures

    for image in open_source(video).read(numbers):
        picture = Pictures.fromarray(image)
        share = min(side / max(picture.size), 1.0)
        yield picture.resize(
            (max(round(share * picture.width), 1), max(round(share * picture.height), 1)),
            Pictures.Resampling.LANCZOS,
        )


def _join(pictures: Sequence['Picture'], num_columns: int) -> 'Picture':
    """Pictures of one size in rows."""
    from PIL import Image as Pictures

    width, height = (side + GAP_PX for side in pictures[0].size)
    num_columns = min(num_columns, len(pictures))
    num_rows = -(-len(pictures) // num_columns)
    sheet = Pictures.new('RGB', (width * num_columns - GAP_PX, height * num_rows - GAP_PX), INK)
    for number, picture in enumerate(pictures):
        row, column = divmod(number, num_columns)
        sheet.paste(picture, (column * width, row * height))
    return sheet
