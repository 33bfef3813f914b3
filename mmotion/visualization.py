"""Pictures of results: onto the video, and as plots.

`draw_result` and `plot_result` choose by the class of the result. A system with a result of its
own registers its looks: `@make_painter.register` for the video, `@plot_result.register` for a plot,
`@make_caption.register` and `@plot_row.register` for one of several regions in both.
"""

import itertools
from collections.abc import Callable, Iterable, Iterator
from functools import singledispatch
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from mmotion.atomic import write_atomically
from mmotion.drawing import (
    ACTIVE,
    DARK,
    GREY,
    WHITE,
    Image,
    darken,
    draw_arc,
    draw_bar,
    draw_timeline,
    enlarge,
    outline_box,
    write_text,
)
from mmotion.regions import RegionResults
from mmotion.structures import COUNT_EPS, RepetitionCount
from mmotion.video import VideoFrame, VideoWriter, iterate_frames

Painter: TypeAlias = Callable[[Image, int], Image]

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
            writer.write(paint(enlarge(image), num_drawn - 1))
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
    spans = [(segment.start_s, segment.end_s, '', ACTIVE) for segment in result.segments]
    duration_s = result.num_frames / result.fps

    def paint(image: Image, index: int) -> Image:
        image = image.copy()
        unit = min(image.shape[:2]) / 100
        count = float(result.count_per_frame[index]) + COUNT_EPS
        period_s = float(result.period_s_per_frame[index])
        periodicity = float(result.periodicity_per_frame[index])
        color = ACTIVE if period_s > 0 else GREY

        darken(image, 2 * unit, 2 * unit, 66 * unit, 28 * unit)
        center, radius = (15 * unit, 15 * unit), 10.5 * unit
        draw_arc(image, center, radius, 1.0, DARK, 2.2 * unit)
        draw_arc(image, center, radius, count % 1, color, 2.2 * unit)
        write_text(image, str(int(count)), center, 9.5 * unit, WHITE, 15 * unit, centered=True)
        period = f'period {period_s:.2f} s' if period_s > 0 else 'no repetition'
        write_text(image, period, (30 * unit, 11 * unit), 5 * unit, WHITE, 34 * unit)
        write_text(image, 'periodicity', (30 * unit, 19 * unit), 4 * unit, GREY, 20 * unit)
        draw_bar(image, 30 * unit, 23 * unit, 34 * unit, 2.5 * unit, 1.0, DARK)
        draw_bar(image, 30 * unit, 23 * unit, 34 * unit, 2.5 * unit, periodicity, color)
        draw_timeline(
            image,
            spans,
            start_s=result.start_s,
            duration_s=duration_s,
            part=(index + 1) / result.num_frames,
            margin=3,
            rise=7,
            thickness=2.5,
        )
        return image

    return paint


class Caption(NamedTuple):
    """What is written at a region of a frame.

    Attributes:
        text: A word or a number; the name of the region stands before it.
        active: Whether something happens there now, for the color.
    """

    text: str
    active: bool


@singledispatch
def make_caption(result: Any, index: int) -> Caption:
    """Say in a word what a result says of a frame.

    Args:
        result: What was predicted for a region.
        index: Number of the frame, from 0 on, among those that were watched.

    Returns:
        The caption; without a registered function no more than the name of the region is written.
    """
    return Caption('', active=True)


@make_caption.register
def _(result: RepetitionCount, index: int) -> Caption:
    """The count so far."""
    count = int(result.count_per_frame[index] + COUNT_EPS)
    return Caption(str(count), active=bool(result.period_s_per_frame[index] > 0))


@make_painter.register
def _(result: RegionResults) -> Painter:
    """The box of each region, with its name and its caption above, or inside at the top."""
    boxes = [region.boxes_at(result.frames) for region in result.regions]

    def paint(image: Image, index: int) -> Image:
        image = image.copy()
        height, width = image.shape[:2]
        unit = min(height, width) / 100
        scale = np.array([width / result.width, height / result.height] * 2)
        for region, part, path in zip(result.regions, result.results, boxes, strict=True):
            caption = make_caption(part, index)
            box = np.clip(path[index] * scale, 0, [width, height] * 2)
            label = f'{region.name}: {caption.text}' if caption.text else region.name
            outline_box(image, box, label, unit, ACTIVE if caption.active else GREY)
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
        style_axes(axes)
        _shade_segments(axes, result)
    save_figure(figure, path)


@plot_result.register
def _(
    result: RegionResults, path: str | Path, *, title: str = '', truth: float | None = None
) -> None:
    """A row for each region, see `plot_row`, with its name; `truth` is that of their sum."""
    num_rows = len(result.regions)
    figure = Figure(figsize=(9, 0.8 + 1.9 * num_rows), layout='constrained')
    rows = figure.subplots(num_rows, 1, sharex=True, squeeze=False)[:, 0]
    if title:
        figure.suptitle(title, fontsize=13)
    for axes, region, part in zip(rows, result.regions, result.results, strict=True):
        headline = plot_row(part, axes)
        axes.set_title(f'{region.name}: {headline}', loc='left', fontsize=10)
        style_axes(axes)
    rows[-1].set_xlabel('time (s)')
    rows[-1].set_xlim(result.start_s, result.start_s + result.num_frames / result.fps)
    save_figure(figure, path)


@singledispatch
def plot_row(result: Any, axes: Axes) -> str:
    """Plot the result of a region over time, in seconds of the video.

    Args:
        result: What was predicted for a region.
        axes: Where to plot it.

    Returns:
        The result in a few words.

    Raises:
        TypeError: If nobody has registered how this class looks.
    """
    raise TypeError(
        f'result must be of a class that can be plotted in a row, got {type(result).__name__}; '
        'register a function for it with plot_row.register'
    )


@plot_row.register
def _(result: RepetitionCount, axes: Axes) -> str:
    """The count, with repeating stretches shaded."""
    times = result.start_s + np.arange(1, result.num_frames + 1) / result.fps
    axes.plot(times, result.count_per_frame, color=PLOT_LINE, lw=2)
    _shade_segments(axes, result)
    highest = max(1.0, result.count)
    axes.set_ylim(-0.02 * highest, 1.08 * highest)
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_ylabel('count')
    return f'{result.count:.1f} repetitions, confidence {result.confidence:.2f}'


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
    save_figure(figure, path)


def style_axes(axes: Axes) -> None:
    """A light grid, and a frame on two sides only."""
    axes.grid(alpha=0.25, lw=0.6)
    axes.spines[['top', 'right']].set_visible(False)


def _shade_segments(axes: Axes, result: RepetitionCount) -> None:
    for segment in result.segments:
        axes.axvspan(segment.start_s, segment.end_s, color=PLOT_ACTIVE, alpha=0.18, lw=0)


def save_figure(figure: Figure, path: str | Path) -> None:
    """Write a figure, whole or not at all."""
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
