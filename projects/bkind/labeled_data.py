"""Frames whose points are known: generated videos, and frames that somebody has annotated.

`FramePairsShapes` generates videos of a jointed figure before a still camera.

A figure of six bones, trunk, head, arms and legs, wanders about the picture, leans, nods, and
swings its arms and legs, each at its own pace and never in step: what one does says nothing of the
others. Where the figure is, or where in the picture something moves, therefore says little of where
a hand is. All figures are of one kind, as animals of an experiment are: bones have the same colors
and about the same lengths in all videos, hands and feet of the left and right side have different
ones. Textures, sizes, noise, and the background, which is textured and still, are of each video.

Shape letters in this file: N frames of a video, J joints, S frame size in pixels.
"""

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from mmengine.dataset import Compose
from numpy.typing import NDArray
from torch.utils.data import Dataset

from mmotion.registry import DATASETS, TRANSFORMS
from mmotion.shapes import SPLITS
from mmotion.shapes.movers import SPRITE_SIZE, bar, similarity, smooth, sprite, texture
from mmotion.shapes.scene import ByteArray, FloatArray, Part, Scene
from mmotion.video import VideoError, read_frames
from mmotion.video.files import is_picture
from mmotion.video.pictures import Page, measure_bits, read_picture

from .export import read_annotations

# of a data set in a regression
MAX_FRAMES = 1000

Image: TypeAlias = NDArray[np.uint8]


class Bone(NamedTuple):
    """A bone and how it moves; it begins at a joint and ends in a new one.

    Attributes:
        start: Number in `JOINTS` of the joint that it hangs on.
        length: In widths of the frame.
        width: In lengths of the bone.
        rest: Angle that it swings around, in radians from that of the bone before, 0 goes on.
        swing: How far it swings, a standard deviation in radians.
        color: RGB.
    """

    start: int
    length: float
    width: float
    rest: float
    swing: float
    color: tuple[int, int, int]


JOINTS = ('hip', 'neck', 'head', 'left_hand', 'right_hand', 'left_foot', 'right_foot')
# bone i ends in joint i + 1
BONES = (
    Bone(0, 0.24, 0.45, 0.0, 0.35, (235, 235, 225)),
    Bone(1, 0.12, 0.80, 0.0, 0.30, (250, 210, 40)),
    Bone(1, 0.23, 0.24, 2.0, 0.75, (235, 60, 50)),
    Bone(1, 0.23, 0.24, -2.0, 0.75, (60, 130, 250)),
    Bone(0, 0.25, 0.26, 2.7, 0.55, (250, 130, 210)),
    Bone(0, 0.25, 0.26, -2.7, 0.55, (60, 215, 110)),
)
# frames from one knot of a bone's motion to the next, and of the wandering
PACE = (9.0, 16.0)
WANDER_PACE = 24.0
# where the hip wanders about, x and y in widths of the frame
MIDDLE = np.array([0.5, 0.53])
# how far, a standard deviation in widths of the frame, and at most
WANDER, MAX_WANDER = 0.1, 0.2


