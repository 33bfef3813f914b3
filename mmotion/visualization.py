"""Pictures of results: onto the video, and as plots.

`draw_result` and `plot_result` choose by the class of the result. A system with a result of its
own registers its looks: `@make_painter.register` for the video, `@plot_result.register` for a plot.
"""

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import singledispatch
from pathlib import Path
from typing import Any, TypeAlias

import cv2
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from mmotion.atomic import write_atomically
from mmotion.structures import COUNT_EPS, RepetitionCount
from mmotion.video import VideoFrame, VideoWriter, iterate_frames

Image: TypeAlias = NDArray[np.uint8]
Painter: TypeAlias = Callable[[Image, int], Image]
Color: TypeAlias = tuple[int, int, int]

# smaller frames are enlarged before anything is drawn on them
MIN_SIDE_PX = 256
WHITE: Color = (255, 255, 255)
GREY: Color = (190, 190, 190)
DARK: Color = (80, 80, 80)
ACTIVE: Color = (255, 179, 64)
FONT = cv2.FONT_HERSHEY_DUPLEX
# the same colors, for plots on white
PLOT_LINE = '#1f5f99'
PLOT_ACTIVE = '#ffb340'
PLOT_TRUTH = '#c2344d'


def draw_result(
    video: str | Path | Iterable[Image | VideoFrame], result: Any, path: str | Path
) -> None:
    """Write a copy of a video with the result drawn on each frame.

    Holds one frame at a time in memory, and shows its progress on a terminal.

    Args:
        video: File, which is read from `result.start_s` on, or the frames of the result themselves.
        result: What was predicted, of a class known to `make_painter`; has `num_frames` and `fps`.
        path: File to write, .mp4; small frames are enlarged to at least 256 pixels a side.

    Raises:
        ValueError: If the video ends before the result does.
        VideoError: If a file cannot be read or written.
    """
    paint = make_painter(result)
    if isinstance(video, str | Path):
        video = iterate_frames(video, start_s=result.start_s)
    num_drawn = 0
    with VideoWriter(path, fps=result.fps) as writer:
        frames = _show_progress(video, result.num_frames, f'drawing {Path(path).name}')
        for num_drawn, frame in enumerate(frames, start=1):
            image = frame.image if isinstance(frame, VideoFrame) else frame
            writer.write(paint(_enlarge(image), num_drawn - 1))
        if num_drawn < result.num_frames:
            raise ValueError(
                f'video must have the {result.num_frames} frames of its result, got {num_drawn}; '
                'draw on the video and the range of time that was predicted'
            )


@singledispatch
def make_painter(result: Any) -> Painter:
    """Choose how a result looks on a frame.

    Args:
        result: What was predicted.

    Returns:
        A function that gives a new image for an image (H, W, 3) and the number of its frame.

    Raises:
        TypeError: If nobody has registered how this class looks.
    """
    raise TypeError(
        f'result must be of a class that can be drawn, got {type(result).__name__}; '
        'register a function for it with make_painter.register'
    )


@make_painter.register
def _(result: RepetitionCount) -> Painter:
    """Count and progress of the cycle in a dial, period and periodicity beside it, a timeline."""

    def paint(image: Image, index: int) -> Image:
        image = image.copy()
        height, width = image.shape[:2]
        unit = min(height, width) / 100
        count = float(result.count_per_frame[index]) + COUNT_EPS
        period_s = float(result.period_s_per_frame[index])
        periodicity = float(result.periodicity_per_frame[index])
        color = ACTIVE if period_s > 0 else GREY

        _darken(image, 2 * unit, 2 * unit, 66 * unit, 28 * unit)
        center, radius = (15 * unit, 15 * unit), 10.5 * unit
        _arc(image, center, radius, 1.0, DARK, 2.2 * unit)
        _arc(image, center, radius, count % 1, color, 2.2 * unit)
        _text(image, str(int(count)), center, 9.5 * unit, WHITE, 15 * unit, centered=True)
        period = f'period {period_s:.2f} s' if period_s > 0 else 'no repetition'
        _text(image, period, (30 * unit, 11 * unit), 5 * unit, WHITE, 34 * unit)
        _text(image, 'periodicity', (30 * unit, 19 * unit), 4 * unit, GREY, 20 * unit)
        _bar(image, 30 * unit, 23 * unit, 34 * unit, 2.5 * unit, 1.0, DARK)
        _bar(image, 30 * unit, 23 * unit, 34 * unit, 2.5 * unit, periodicity, color)
        _timeline(image, result, index, unit)
        return image

    return paint


