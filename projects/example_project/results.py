"""What the classifier answers for a video, and how that looks on it and as a plot."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from mmotion.checks import check_at_least, check_fps, check_score
from mmotion.structures.results import time_at
from mmotion.structures.times import describe_frames, freeze_frame_times
from mmotion.visualization import (
    PLOT_LINE,
    Caption,
    Painter,
    make_caption,
    make_painter,
    plot_result,
    plot_row,
    save_figure,
    style_axes,
)
from mmotion.visualization.drawing import WHITE, Image, add_strip


@dataclasses.dataclass(frozen=True)
class DotDirection:
    """Which way the dot of a video moves.

    Args:
        label: The direction.
        score: How sure that is, in [0, 1].
        fps: Frames per second.
        num_frames: Frames that were watched.
        start_s: When the first of them appears.
        frame_times_s: When each of them appears, None if they are evenly spaced.
        num_lost: Frames that should have been there and could not be read.

    Raises:
        ValueError: If a number is out of its range.
    """

    label: str
    score: float
    fps: float
    num_frames: int
    start_s: float = 0.0
    # no part of what makes two equal: the truth value of an array is undefined
    frame_times_s: NDArray[np.float64] | None = dataclasses.field(default=None, compare=False)
    num_lost: int = 0

    def __post_init__(self) -> None:
        check_score(self.score)
        check_fps(self.fps)
        check_at_least('num_frames', self.num_frames, 1)
        freeze_frame_times(self)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        content = dataclasses.asdict(self)
        del content['frame_times_s'], content['num_lost']
        return content | describe_frames(self)

    def describe(self) -> str:
        """The result in a line."""
        return f'{self.label} {self.score:.2f}'


@make_painter.register
def paint_direction(result: DotDirection) -> Painter:
    """The direction below the picture."""

    def paint(image: Image, index: int) -> Image:
        return add_strip(image, [(result.describe(), WHITE)])

    return paint


@make_caption.register
def caption_direction(result: DotDirection, index: int) -> Caption:
    """The direction, beside the name of a region."""
    return Caption(result.label, active=True)


@plot_result.register
def plot_direction(
    result: DotDirection, path: str | Path, *, title: str = '', truth: float | None = None
) -> None:
    """The score over the time that was watched; `truth` is not used."""
    figure = Figure(figsize=(9, 3), layout='constrained')
    axes = figure.subplots()
    headline = plot_row(result, axes)
    figure.suptitle(f'{title}: {headline}' if title else headline, fontsize=13)
    axes.set_xlabel('time (s)')
    style_axes(axes)
    save_figure(figure, path)


@plot_row.register
def plot_direction_row(result: DotDirection, axes: Axes) -> str:
    """A line at the height of the score."""
    end_s = time_at(result, result.num_frames)
    axes.hlines(result.score, result.start_s, end_s, color=PLOT_LINE, lw=2)
    axes.set_ylim(0, 1.05)
    axes.set_ylabel(f'score of {result.label}')
    return result.describe()
