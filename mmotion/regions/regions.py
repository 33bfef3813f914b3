"""Parts of a picture that are looked at each by itself: `Predictor.predict_regions`.

A region is a box that stays where it is, or a track: a box that moves. Boxes are `box_xyxy`, the
left, top, right and bottom edge in pixels of the input video, so that the whole picture is
(0, 0, width, height). Frames are counted from 0.

What a predictor sees of a region is a video of one size, cut out of the big one:

- the box and a margin around it, as far as it lies in the picture;
- of a track, a window of constant size, the 95th percentile of the widths and of the heights, whose
  middle follows the middle of the box, smoothed by a Gaussian with a standard deviation of two
  seconds. So neither the jitter of a detector nor a box that breathes with every repetition moves
  or scales the picture, while somebody who walks slowly, or a camera that turns, is followed. Where
  the smooth path would leave the picture, the window stops.

Shape letters in this file: K boxes of a track, N frames.
"""

import dataclasses
import reprlib
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mmotion.checks import check_at_least
from mmotion.structures.results import Result, list_entries, list_rows
from mmotion.structures.times import freeze_frame_times
from mmotion.tables import unify

# share of a box's width and height that is added on each side
MARGIN = 0.1
# a smaller piece of the picture shows no motion
MIN_SIDE_PX = 16
# of the path of a track: slower than most repetitions, faster than a walk across the room
SMOOTHING_S = 2.0
SIZE_PERCENTILE = 95