@singledispatch
def plot_result(
    result: Any, path: str | Path, *, title: str = '', truth: float | None = None
) -> None:
    """Write a plot of a result.

    Args:
        result: What was predicted.
        path: File to write, .png or another ending that matplotlib knows.
        title: Name of the video, for the headline.
        truth: The true answer, if it is known.

    Raises:
        TypeError: If nobody has registered how this class looks.
    """
    raise TypeError(
        f'result must be of a class that can be plotted, got {type(result).__name__}; '
        'register a function for it with plot_result.register'
    )


@plot_result.register
def _(
    result: RepetitionCount, path: str | Path, *, title: str = '', truth: float | None = None
) -> None:
    """The count over time, the period and the periodicity, with repeating stretches shaded."""
    # ends of the frames, as counts are up to the end of a frame
    times = result.start_s + np.arange(1, result.num_frames + 1) / result.fps
    figure = Figure(figsize=(9, 6), layout='constrained')
    top, middle, bottom = figure.subplots(3, 1, sharex=True, height_ratios=[3, 1.3, 1.3])
    headline = f'{result.count:.1f} repetitions, confidence {result.confidence:.2f}'
    figure.suptitle(f'{title}: {headline}' if title else headline, fontsize=13)

    top.plot(times, result.count_per_frame, color=PLOT_LINE, lw=2, label='counted')
    if truth is not None:
        top.axhline(truth, color=PLOT_TRUTH, lw=1.5, ls='--', label=f'true count {truth:g}')
        top.legend(loc='lower right')
    marks = np.arange(1, len(result.repetition_times_s) + 1)
    if len(marks) <= 100:
        top.plot(result.repetition_times_s, marks, 'o', color=PLOT_LINE, ms=4)
    highest = max(1.0, result.count, truth or 0)
    top.set_ylim(-0.02 * highest, 1.08 * highest)
    top.yaxis.set_major_locator(MaxNLocator(integer=True))
    top.set_ylabel('count')
    middle.plot(times, result.period_s_per_frame, color=PLOT_LINE, lw=2)
    middle.set_ylabel('period (s)')
    if np.isfinite(result.period_s_per_frame).any():
        middle.set_ylim(0, 1.2 * np.nanmax(result.period_s_per_frame))
    else:
        middle.set_yticks([])
        middle.text(0.5, 0.5, 'nothing repeats', transform=middle.transAxes, ha='center')
    bottom.fill_between(times, result.periodicity_per_frame, color=PLOT_LINE, alpha=0.3, lw=0)
    bottom.plot(times, result.periodicity_per_frame, color=PLOT_LINE, lw=1)
    bottom.set_ylim(0, 1)
    bottom.set_ylabel('periodicity')
    bottom.set_xlabel('time (s)')
    bottom.set_xlim(result.start_s, times[-1])
    for axes in (top, middle, bottom):
        _tidy(axes)
        for segment in result.segments:
            axes.axvspan(segment.start_s, segment.end_s, color=PLOT_ACTIVE, alpha=0.18, lw=0)
    _save(figure, path)


def plot_similarity(
    matrix: NDArray[np.floating],
    path: str | Path,
    *,
    title: str = '',
    frame_s: float = 1.0,
    start_s: float = 0.0,
) -> None:
    """Write a picture of a self-similarity matrix; a repetition is a pattern of diagonals.

    Args:
        matrix: Similarity of frame i to frame j (T, T), >= 0.
        path: File to write, .png or another ending that matplotlib knows.
        title: Name of the video, for the headline.
        frame_s: Time from one row to the next.
        start_s: Time of the first row in the video.

    Raises:
        ValueError: If the matrix is not square.
    """
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        raise ValueError(f'matrix must be square (T, T), got shape={matrix.shape}')
    figure = Figure(figsize=(6.4, 5.6), layout='constrained')
    axes = figure.subplots()
    end_s = start_s + frame_s * len(matrix)
    image = axes.imshow(
        matrix,
        cmap='magma',
        vmin=0,
        # a frame resembles itself most: the diagonal would leave nothing for the rest
        vmax=max(float(np.quantile(matrix, 0.98)), 1e-9),
        extent=(start_s, end_s, end_s, start_s),
        interpolation='nearest',
    )
    figure.colorbar(image, ax=axes, label='similarity (rows sum to 1)', extend='max')
    axes.set_title(f'{title}: self-similarity' if title else 'self-similarity')
    axes.set_xlabel('time (s)')
    axes.set_ylabel('time (s)')
    _save(figure, path)