@DATASETS.register_module()
class FramePairsShapes(Dataset):
    """Pairs of frames of generated videos, in the order of the videos.

    Gives what `FramePairs` gives, `gt_joints`, the joints of frame t (J, 2) in pixels, and
    `frame_size`, width and height. A video is drawn when it is first asked for and then held in
    memory, `num_frames * 3 * size ** 2` bytes each: 0.7 MB of 60 frames at 64 pixels.

    Args:
        split: 'train', 'val' or 'test'; their videos share nothing.
        num_videos: How many there are; the same number is always the same video.
        pipeline: Transforms for each pair.
        num_frames: Frames in a video N.
        gap_frames: From one frame of a pair to the other.
        size: Width and height of the frames S in pixels.
        camera_motion: How far the camera drifts, turns and zooms, in widths of the frame, from 0
            to 0.15: what the method does not allow, for `RegisterPair`.

    Raises:
        ValueError: If the split is unknown or a number is out of its range.
    """

    METAINFO = {'joints': JOINTS}

    def __init__(
        self,
        *,
        split: str,
        num_videos: int,
        pipeline: list[dict[str, Any]],
        num_frames: int = 60,
        gap_frames: int = 5,
        size: int = 64,
        camera_motion: float = 0.0,
    ) -> None:
        if split not in SPLITS:
            raise ValueError(f'split must be one of {list(SPLITS)}, got split={split!r}')
        if num_videos < 1:
            raise ValueError(f'num_videos must be at least 1, got num_videos={num_videos}')
        if not 1 <= gap_frames < num_frames:
            raise ValueError(
                'gap_frames must be at least 1 and less than num_frames, got '
                f'gap_frames={gap_frames} and num_frames={num_frames}'
            )
        if size < 32:
            raise ValueError(f'size must be at least 32 pixels, got size={size}')
        if not 0 <= camera_motion <= 0.15:
            raise ValueError(
                f'camera_motion must be in [0, 0.15], got camera_motion={camera_motion}'
            )
        self.split = split
        self.num_videos = num_videos
        self.pipeline = Compose([TRANSFORMS.build(step) for step in pipeline])
        self.num_frames = num_frames
        self.gap_frames = gap_frames
        self.size = size
        self.camera_motion = camera_motion
        self.metainfo = dict(self.METAINFO)
        self._videos: dict[int, tuple[ByteArray, FloatArray]] = {}

    def __len__(self) -> int:
        return self.num_videos * (self.num_frames - self.gap_frames)

    def __getitem__(self, index: int) -> Any:
        """Pass a pair through the pipeline.

        Raises:
            IndexError: If there is no pair with this number.
        """
        if not 0 <= index < len(self):
            raise IndexError(f'index must lie in 0..{len(self) - 1}, got index={index}')
        video, first = divmod(index, self.num_frames - self.gap_frames)
        frames, joints = self._render(video)
        name = f'{self.split}_{video:06d}'
        return self.pipeline(
            {
                'imgs': [frames[first].copy(), frames[first + self.gap_frames].copy()],
                'name': f'{name}_{first:06d}',
                'video': name,
                'frame': first,
                'gap': self.gap_frames,
                'weight': 1.0,
                'gt_joints': joints[first],
                'frame_size': (self.size, self.size),
            }
        )

    def frames(self, video: int) -> ByteArray:
        """All frames of a video, RGB (N, S, S, 3)."""
        return self._render(video)[0]

    def joints(self, video: int) -> FloatArray:
        """Where the joints are in each frame of a video, x and y in pixels, (N, J, 2)."""
        return self._render(video)[1]

    def _render(self, video: int) -> tuple[ByteArray, FloatArray]:
        if video not in self._videos:
            rng = np.random.default_rng([SPLITS[self.split], video])
            scene, joints = figure_scene(
                rng,
                num_frames=self.num_frames,
                size=self.size,
                camera_motion=self.camera_motion,
            )
            self._videos[video] = scene.render(), joints
        return self._videos[video]