# eq would compare arrays, whose truth value is undefined
@dataclasses.dataclass(frozen=True, init=False, eq=False)
class Region:
    """A box that stays, or one that moves.

    Args:
        name: What the region is called in results and pictures, not empty.
        boxes_xyxy: Left, top, right and bottom edge (K, 4), in pixels of the input video.
        frames: Number of the frame of each box (K,), rising. A single box holds for all frames.

    Raises:
        ValueError: If a value is not as described.

    Example:
        >>> region = Region(name='p2', boxes_xyxy=[[0, 0, 40, 80], [20, 0, 60, 80]], frames=[0, 10])
        >>> region.boxes_at([5, 99])
        array([[10.,  0., 50., 80.],
               [20.,  0., 60., 80.]])
    """

    name: str
    boxes_xyxy: NDArray[np.float64]
    frames: NDArray[np.int64]

    def __init__(self, *, name: str, boxes_xyxy: ArrayLike, frames: ArrayLike = (0,)) -> None:
        if not (isinstance(name, str) and name.strip()):
            raise ValueError(f'the name of a region must be a text, got name={name!r}')
        object.__setattr__(self, 'name', name)
        object.__setattr__(self, 'frames', self._check_frames(frames))
        object.__setattr__(self, 'boxes_xyxy', self._check_boxes(boxes_xyxy))

    @property
    def is_fixed(self) -> bool:
        """Whether the box stays where it is."""
        return len(self.frames) == 1

    def boxes_at(self, frames: Sequence[int] | NDArray[np.int64]) -> NDArray[np.float64]:
        """Boxes (N, 4) of the frames (N,): between two known ones linear, beyond the ends held."""
        sides = [np.interp(frames, self.frames, side) for side in self.boxes_xyxy.T]
        return np.stack(sides, axis=-1)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types, as a file of regions has them (see `mmotion.regions.files`)."""
        boxes = self.boxes_xyxy.tolist()
        if self.is_fixed:
            return {'name': self.name, 'box_xyxy': boxes[0]}
        frames = zip(self.frames.tolist(), boxes, strict=True)
        return {
            'name': self.name,
            'frames': [{'frame': frame, 'box_xyxy': box} for frame, box in frames],
        }

    def _check_frames(self, values: ArrayLike) -> NDArray[np.int64]:
        frames = np.array(values)
        if frames.ndim != 1 or not len(frames) or frames.dtype.kind not in 'iu':
            raise ValueError(
                f'the frames of region {self.name!r} must be at least one whole number, '
                f'got frames={reprlib.repr(values)}'
            )
        wrong = np.flatnonzero(np.diff(frames, prepend=-1) <= 0)
        if wrong.size:
            raise ValueError(
                f'the frames of region {self.name!r} must be counted from 0 and rise, '
                f'got frame={frames[wrong[0]]} at place {wrong[0]}'
            )
        frames.setflags(write=False)
        return frames

    def _check_boxes(self, values: ArrayLike) -> NDArray[np.float64]:
        try:
            boxes = np.array(values)
        except ValueError:
            # lists of unequal length
            boxes = np.zeros(0)
        if boxes.shape != (len(self.frames), 4) or boxes.dtype.kind not in 'iuf':
            raise ValueError(
                f'region {self.name!r} must have four numbers, x1 y1 x2 y2, for each of '
                f'{len(self.frames)} frames, got boxes_xyxy={reprlib.repr(values)}'
            )
        boxes = boxes.astype(np.float64)
        finite = np.isfinite(boxes).all(axis=1)
        # written so that NaN fails as well
        right = finite & (boxes[:, :2] < boxes[:, 2:]).all(axis=1)
        if not right.all():
            place = int(np.argmin(right))
            raise ValueError(
                f'box_xyxy of region {self.name!r} must be finite numbers with x1 < x2 and '
                f'y1 < y2, got box_xyxy={boxes[place].tolist()} in frame {self.frames[place]}'
            )
        boxes.setflags(write=False)
        return boxes


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class RegionResults:
    """What a predictor answers for each region of a video.

    Args:
        regions: The regions, at least one.
        results: The result of each, as `Predictor.predict` gives it for the cropped video.
        fps: Frames per second, above 0.
        frames: Numbers of the N frames that were watched (N,), counted from the video's first.
        start_s: When the first of them appears.
        width: Width of the video in pixels.
        height: Height of the video in pixels.
        frame_times_s: When each of the frames appears (N,), None if they are evenly spaced.
        num_lost: Frames that should have been there and could not be read.

    Raises:
        ValueError: If there is not one result for each region, or no frame.
    """

    regions: Sequence[Region]
    results: Sequence[Result]
    fps: float
    frames: NDArray[np.int64]
    start_s: float
    width: int
    height: int
    frame_times_s: NDArray[np.float64] | None = None
    num_lost: int = 0

    def __post_init__(self) -> None:
        if not self.regions or len(self.regions) != len(self.results) or not len(self.frames):
            raise ValueError(
                'there must be at least one region, a result for each, and a frame, got '
                f'{len(self.regions)} regions, {len(self.results)} results and '
                f'{len(self.frames)} frames'
            )
        freeze_frame_times(self)

    @property
    def num_frames(self) -> int:
        """Frames N that were watched."""
        return len(self.frames)

    def describe(self) -> str:
        """What each result says of itself, in a line."""
        pairs = zip(self.regions, self.results, strict=True)
        return '; '.join(f'{region.name}: {result.describe()}' for region, result in pairs)

    def to_dict(self) -> dict[str, Any]:
        """`regions`: for each the name, the box or boxes, and what its result says of itself."""
        pairs = zip(self.regions, self.results, strict=True)
        regions = [region.to_dict() | result.to_dict() for region, result in pairs]
        return self.to_arrays() | {'regions': regions}

    def to_arrays(self) -> dict[str, Any]:
        """The same, a region after the other, see `list_entries`."""
        pairs = zip(self.regions, self.results, strict=True)
        regions = (region.to_dict() | list_entries(result) for region, result in pairs)
        return {'regions': regions} | ({'num_lost': self.num_lost} if self.num_lost else {})

    def to_rows(self) -> list[dict[str, Any]]:
        """A row for each region, with its name."""
        pairs = zip(self.regions, self.results, strict=True)
        return [{'region': region.name, **row} for region, part in pairs for row in list_rows(part)]


def check_regions(regions: Sequence[Region]) -> None:
    """Refuse having no region, and two of one name.

    Raises:
        ValueError: In both cases.
    """
    if not regions:
        raise ValueError('there must be at least one region, got none')
    name, times = Counter(unify(region.name) for region in regions).most_common(1)[0]
    if times > 1:
        raise ValueError(
            f'the names of regions must differ, got {times} with name={name!r}; rename them'
        )


class CropWindow:
    """The piece of each frame that shows a region, of one size for all frames.

    Args:
        region: The region.
        num_frames: Frames N of the video.
        fps: Frames per second, above 0.
        width: Width of the video in pixels.
        height: Height of the video in pixels.
        margin: Share of the box's width and height that is added on each side, >= 0.

    Raises:
        ValueError: If a box lies outside of the picture, a frame after the end of the video, or the
            piece is smaller than 16 pixels.

    Example:
        >>> region = Region(name='left', boxes_xyxy=[[10, 20, 110, 70]])
        >>> window = CropWindow(region, num_frames=9, fps=30.0, width=640, height=360)
        >>> window.crop(np.zeros((360, 640, 3), np.uint8), frame=0).shape
        (60, 120, 3)
    """

    def __init__(
        self,
        region: Region,
        *,
        num_frames: int,
        fps: float,
        width: int,
        height: int,
        margin: float = MARGIN,
    ) -> None:
        check_at_least('margin', margin, 0)
        size = np.array([width, height])
        _check_inside(region, num_frames, size)
        boxes = region.boxes_at(np.arange(num_frames))
        border = margin * (boxes[:, 2:] - boxes[:, :2])
        start = np.clip(boxes[:, :2] - border, 0, size)
        end = np.clip(boxes[:, 2:] + border, 0, size)

        self.size = np.rint(np.percentile(end - start, SIZE_PERCENTILE, axis=0)).astype(int)
        if self.size.min() < MIN_SIDE_PX:
            raise ValueError(
                f'region {region.name!r} must show at least {MIN_SIDE_PX} x {MIN_SIDE_PX} pixels '
                f'of the video of {width} x {height}, got {self.size[0]} x {self.size[1]}'
            )
        middle = (start + end) / 2
        if not region.is_fixed:
            from scipy.ndimage import gaussian_filter1d

            middle = gaussian_filter1d(middle, SMOOTHING_S * fps, axis=0)
        corner = np.clip(np.rint(middle - self.size / 2), 0, size - self.size)
        self.corners = corner.astype(int)

    def crop(self, image: NDArray[np.uint8], *, frame: int) -> NDArray[np.uint8]:
        """Cut the piece (h, w, 3), a copy, out of the image (H, W, 3) of a frame."""
        (x, y), (width, height) = self.corners[frame], self.size
        # a view would keep the whole image alive
        return image[y : y + height, x : x + width].copy()


def _check_inside(region: Region, num_frames: int, size: NDArray[np.int64]) -> None:
    """Refuse boxes outside of the picture and frames after the end of the video."""
    if region.frames[-1] >= num_frames:
        raise ValueError(
            f'the frames of region {region.name!r} must lie in the video, from 0 to '
            f'{num_frames - 1}, got frame={region.frames[-1]}'
        )
    boxes = region.boxes_xyxy
    inside = ((boxes[:, :2] < size) & (boxes[:, 2:] > 0)).all(axis=1)
    if not inside.all():
        place = int(np.argmin(inside))
        raise ValueError(
            f'region {region.name!r} must lie in the video of {size[0]} x {size[1]} pixels, '
            f'got box_xyxy={boxes[place].tolist()} in frame {region.frames[place]}'
        )
