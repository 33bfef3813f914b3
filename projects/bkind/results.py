"""Where the discovered keypoints of a video are in each frame, and how that looks.

Importing this module registers the looks of `KeypointTracks`, see `mmotion.visualization`.

Frames are counted from 0, points are in pixels of the video, x to the right and y down, with (0, 0)
in the middle of the first pixel.

Shape letters in this file: N frames that were watched, K keypoints, H and W height and width of a
frame in pixels.
"""

import dataclasses
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mmotion.checks import TOLERANCE, check_fps, check_scores, make_plain
from mmotion.structures.json_file import Rounded
from mmotion.structures.results import time_at
from mmotion.structures.times import describe_frames, freeze_frame_times
from mmotion.visualization import (
    Caption,
    Painter,
    make_caption,
    make_painter,
    plot_result,
    plot_row,
    save_figure,
    style_axes,
)
from mmotion.visualization.drawing import (
    GREY,
    WHITE,
    Color,
    Image,
    add_strip,
    as_hex,
    list_colors,
    measure_unit,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# below it a heat map covers three quarters of the picture, and its mean says nothing
MIN_QUALITY = 0.25
# how much of the past a trail shows
TRAIL_S = 0.5
# decimals of positions (px), confidences and covariances (px^2) in files
PIXEL_DECIMALS, SCORE_DECIMALS, COVARIANCE_DECIMALS = 3, 6, 4
# more points than these, per keypoint, are not drawn in a plot: it is a thousand pixels wide
MAX_PLOTTED = 20_000
# OpenCV draws fractions of a pixel as whole numbers of 1 / 2^SHIFT
SHIFT = 4


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class FrameKeypoints:
    """The keypoints of one frame, as a stream gives them.

    Args:
        frame: Number of the frame.
        time_s: When it is shown.
        keypoints: x and y in pixels (K, 2).
        confidence: Height of the peak of each heat map (K,), in [0, 1].
        covariance: Spread of each heat map (K, 3): var x, var y and cov xy, in square pixels.
        quality: How sharp each heat map is (K,), see `KeypointTracks`.

    Raises:
        ValueError: If a value is not finite.
    """

    frame: int
    time_s: float
    keypoints: NDArray[np.float32]
    confidence: NDArray[np.float32]
    covariance: NDArray[np.float32]
    quality: NDArray[np.float32]

    def __post_init__(self) -> None:
        for name in ('keypoints', 'confidence', 'covariance'):
            _check_finite(name, getattr(self, name))

    def to_dict(self) -> dict[str, Any]:
        """All fields as plain JSON types."""
        return {
            field.name: make_plain(getattr(self, field.name)) for field in dataclasses.fields(self)
        }


# eq would compare arrays, whose truth value is undefined
@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class KeypointTracks:
    """The way of each discovered keypoint through a video.

    Arrays, or anything that becomes one, are stored as read-only float32; `frames` as int64.

    Args:
        fps: Frames per second, above 0.
        width: Of the video, in pixels.
        height: Of the video, in pixels.
        frames: Numbers of the frames that were watched (N,), rising, N >= 1.
        keypoints: x and y in pixels (N, K, 2), K >= 1.
        confidence: Height of the peak of each heat map (N, K), in [0, 1]. It is low where a heat
            map is wide, so compare it with other frames of the same keypoint only.
        covariance: Spread of each heat map (N, K, 3): var x, var y and cov xy, in square pixels.
        names: Of the keypoints (K), all different.
        start_s: When the first of the N frames appears.
        quality: How sharp each heat map is (N, K): 1 if it is a point, 0 if it is spread over all
            that was looked at; None finds it by the covariance in a whole picture. A keypoint whose
            middle quality is below `MIN_QUALITY` has found nothing.
        frame_times_s: When each of them appears (N,), None if they are evenly spaced; what is left
            out here of frames with gaps between them follows from their numbers.
        num_lost: Frames that should have been there and could not be read.

    Raises:
        ValueError: If a value is out of its range, or shapes do not agree.

    Example:
        >>> tracks = KeypointTracks(
        ...     fps=25.0, width=64, height=48, frames=[0, 1], names=('nose',),
        ...     keypoints=[[[10.0, 20.0]], [[13.0, 24.0]]], confidence=[[0.5], [0.4]],
        ...     covariance=[[[4.0, 4.0, 0.0]], [[4.0, 4.0, 0.0]]],
        ... )
        >>> tracks.describe()
        '1 keypoints in 2 frames, moving 125 px/s, confidence 0.45'
    """

    fps: float
    width: int
    height: int
    frames: NDArray[np.int64]
    keypoints: NDArray[np.float32]
    confidence: NDArray[np.float32]
    covariance: NDArray[np.float32]
    names: tuple[str, ...]
    start_s: float = 0.0
    quality: NDArray[np.float32] | None = None
    frame_times_s: NDArray[np.float64] | None = None
    num_lost: int = 0

    def __post_init__(self) -> None:
        check_fps(self.fps)
        if not 0 <= self.start_s < math.inf:
            raise ValueError(f'start_s must be at least 0 and finite, got start_s={self.start_s}')
        for name in ('width', 'height'):
            if getattr(self, name) < 1:
                raise ValueError(f'{name} must be at least 1, got {name}={getattr(self, name)}')
        object.__setattr__(self, 'names', tuple(map(str, self.names)))
        if not self.names or len(set(self.names)) < len(self.names):
            raise ValueError(
                f'names must be at least one, all of them different, got names={self.names}'
            )
        self._check_frames()
        passed = self.frames - self.frames[0]
        if self.frame_times_s is None and passed[-1] >= self.num_frames:
            object.__setattr__(self, 'frame_times_s', self.start_s + passed / self.fps)
        freeze_frame_times(self)
        shape = (self.num_frames, len(self.names))
        self._freeze('keypoints', (*shape, 2))
        self._freeze('confidence', shape)
        self._freeze('covariance', (*shape, 3))
        if not ((self.confidence >= 0) & (self.confidence <= 1 + TOLERANCE)).all():
            raise ValueError('confidence must lie in [0, 1], got values outside of it')
        if (self.covariance[..., :2] < 0).any():
            raise ValueError('covariance must have variances of at least 0, got lower ones')
        if self.quality is None:
            quality = find_quality(self.covariance, self.width, self.height)
            object.__setattr__(self, 'quality', quality)
        self._freeze('quality', shape)
        check_scores('quality', self.sharpness)

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> 'KeypointTracks':
        """Make it again from what `to_dict` gave, and JSON kept; other entries are passed over.

        Raises:
            ValueError: If an entry is missing, or has a value that is not allowed.
        """
        names = [field.name for field in dataclasses.fields(cls)]
        # files of before have no quality, and most videos none of the others
        optional = ('quality', 'frame_times_s', 'num_lost')
        names = [name for name in names if name not in optional or name in content]
        missing = [name for name in names if name not in content]
        if missing:
            raise ValueError(
                f'tracks must have {", ".join(names)}, got none for {", ".join(missing)}; give a '
                'file that mmotion predict has written'
            )
        return cls(**{name: content[name] for name in names})

    @property
    def num_frames(self) -> int:
        """Frames N that were watched."""
        return len(self.frames)

    @property
    def sharpness(self) -> NDArray[np.float32]:
        """The quality (N, K), which is there once it is checked."""
        return np.asarray(self.quality, dtype=np.float32)

    @property
    def is_found(self) -> NDArray[np.bool_]:
        """Whether each keypoint has found something (K,), see `quality`."""
        return np.median(self.sharpness, axis=0) >= MIN_QUALITY

    @property
    def times_s(self) -> NDArray[np.float64]:
        """When each frame appears (N,)."""
        return time_at(self, np.arange(self.num_frames))

    @property
    def speed_px_s(self) -> NDArray[np.float64]:
        """How fast each keypoint moves from a frame to the next (N - 1, K), in pixels a second."""
        steps = np.diff(self.keypoints.astype(np.float64), axis=0)
        return np.linalg.norm(steps, axis=-1) / np.diff(self.times_s)[:, None]

    @property
    def mean_speed_px_s(self) -> float:
        """The speed of all keypoints, on average; 0 of a single frame."""
        return float(self.speed_px_s.mean()) if self.num_frames > 1 else 0.0

    def to_dict(self) -> dict[str, Any]:
        """All fields as plain JSON types, rounded to what matters."""
        return {
            name: value.tolist() if isinstance(value, Rounded | np.ndarray) else value
            for name, value in self.to_arrays().items()
        }

    def to_arrays(self) -> dict[str, Any]:
        """The same with arrays, see `mmotion.structures.results.list_entries`."""
        rounded = {
            'keypoints': Rounded(self.keypoints, PIXEL_DECIMALS),
            'confidence': Rounded(self.confidence, SCORE_DECIMALS),
            'covariance': Rounded(self.covariance, COVARIANCE_DECIMALS),
            'quality': Rounded(self.sharpness, SCORE_DECIMALS),
        }
        others = {
            'fps': self.fps,
            'width': self.width,
            'height': self.height,
            'frames': self.frames,
            'names': list(self.names),
            'start_s': self.start_s,
        }
        return {**others, **describe_frames(self), **rounded}

    def to_rows(self) -> list[dict[str, Any]]:
        """How many keypoints there are, how many have found something, how fast they move."""
        row = {'keypoints': len(self.names), 'found': int(self.is_found.sum())}
        return [row | {'speed_px_s': self.mean_speed_px_s}]

    def describe(self) -> str:
        """The result in a line."""
        text = (
            f'{len(self.names)} keypoints in {self.num_frames} frames, moving '
            f'{self.mean_speed_px_s:.3g} px/s, confidence {float(self.confidence.mean()):.2g}'
        )
        num_lost = int((~self.is_found).sum())
        if num_lost:
            text += f'; {num_lost} found nothing: train longer, or with fewer num_keypoints'
        return text

    def _check_frames(self) -> None:
        frames = np.array(self.frames, dtype=np.int64)
        rises = frames.ndim == 1 and len(frames) and frames[0] >= 0 and (np.diff(frames) > 0).all()
        if not rises:
            raise ValueError(
                'frames must be at least one number of a frame, counted from 0 and rising, got '
                f'shape={frames.shape}'
            )
        frames.setflags(write=False)
        object.__setattr__(self, 'frames', frames)

    def _freeze(self, name: str, shape: tuple[int, ...]) -> None:
        """Replace a field by a checked, read-only float32 copy of it."""
        array = np.array(getattr(self, name), dtype=np.float32)
        if array.shape != shape:
            raise ValueError(
                f'{name} must have the shape {shape} for {shape[0]} frames and {shape[1]} names, '
                f'got shape={array.shape}'
            )
        _check_finite(name, array)
        array.setflags(write=False)
        object.__setattr__(self, name, array)


def _check_finite(name: str, values: NDArray[np.floating]) -> None:
    if not np.isfinite(values).all():
        raise ValueError(
            f'{name} must be finite, got NaN or infinite values; look at the weights of the model'
        )


def find_quality(covariance: NDArray[np.float32], width: int, height: int) -> NDArray[np.float64]:
    """How sharp heat maps (..., 3) over a whole picture are (...), see `KeypointTracks`."""
    # beside the variances of a picture of one color
    spread = covariance[..., :2] * 12 / np.square([width, height])
    return np.clip(1 - np.sqrt(spread.mean(axis=-1)), 0, 1)


@make_painter.register
def paint_tracks(result: KeypointTracks) -> Painter:
    """Keypoints with the ellipse of one standard deviation, and the trail of the last half second.

    A point is as dark as its confidence is low beside the highest that it has in the video. Where
    it has found nothing it is a thin ring. Below the picture stand the names in their colors.
    """
    import cv2

    colors = list_colors(len(result.names))
    # in evenly spaced frames rounded to whole ones, and at least the one before
    since_s = result.times_s - TRAIL_S - 0.5 / result.fps
    firsts = np.minimum(np.searchsorted(result.times_s, since_s), np.arange(result.num_frames) - 1)
    firsts = np.maximum(firsts, 0)
    short = [name.removeprefix('keypoint_') for name in result.names]
    shades = [
        color if found else GREY for color, found in zip(colors, result.is_found, strict=True)
    ]
    legend = [(f'{len(short)} points', WHITE), *zip(short, shades, strict=True)]
    certainty = result.confidence / np.maximum(result.confidence.max(axis=0), 1e-9)

    def paint(image: Image, index: int) -> Image:
        image = image.copy()
        scale = np.array([image.shape[1] / result.width, image.shape[0] / result.height])
        unit = max(measure_unit(image), 1.0)
        line = max(round(0.4 * unit), 1)
        # the middle of a pixel stays the middle of what it is enlarged to
        trails = (result.keypoints[firsts[index] : index + 1] + 0.5) * scale - 0.5
        for k, color in enumerate(colors):
            trail = _to_subpixels(trails[:, k])
            radius = round(1.5 * unit * 2**SHIFT)
            place = trail[-1].tolist()
            if result.sharpness[index, k] < MIN_QUALITY:
                cv2.circle(image, place, radius, GREY, line, cv2.LINE_AA, SHIFT)
                continue
            cv2.polylines(image, [trail], False, color, line, cv2.LINE_AA, SHIFT)
            _draw_ellipse(image, trail[-1], result.covariance[index, k], scale, color)
            share = 0.4 + 0.6 * float(certainty[index, k])
            shade = (round(share * color[0]), round(share * color[1]), round(share * color[2]))
            cv2.circle(image, place, radius, shade, cv2.FILLED, cv2.LINE_AA, SHIFT)
            cv2.circle(image, place, radius, WHITE, max(line // 2, 1), cv2.LINE_AA, SHIFT)
        return add_strip(image, legend)

    return paint


@make_caption.register
def caption_tracks(result: KeypointTracks, index: int) -> Caption:
    """How fast the keypoints move."""
    if result.num_frames < 2:
        return Caption('', active=False)
    speed = float(result.speed_px_s[max(index - 1, 0)].mean())
    # a pixel a frame
    return Caption(f'{speed:.0f} px/s', active=speed > result.fps)


@plot_result.register
def plot_tracks(
    result: KeypointTracks, path: str | Path, *, title: str = '', truth: float | None = None
) -> None:
    """The ways of the keypoints in the picture, and x, y and confidence over time.

    Of more than 20,000 frames every second, third, ... is drawn.
    """
    from matplotlib.figure import Figure

    del truth  # positions are no single number
    figure = Figure(figsize=(11, 6), layout='constrained')
    figure.suptitle(f'{title}: {result.describe()}' if title else result.describe(), fontsize=11)
    # matplotlib does not say that these are two
    halves: Any = figure.subfigures(1, 2, width_ratios=[1, 1.2])
    left, right = halves
    picture = left.subplots()
    rows = right.subplots(3, 1, sharex=True)
    drawn = slice(None, None, math.ceil(result.num_frames / MAX_PLOTTED))
    times_s = result.times_s[drawn]
    for k, color in enumerate(list_colors(len(result.names))):
        style = {'color': as_hex(color), 'lw': 0.8}
        x, y = result.keypoints[drawn, k].T
        picture.plot(x, y, label=result.names[k], **style)
        for axes, values in zip(rows, (x, y, result.confidence[drawn, k]), strict=True):
            axes.plot(times_s, values, **style)
    picture.set(xlim=(0, result.width), ylim=(result.height, 0), aspect='equal')
    picture.set(xlabel='x (px)', ylabel='y (px)')
    left.legend(loc='outside lower center', fontsize=8, ncols=4, frameon=False)
    for axes, label in zip(rows, ('x (px)', 'y (px)', 'confidence'), strict=True):
        axes.set_ylabel(label)
        style_axes(axes)
    rows[-1].set_xlabel('time (s)')
    save_figure(figure, path)


@plot_row.register(KeypointTracks)
def plot_speeds(result: KeypointTracks, axes: 'Axes') -> str:
    """The speed of each keypoint."""
    if result.num_frames > 1:
        drawn = slice(None, None, math.ceil(result.num_frames / MAX_PLOTTED))
        times_s, speeds = result.times_s[1:][drawn], result.speed_px_s[drawn]
        for color, speed in zip(list_colors(len(result.names)), speeds.T, strict=True):
            axes.plot(times_s, speed, color=as_hex(color), lw=0.8)
    axes.set_ylabel('speed (px/s)')
    return result.describe()


def _draw_ellipse(
    image: Image,
    center: NDArray[np.int32],
    covariance: NDArray[np.float32],
    scale: NDArray[np.float64],
    color: Color,
) -> None:
    """Outline one standard deviation around a center in fractions of a pixel."""
    import cv2

    var_x, var_y, cov_xy = covariance.astype(np.float64)
    matrix = np.array([[var_x, cov_xy], [cov_xy, var_y]]) * np.outer(scale, scale)
    # eigenvalues rise: the second axis is the long one
    values, vectors = np.linalg.eigh(matrix)
    short, long = np.sqrt(np.maximum(values, 0)).tolist()
    angle = math.degrees(math.atan2(vectors[1, 1], vectors[0, 1]))
    axes = (round(long * 2**SHIFT), round(short * 2**SHIFT))
    line = max(round(0.2 * measure_unit(image)), 1)
    cv2.ellipse(image, center.tolist(), axes, angle, 0, 360, color, line, cv2.LINE_AA, SHIFT)


def _to_subpixels(points: ArrayLike) -> NDArray[np.int32]:
    return np.rint(np.asarray(points) * 2**SHIFT).astype(np.int32)