@DATASETS.register_module()
class AnnotatedFrames(Dataset):
    """Frames in which somebody has marked points, one by one, to measure keypoints by.

    Gives what `FramePairs` gives, with frame t alone in `imgs`, and `gt_joints`, the points (J, 2)
    in pixels, NaN where one is not marked, and `frame_size`, width and height.

    Args:
        annotations: DeepLabCut's CollectedData_*.csv or .h5, COCO, or a table, see `export.py`.
        pipeline: Transforms for each frame.
        video: Where the numbers of frames count, unless the file has paths of images.

    Raises:
        FileNotFoundError: If there is no such file or image.
        ValueError: If the file has numbers of frames and no video is given, or the reverse.
        PoseFileError: If it is not in one of the formats.
    """

    def __init__(
        self, *, annotations: str, pipeline: list[dict[str, Any]], video: str | None = None
    ) -> None:
        found = read_annotations(annotations)
        if video is None:
            self._images = found.find_images()
        else:
            self._images = [Path(video)] * len(found.frames)
            check_frame_numbers(found.frames, video)
        self._frames, self._points = found.frames, found.points
        self.pipeline = Compose([TRANSFORMS.build(step) for step in pipeline])
        self.metainfo = {'joints': found.names}

    def __len__(self) -> int:
        return len(self._frames)

    def __getitem__(self, index: int) -> Any:
        """Pass a frame through the pipeline.

        Raises:
            IndexError: If there is no frame with this place in the file.
            ValueError: If an image is no picture.
        """
        path, frame = self._images[index], self._frames[index]
        image = read_frames(path, [frame])[0] if isinstance(frame, int) else read_image(path)
        return self.pipeline(
            {
                'imgs': [image],
                'name': f'{path.name}_{frame:06d}' if isinstance(frame, int) else frame,
                'video': str(path),
                'frame': frame if isinstance(frame, int) else index,
                'gap': 0,
                'weight': 1.0,
                'gt_joints': self._points[index],
                'frame_size': image.shape[1::-1],
            }
        )


@DATASETS.register_module()
class RegressionFrames(Dataset):
    """Frames of two data sets for `KeypointRegressionMetric`: some to fit on, others to test on.

    The `part` of a data sample is 'fitted' or 'tested'.

    Args:
        fitted: Config of a data set with known points, whose pipeline ends in `PackPair`.
        tested: The same of the other one.
        max_frames: Of each at most so many, evenly spread.

    Raises:
        ValueError: If `max_frames` is below 1, or the two know different points.
    """

    def __init__(
        self, *, fitted: dict[str, Any], tested: dict[str, Any], max_frames: int = MAX_FRAMES
    ) -> None:
        if max_frames < 1:
            raise ValueError(f'max_frames must be at least 1, got max_frames={max_frames}')
        self.parts: dict[str, Any] = {
            'fitted': DATASETS.build(fitted),
            'tested': DATASETS.build(tested),
        }
        names = [part.metainfo.get('joints') for part in self.parts.values()]
        if names[0] != names[1]:
            raise ValueError(
                f'fitted and tested must know the same points, got {names[0]} and {names[1]}'
            )
        self.metainfo = dict(self.parts['tested'].metainfo)
        self._places = [
            (part, place)
            for part, dataset in self.parts.items()
            for place in spread_evenly(len(dataset), max_frames)
        ]

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, index: int) -> dict[str, Any]:
        """A packed sample of one of the data sets, with its `part`."""
        part, place = self._places[index]
        sample = self.parts[part][place]
        sample['data_samples'].set_metainfo({'part': part})
        return sample


def spread_evenly(count: int, most: int) -> list[int]:
    """At most so many of `count` places, from the first to the last.

    Example:
        >>> spread_evenly(9, 3), spread_evenly(2, 3)
        ([0, 4, 8], [0, 1])
    """
    return np.unique(np.linspace(0, count - 1, most).round().astype(int)).tolist()


def read_image(path: Path) -> Image:
    """An image (H, W, 3), RGB, its values scaled like those of the other pictures in its folder.

    Raises:
        ValueError: If it is no picture, or has values of more bits than the others.
    """
    try:
        return read_picture(Page(path), _measure_bits_in(path.parent))
    except VideoError as error:
        raise ValueError(f'an annotated image must be a picture, got {path}: {error}') from error


@functools.lru_cache(maxsize=16)
def _measure_bits_in(folder: Path) -> int:
    paths = sorted(folder.iterdir())
    return measure_bits(Page(path) for path in paths if is_picture(path.name))


