"""Pictures of results: onto the video, and as plots.

`draw_result` and `plot_result` choose by the class of the result. A system with a result of its
own registers its looks: `@make_painter.register` for the video, `@plot_result.register` for a plot,
`@make_caption.register` and `@plot_row.register` for one of several regions in both.
"""

import itertools
from collections.abc import Callable, Iterable, Iterator
from functools import singledispatch
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from mmotion.atomic import write_atomically
from mmotion.regions import RegionResults
from mmotion.structures.results import Result, time_at
from mmotion.video import VideoFrame, VideoWriter, inspect_video, iterate_frames
from mmotion.video.sound import open_sound
from mmotion.visualization.drawing import (
    ACTIVE,
    BLUE,
    GREY,
    MIN_SIDE_PX,
    VERMILLION,
    Image,
    as_hex,
    enlarge,
    outline_box,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Painter: TypeAlias = Callable[[Image, int], Image]

# the same colors, for plots on white
PLOT_LINE, PLOT_ACTIVE, PLOT_TRUTH = as_hex(BLUE), as_hex(ACTIVE), as_hex(VERMILLION)
# of a copy, in sizes of its video: encoders keep to a rate on average, and a short time above it
SIZE_LIMIT = 1.7
# below it nobody should trust an answer
MIN_CERTAINTY = 0.5


def draw_result(
    video: str | Path | Iterable[Image | VideoFrame],
    result: Result,
    path: str | Path,
    *,
    source: str | Path | None = None,
) -> None:
    """Write a copy of a video, with its times and sound, and with the result below each frame.

    Holds one frame at a time in memory, and shows its progress on a terminal.

    Args:
        video: File, which is read from `result.start_s` on, or the frames of the result themselves.
        result: What was predicted, of a class known to `make_painter`; has `num_frames` and `fps`.
        path: File to write, .mp4; small frames are enlarged to at least 240 pixels a side.
        source: The file that the frames are from, if they are from one that is a video. Its sound
            is kept where the frames have their own rate, and the copy is less than twice as large.

    Raises:
        ValueError: If the video ends before the result does.
        VideoError: If a file cannot be read or written.
    """
    paint = make_painter(result)
    if isinstance(video, str | Path):
        source = Path(video)
        own_fps = inspect_video(source).fps
        # another one was given to `predict`
        fps = None if result.fps == own_fps else result.fps
        video = iterate_frames(source, start_s=result.start_s, fps=fps)
    num_drawn = 0
    copied = _find_limits(Path(source), result) if source else {}
    copied |= {'fps': result.fps, 'times_s': result.frame_times_s, 'hasty': True}
    with VideoWriter(path, **copied) as writer:
        frames = _show_progress(video, result.num_frames, f'drawing {Path(path).name}')
        for num_drawn, frame in enumerate(frames, start=1):
            _write(writer, paint, frame, num_drawn - 1)
        if num_drawn < result.num_frames:
            raise ValueError(
                f'video must have the {result.num_frames} frames of its result, got {num_drawn}; '
                'draw on the video that was predicted'
            )


def _write(writer: VideoWriter, paint: Painter, frame: Image | VideoFrame, index: int) -> None:
    if isinstance(frame, VideoFrame) and isinstance(paint, StripPainter):
        width, height = frame.size_wh
        # as `enlarge` leaves it
        if min(width, height) >= MIN_SIDE_PX:
            writer.write_above(frame, paint.draw((height, width, 3), index))
            return
    image = frame.image if isinstance(frame, VideoFrame) else frame
    writer.write(paint(enlarge(image), index))


def _find_limits(source: Path, result: Result) -> dict[str, Any]:
    """What the writer is told of the video that is copied: its sound, and how large it may be."""
    info = inspect_video(source)
    # as many bits as those frames have in the video, whatever their rate is now
    rate = SIZE_LIMIT * 8 * source.stat().st_size * result.fps / info.num_frames
    if result.fps != info.fps:
        return {'max_rate': rate}
    sound = open_sound(source, start_s=result.start_s, end_s=time_at(result, result.num_frames))
    # what is heard may have been smaller than it can be written
    return {'sound': sound, 'max_rate': max(rate - (sound.rate if sound else 0), rate / 2)}


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


class StripPainter:
    """A painter that leaves the picture alone and puts a strip below it.

    Frames then need not be converted to RGB and back for it, which takes half of the time.

    Args:
        draw: Gives the strip (h, W, 3), h >= 0, for the shape (H, W, 3) of the picture and the
            number of its frame.
    """

    def __init__(self, draw: Callable[[tuple[int, ...], int], Image]) -> None:
        self.draw = draw

    def __call__(self, image: Image, index: int) -> Image:
        """The picture (H, W, 3) of a frame with its strip."""
        return np.concatenate([image, self.draw(image.shape, index)])


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


@make_painter.register
def paint_regions(result: RegionResults) -> Painter:
    """The box of each region, with its name and its caption above, or inside at the top."""
    boxes = [region.boxes_at(result.frames) for region in result.regions]

    def paint(image: Image, index: int) -> Image:
        image = image.copy()
        height, width = image.shape[:2]
        scale = np.array([width / result.width, height / result.height] * 2)
        for region, part, path in zip(result.regions, result.results, boxes, strict=True):
            caption = make_caption(part, index)
            box = np.clip(path[index] * scale, 0, [width, height] * 2)
            label = f'{region.name}: {caption.text}' if caption.text else region.name
            outline_box(image, box, label, ACTIVE if caption.active else GREY)
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
def plot_regions(
    result: RegionResults, path: str | Path, *, title: str = '', truth: float | None = None
) -> None:
    """A row for each region, see `plot_row`, with its name; `truth` is that of their sum."""
    from matplotlib.figure import Figure

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
    rows[-1].set_xlim(result.start_s, time_at(result, result.num_frames))
    save_figure(figure, path)


@singledispatch
def plot_row(result: Any, axes: 'Axes') -> str:
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
    from matplotlib.figure import Figure

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


def describe_certainty(score: float) -> str:
    """Say how sure an answer is, in a client's words.

    Example:
        >>> describe_certainty(0.916), describe_certainty(0.3)
        ('sure: 92 %', 'unsure: 30 %')
    """
    return f'{"sure" if score >= MIN_CERTAINTY else "unsure"}: {100 * score:.0f} %'


def place_legend(axes: 'Axes') -> None:
    """A legend to the right of a plot, never on it."""
    axes.legend(
        loc='upper left', bbox_to_anchor=(1.005, 1), borderaxespad=0, frameon=False, fontsize=8
    )


def style_axes(axes: 'Axes') -> None:
    """A light grid, and a frame on two sides only."""
    axes.grid(alpha=0.25, lw=0.6)
    axes.spines[['top', 'right']].set_visible(False)


def save_figure(figure: 'Figure', path: str | Path, *, dpi: int = 120) -> None:
    """Write a figure, whole or not at all; a name with `$` in it is no formula, or is no text."""
    from matplotlib.text import Text

    for text in cast('list[Text]', figure.findobj(Text)):
        text.set_parse_math(False)
        text.set_text(text.get_text().encode('utf-8', 'replace').decode())
    with write_atomically(path) as temporary:
        figure.savefig(temporary, dpi=dpi)


def _show_progress(frames: Iterable[Any], total: int, description: str) -> Iterator[Any]:
    """The first `total` frames, with a progress bar if somebody watches."""
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    yield from track(
        itertools.islice(frames, total),
        description,
        total,
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