def _tidy(axes: Axes) -> None:
    """A light grid, and a frame on two sides only."""
    axes.grid(alpha=0.25, lw=0.6)
    axes.spines[['top', 'right']].set_visible(False)


def _save(figure: Figure, path: str | Path) -> None:
    with write_atomically(path) as temporary:
        figure.savefig(temporary, dpi=120)


def _show_progress(frames: Iterable[Any], total: int, description: str) -> Iterator[Any]:
    """The first `total` frames, with a progress bar if somebody watches."""
    console = Console(stderr=True)
    yield from track(
        itertools.islice(frames, total),
        description,
        total,
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )


def _enlarge(image: Image) -> Image:
    """A multiple of an image that is large enough to write on."""
    height, width = image.shape[:2]
    factor = -(-MIN_SIDE_PX // min(height, width))
    if factor == 1:
        return image
    size = (width * factor, height * factor)
    return cv2.resize(image, size, interpolation=cv2.INTER_CUBIC).astype(np.uint8)


def _darken(image: Image, x: float, y: float, width: float, height: float) -> None:
    """Make a rectangle dark enough for light text on it."""
    region = image[int(y) : int(y + height), int(x) : int(x + width)]
    np.multiply(region, 0.25, out=region, casting='unsafe')


def _bar(
    image: Image, x: float, y: float, width: float, height: float, part: float, color: Color
) -> None:
    """Fill the left part, in [0, 1], of a rectangle."""
    right = x + width * min(part, 1.0)
    if right - x >= 1:
        cv2.rectangle(image, (int(x), int(y)), (int(right), int(y + height)), color, cv2.FILLED)


def _arc(
    image: Image,
    center: Sequence[float],
    radius: float,
    part: float,
    color: Color,
    thickness: float,
) -> None:
    """Draw a part, in [0, 1], of a circle, clockwise from the top."""
    if 360 * part < 1:
        # an empty arc would be drawn as a dot in the middle
        return
    middle = (round(center[0]), round(center[1]))
    axes = (round(radius), round(radius))
    width = max(round(thickness), 1)
    cv2.ellipse(image, middle, axes, -90, 0, 360 * part, color, width, cv2.LINE_AA)


def _text(
    image: Image,
    text: str,
    place: Sequence[float],
    height: float,
    color: Color,
    max_width: float,
    *,
    centered: bool = False,
) -> None:
    """Write text `height` pixels high, or less if it is wider than `max_width` pixels.

    `place` (x, y) is its lower left corner, or its middle.
    """
    (natural_width, natural_height), _ = cv2.getTextSize(text, FONT, 1.0, 1)
    scale = min(height / natural_height, max_width / natural_width)
    x, y = place
    if centered:
        x -= natural_width * scale / 2
        y += natural_height * scale / 2
    thickness = max(round(scale), 1)
    cv2.putText(image, text, (round(x), round(y)), FONT, scale, color, thickness, cv2.LINE_AA)


def _timeline(image: Image, result: RepetitionCount, index: int, unit: float) -> None:
    """Draw the whole video as a line at the bottom, with its segments and where we are."""
    height, width = image.shape[:2]
    left, length, thick = 3 * unit, width - 6 * unit, 2.5 * unit
    y = height - 7 * unit
    _darken(image, left - unit, y - unit, length + 2 * unit, thick + 2 * unit)
    duration_s = result.num_frames / result.fps
    for segment in result.segments:
        begin = (segment.start_s - result.start_s) / duration_s
        part = (segment.end_s - segment.start_s) / duration_s
        _bar(image, left + length * begin, y, length * part, thick, 1.0, ACTIVE)
    now = left + length * (index + 1) / result.num_frames
    _bar(image, now - 0.6 * unit, y - unit, 1.2 * unit, thick + 2 * unit, 1.0, WHITE)