def check_frame_numbers(frames: Sequence[int | str], video: str | Path) -> list[int]:
    """Numbers of annotated frames.

    Raises:
        ValueError: If one is the path of an image.
    """
    numbers = [frame for frame in frames if isinstance(frame, int)]
    paths = [frame for frame in frames if not isinstance(frame, int)]
    if paths:
        raise ValueError(
            f'annotations of {video} must have numbers of frames, got {paths[0]!r}; leave out the '
            'video'
        )
    return numbers


def figure_scene(
    rng: np.random.Generator, *, num_frames: int, size: int, camera_motion: float = 0.0
) -> tuple[Scene, FloatArray]:
    """Describe a video of a figure.

    Args:
        rng: Source of the choices; those of the camera come last, so that the same state gives the
            same figure with any motion of it.
        num_frames: N.
        size: S.
        camera_motion: See `FramePairsShapes`.

    Returns:
        The scene, and the places of `JOINTS` in its frames, in pixels (N, J, 2).
    """
    # all bones longer or shorter, and each a little more
    lengths = np.exp(rng.normal(0, 0.06) + rng.normal(0, 0.04, len(BONES)))
    wander = WANDER * smooth(rng, num_frames, WANDER_PACE, 2)
    places = [size * (MIDDLE + np.clip(wander, -MAX_WANDER, MAX_WANDER))]
    # the direction in which a bone goes, 0 is up, clockwise
    angles = [np.zeros(num_frames)]
    parts = []
    for bone, factor in zip(BONES, lengths, strict=True):
        motion = smooth(rng, num_frames, rng.uniform(*PACE))
        before = angles[bone.start]
        angle = before + bone.rest + bone.swing * motion
        placement, end = _place_bone(places[bone.start], angle, factor * bone.length * size)
        picture = _color(rng, bar(bone.width * rng.uniform(0.9, 1.1)), bone.color)
        parts.append(Part(picture, placement))
        places.append(end)
        angles.append(angle)
    background = texture(rng, int(1.6 * size)) // 2
    noise = float(rng.uniform(0, 3))
    drift, turn, zoom = np.split(camera_motion * smooth(rng, num_frames, 20.0, 4), [2, 3], axis=1)
    camera = similarity(
        size * (0.5 + drift[:, 0]),
        size * (0.5 + drift[:, 1]),
        turn[:, 0],
        np.exp(zoom[:, 0]),
        size / 2,
    )
    scene = Scene(
        size=size,
        backgrounds=(background,),
        shot=np.zeros(num_frames, np.int64),
        camera=camera,
        # limbs behind the trunk, the head in front
        parts=(*parts[2:], parts[0], parts[1]),
        light=np.ones(num_frames),
        noise=noise,
        cycles=np.zeros(num_frames),
        period=np.zeros(num_frames),
    )
    in_world = np.stack(places, axis=1)
    in_frame = in_world @ camera[:, :, :2].swapaxes(1, 2) + camera[:, None, :, 2]
    return scene, in_frame


def _place_bone(
    start: FloatArray, angle: FloatArray, length: float
) -> tuple[FloatArray, FloatArray]:
    """Place a bar that goes from `start` (N, 2) in a direction; matrices (N, 2, 3) and its end."""
    way = length * np.stack([np.sin(angle), -np.cos(angle)], axis=1)
    middle = start + way / 2
    # between the ends of the bar are 0.9 of its picture
    scale = length / (0.9 * SPRITE_SIZE)
    placement = similarity(middle[:, 0], middle[:, 1], angle, scale, SPRITE_SIZE / 2)
    return placement, start + way


def _color(
    rng: np.random.Generator, outline: NDArray[np.float64], color: tuple[int, int, int]
) -> ByteArray:
    """Cut a texture in shades of a color to an outline, (h, w, 4)."""
    picture = sprite(rng, outline)
    shade = 0.65 + 0.35 * texture(rng, SPRITE_SIZE).mean(axis=2, keepdims=True) / 255
    picture[..., :3] = shade * np.array(color) * picture[..., 3:] / 256
    return picture
