"""Pictures of actions: `ActionScores` on the video and as plots, and where a model looks.

Importing this module registers how `ActionScores` looks, see `mmotion.visualization`.

Shape letters in this file: H and W height and width of a frame in pixels, h and w of a heat map.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from mmotion.structures.actions import ActionScores, rank_classes
from mmotion.structures.results import part_at
from mmotion.video import VideoFrame, VideoWriter
from mmotion.visualization.drawing import (
    GREY,
    WHITE,
    Color,
    Image,
    Span,
    Timeline,
    as_hex,
    draw_strip,
    enlarge,
    list_colors,
)
from mmotion.visualization.results import (
    PLOT_LINE,
    PLOT_TRUTH,
    Caption,
    Painter,
    StripPainter,
    describe_certainty,
    make_caption,
    make_painter,
    place_legend,
    plot_result,
    plot_row,
    save_figure,
    style_axes,
)

# classes whose curves are plotted
PLOTTED = 6
# a second class whose score is this part of the best one's may be meant as well
RIVAL = 0.5


class HeatMap(NamedTuple):
    """Where a model looks in one frame.

    Attributes:
        index: Number of the frame in the video.
        heat: How much at each place (h, w), in [0, 1]; stretched over the frame when it is drawn.
    """

    index: int
    heat: NDArray[np.floating]


@make_painter.register
def paint_actions(result: ActionScores) -> Painter:
    """The best class of the moment and how sure that is, above a timeline of the segments."""
    colors = _class_colors(result)
    spans = [Span(s.start_s, s.end_s, s.label, colors[s.label]) for s in result.segments]
    timeline = Timeline(spans, result.start_s, result.end_s)

    def draw(shape: tuple[int, ...], index: int) -> Image:
        scores = result.window_scores[result.window_at(index)]
        (label, score), *others = rank_classes(result.classes, scores, 2)
        texts = [
            (label, colors.get(label, WHITE) if score >= result.min_score else GREY),
            (describe_certainty(score), WHITE),
            *(
                (f'perhaps {other}' if other_score >= RIVAL * score else '', GREY)
                for other, other_score in others
            ),
        ]
        return draw_strip(shape, texts, timeline, part_at(result, index))

    return StripPainter(draw)


@make_caption.register
def caption_actions(result: ActionScores, index: int) -> Caption:
    """The best class of the moment."""
    scores = result.window_scores[result.window_at(index)]
    ((label, score),) = rank_classes(result.classes, scores, 1)
    return Caption(label, active=score >= result.min_score)


@plot_result.register
def plot_actions(
    result: ActionScores, path: str | Path, *, title: str = '', truth: float | None = None
) -> None:
    """The best classes of the video as bars, and their scores over time; `truth` is a number."""
    figure = Figure(figsize=(9, 6), layout='constrained')
    top, bottom = figure.subplots(2, 1, height_ratios=[1, 1.4])
    headline = plot_row(result, bottom)
    figure.suptitle(f'{title}: {headline}' if title else headline)
    true_label = None if truth is None else result.classes[int(truth)]
    _draw_bars(top, result.top(), true_label)
    top.set_title(result.views, loc='left', fontsize=9)
    bottom.set_xlabel('time (s)')
    bottom.set_xlim(result.start_s, result.end_s)
    for axes in (top, bottom):
        style_axes(axes)
    save_figure(figure, path)


def plot_scores(
    scores: Mapping[str, float], path: str | Path, *, title: str = '', truth: str | None = None
) -> None:
    """The best classes of a video as bars.

    Args:
        scores: By class, in [0, 1].
        path: File to write, .png or another ending that matplotlib knows.
        title: Name of the video, for the headline.
        truth: Its true class, if it is known.
    """
    figure = Figure(figsize=(9, 3), layout='constrained')
    axes = figure.subplots()
    ranked = sorted(scores.items(), key=lambda item: -item[1])[:PLOTTED]
    figure.suptitle(f'{title}: {ranked[0][0]}, {describe_certainty(ranked[0][1])}')
    _draw_bars(axes, ranked, truth)
    style_axes(axes)
    save_figure(figure, path)


def _draw_bars(axes: Axes, ranked: Sequence[tuple[str, float]], truth: str | None) -> None:
    """A bar for each class, the best one on top and the true one in another color."""
    ranked = ranked[::-1]
    colors = [PLOT_TRUTH if label == truth else PLOT_LINE for label, _ in ranked]
    axes.barh([label for label, _ in ranked], [score for _, score in ranked], color=colors)
    axes.set_xlim(0, 1)
    axes.set_xlabel('how sure' if truth is None else f'how sure (true class: {truth})')


@plot_row.register
def plot_actions_row(result: ActionScores, axes: Axes) -> str:
    """The scores over time of the classes that are best somewhere, with the segments shaded."""
    edges, colors = result.edges_s, _class_colors(result)
    for label, color in list(colors.items())[:PLOTTED]:
        scores = result.window_scores[:, result.classes.index(label)]
        axes.stairs(scores, edges, color=as_hex(color), lw=2, baseline=None, label=label)
    for segment in result.segments:
        color = as_hex(colors[segment.label])
        axes.axvspan(segment.start_s, segment.end_s, color=color, alpha=0.12, lw=0)
    axes.set_ylim(0, 1.02)
    axes.set_ylabel('how sure')
    place_legend(axes)
    return f'{result.label}, {describe_certainty(result.score)}'


def blend_heat(image: Image, heat: NDArray[np.floating]) -> Image:
    """Colour an image (H, W, 3) by a heat map (h, w) in [0, 1]; where it is 0 the image is grey."""
    height, width = image.shape[:2]
    large = cv2.resize(heat.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
    large = np.clip(large, 0, 1)
    color = cv2.applyColorMap((255 * large).astype(np.uint8), cv2.COLORMAP_PLASMA)[..., ::-1]
    weight = (0.2 + 0.4 * large)[..., None]
    return (image * (1 - weight) + color * weight).astype(np.uint8)


def join_views(
    maps: NDArray[np.floating],
    boxes_xyxy: NDArray[np.integer],
    *,
    num_clips: int,
    size: tuple[int, int],
    scale: float = 1 / 8,
) -> NDArray[np.floating]:
    """Lay the heat maps of crops over the frame from which they were cropped.

    Args:
        maps: For each view, crops first, the maps of its T frames (crops * num_clips, T, h, w).
        boxes_xyxy: Place of the crops in the frame in pixels: one row for all, or as many rows for
            each crop, in the order of the crops, (n, 4).
        num_clips: Clips of T frames.
        size: Height and width of the frame.
        scale: Size of the result, in sizes of the frame.

    Returns:
        A map for each frame of each clip (num_clips * T, scale * height, scale * width), what
        several crops see averaged; stretched to [0, 1] over all of them, 0 where no crop sees.
    """
    num_crops = len(maps) // num_clips
    height, width = (max(round(side * scale), 1) for side in size)
    per_crop = maps.reshape(num_crops, -1, *maps.shape[2:]).astype(np.float32)
    total = np.zeros((per_crop.shape[1], height, width), np.float32)
    count = np.zeros((height, width), np.float32)
    for crop, box in zip(
        per_crop, boxes_xyxy[:: max(len(boxes_xyxy) // num_crops, 1)], strict=True
    ):
        left, top, right, bottom = np.rint(box * scale).astype(int)
        count[top:bottom, left:right] += 1
        for number, heat in enumerate(crop):
            target = total[number, top:bottom, left:right]
            target += cv2.resize(heat, target.shape[::-1], interpolation=cv2.INTER_LINEAR)
    joined = total / np.maximum(count, 1)
    seen = joined[:, count > 0]
    span = max(float(seen.max() - seen.min()), 1e-12)
    return np.where(count > 0, (joined - seen.min()) / span, 0).astype(np.float32)


def draw_heat(
    frames: Iterable[VideoFrame],
    heat: Iterable[HeatMap],
    path: str | Path,
    *,
    fps: float,
    times_s: NDArray[np.float64] | None = None,
) -> None:
    """Write a copy of a video with heat maps over it, holding no more than two of them.

    Args:
        frames: The video.
        heat: Maps of some of its frames, at least one, in their order; between two of them the
            heat changes steadily, before the first and after the last it stays.
        path: File to write, .mp4; small frames are enlarged to at least 240 pixels a side.
        fps: Frames per second.
        times_s: When each frame appears, None if they are evenly spaced.
    """
    with VideoWriter(path, fps=fps, times_s=times_s) as writer:
        for frame, values in _interpolate(frames, heat):
            writer.write(blend_heat(enlarge(frame.image), values))


def plot_heat(
    images: Sequence[Image], heat: Sequence[HeatMap], path: str | Path, *, title: str = ''
) -> None:
    """Write a picture of the frames of a clip in a row, and below the same with their heat.

    Args:
        images: The frames (H, W, 3) of `heat`.
        heat: A map for each.
        path: File to write, .png or another ending that matplotlib knows.
        title: Headline.
    """
    height, width = images[0].shape[:2]
    cell = 1.8
    figure = Figure(
        figsize=(cell * len(images), 2 * cell * height / width + 0.5), layout='constrained'
    )
    figure.suptitle(title)
    rows = figure.subplots(2, len(images), squeeze=False)
    for column, (image, (index, values)) in enumerate(zip(images, heat, strict=True)):
        for axes, shown in zip(rows[:, column], (image, blend_heat(image, values)), strict=True):
            axes.imshow(shown)
            axes.set_axis_off()
        rows[0, column].set_title(f'frame {index}', fontsize=8)
    save_figure(figure, path)


def _interpolate(
    frames: Iterable[VideoFrame], heat: Iterable[HeatMap]
) -> Iterator[tuple[VideoFrame, NDArray[np.floating]]]:
    """Each frame with the heat that holds at its number."""
    coming = iter(heat)
    before = after = next(coming)
    for frame in frames:
        while frame.index > after.index:
            before, following = after, next(coming, None)
            if following is None:
                break
            after = following
        yield frame, _between(before, after, frame.index)


def _between(before: HeatMap, after: HeatMap, index: int) -> NDArray[np.floating]:
    if index <= before.index or before.index == after.index:
        return before.heat
    part = min((index - before.index) / (after.index - before.index), 1.0)
    return (1 - part) * before.heat + part * after.heat


def _class_colors(result: ActionScores) -> dict[str, Color]:
    """A color for each class that is best in some window, the most frequent first."""
    best = result.window_scores.argmax(axis=1)
    classes, counts = np.unique(best, return_counts=True)
    order = classes[np.argsort(-counts, kind='stable')].tolist()
    return dict(zip((result.classes[i] for i in order), list_colors(len(order)), strict=True))
