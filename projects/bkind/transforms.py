"""What is done to a pair of frames before the network sees it.

A transform gets and gives the dictionary that is described in `projects.bkind.data`, and changes
`imgs`, frame t and frame t + gap; in prediction that is a single frame. The order that makes sense:

    pipeline = [
        dict(type='RemoveShadows', method='background'),
        dict(type='RegisterPair'),
        dict(type='CropBox'),
        dict(type='ResizePair', size=256),
        dict(type='PackPair'),
    ]

Frames are turned by the losses, on their device; nothing else is done to them in the reference.

Reference code: neuroethology/BKinD@9e73721, dataloader/data_utils.py

Shape letters in this file: H and W height and width of a frame and S its final size in pixels,
J joints, K points.
"""

import importlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import cv2
import numpy as np
import torch
from mmcv.transforms import BaseTransform
from mmengine.structures import BaseDataElement
from numpy.typing import NDArray

from mmotion.registry import TRANSFORMS
from mmotion.tables import read_table, unify
from mmotion.transforms.shadows import NUM_FRAMES, ShadowRemover, build_remover
from mmotion.video import VideoError
from mmotion.video.sources import VideoSource, open_source

# corners that are followed from frame to frame, and how many must agree: fewer do by chance
MAX_CORNERS = 400
MIN_MATCHES = 12
# up to which distance they agree, in pixels
MAX_ERROR_PX = 1.5
# videos whose background is remembered at a time, some 30 MB each
MAX_REMOVERS = 8
# by which a square around a person is made larger on each side, as the reference has it
BOX_MARGIN = 0.3
BOX_EDGES = ('left', 'top', 'right', 'bottom')

Box: TypeAlias = tuple[float, float, float, float]


@TRANSFORMS.register_module()
class CropBox(BaseTransform):
    """Cut both frames to the `box` of the pair, as far as it is within them.

    Raises:
        ValueError: If the pair has no box, or the box has no pixel of the frame.
    """

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Cut all of `imgs`."""
        if 'box' not in results:
            raise ValueError(
                f'a pair must have a box to be cut, got none for {results.get("name")!r}; give the '
                'data set boxes, or leave CropBox out'
            )
        images, name = results['imgs'], results.get('name')
        left, top, right, bottom = clip_box(results['box'], images[0], name)
        results['imgs'] = [image[top:bottom, left:right] for image in images]
        return results


@TRANSFORMS.register_module()
class ResizePair(BaseTransform):
    """Scale frames to a square, whatever their aspect, as the reference does.

    Args:
        size: Width and height in pixels, the network's image size.

    Raises:
        ValueError: If the size is below 1.
    """

    def __init__(self, *, size: int) -> None:
        if size < 1:
            raise ValueError(f'size must be at least 1 pixel, got size={size}')
        self.size = size

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Scale all of `imgs`."""
        results['imgs'] = [resize_by_area(image, self.size) for image in results['imgs']]
        return results


@TRANSFORMS.register_module()
class RegisterPair(BaseTransform):
    """Show frame t + gap as the camera of frame t would have seen it, for a moving camera.

    Corners are followed from one frame to the other (Lucas and Kanade), and those of the
    background, which are most, agree on a homography (MAGSAC). What the camera did not see yet is
    taken from frame t. Where too few agree, the pair stays as it is, and `registered` says so.

    Args:
        max_error_px: Distance up to which corners agree, in pixels.
        min_matches: Corners that must agree, at least 4.

    Raises:
        ValueError: If a number is out of its range.
    """

    def __init__(
        self, *, max_error_px: float = MAX_ERROR_PX, min_matches: int = MIN_MATCHES
    ) -> None:
        if not max_error_px > 0:
            raise ValueError(f'max_error_px must be above 0, got max_error_px={max_error_px}')
        if min_matches < 4:
            raise ValueError(f'min_matches must be at least 4, got min_matches={min_matches}')
        self.max_error_px = max_error_px
        self.min_matches = min_matches

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Warp the second of `imgs`, and add `registered`; a single frame stays as it is."""
        if len(results['imgs']) == 1:
            return results
        first, second = results['imgs']
        homography = self.find_homography(second, first)
        results['registered'] = homography is not None
        if homography is not None:
            height, width = first.shape[:2]
            second = cv2.warpPerspective(
                second,
                homography,
                (width, height),
                dst=first.copy(),
                borderMode=cv2.BORDER_TRANSPARENT,
            )
        results['imgs'] = [first, second]
        return results

    def find_homography(
        self, source: NDArray[np.uint8], target: NDArray[np.uint8]
    ) -> NDArray[np.float64] | None:
        """Matrix (3, 3) that takes places in `source` to those in `target`; None if unknown."""
        # all of the grey levels, as corners of a dark background are hard to follow
        one, other = (
            cv2.equalizeHist(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)) for image in (source, target)
        )
        nearest = min(source.shape[:2]) / MAX_CORNERS**0.5 / 2
        corners = cv2.goodFeaturesToTrack(one, MAX_CORNERS, 0.01, nearest)
        if corners is None or len(corners) < self.min_matches:
            return None
        found, was_found = _follow(one, other, corners)
        back, was_back = _follow(other, one, found)
        # one that does not come back to where it began was lost
        is_kept = np.linalg.norm(back - corners, axis=-1) < self.max_error_px
        is_kept &= was_found & was_back
        if is_kept.sum() < self.min_matches:
            return None
        homography, agree = cv2.findHomography(
            corners[is_kept], found[is_kept], cv2.USAC_MAGSAC, self.max_error_px, maxIters=2000
        )
        if homography is None or agree.sum() < self.min_matches:
            return None
        return np.asarray(homography, np.float64)


@TRANSFORMS.register_module()
class RemoveShadows(BaseTransform):
    """Remove shadows by one of the methods of `mmotion.transforms.shadows`.

    What 'background', and 'hsv' without given ranges, must know of a video they learn from frames
    that are spread over it, when its first pair comes. In prediction, where single frames come in,
    neither these nor 'ssim' can work: there use `mmotion remove-shadows` beforehand.

    Args:
        method: 'hsv', 'ssim', 'filter' or 'background'.
        options: Arguments of the method's class.
        num_frames: Frames of a video to learn from, at least 2.

    Raises:
        ValueError: If there is no such method or option, or a number is out of its range.
    """

    def __init__(
        self,
        *,
        method: str,
        options: Mapping[str, Any] | None = None,
        num_frames: int = NUM_FRAMES,
    ) -> None:
        if num_frames < 2:
            raise ValueError(f'num_frames must be at least 2, got num_frames={num_frames}')
        self.method, self.options = method, dict(options or {})
        self.num_frames = num_frames
        self._needs_video = build_remover(method, **self.options).needs_frames
        self._removers: dict[str, ShadowRemover] = {}

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Remove the shadows of all of `imgs`.

        Raises:
            ValueError: If the method needs more than there is.
            VideoError: If frames to learn from cannot be read.
        """
        remover = self._find_remover(results)
        images = results['imgs']
        # the other one of a pair
        others = images[::-1] if len(images) > 1 else [None]
        results['imgs'] = [
            remover.remove(image, other) for image, other in zip(images, others, strict=True)
        ]
        return results

    def _find_remover(self, results: dict[str, Any]) -> ShadowRemover:
        """The remover that knows the video of a pair."""
        video = results.get('video') if self._needs_video else ''
        if video not in self._removers:
            remover = build_remover(self.method, **self.options)
            if self._needs_video:
                if not video:
                    raise ValueError(
                        f'method={self.method!r} must know the whole video, got single frames; '
                        'remove its shadows beforehand: mmotion remove-shadows'
                    )
                remover.fit(open_source(Path(video), name=video).sample(self.num_frames))
            if len(self._removers) == MAX_REMOVERS:
                del self._removers[next(iter(self._removers))]
            self._removers[str(video)] = remover
        return self._removers[str(video)]


@TRANSFORMS.register_module()
class PackPair(BaseTransform):
    """Stack the frames to `inputs`, uint8 (2, 3, S, S), and put the rest into `data_samples`.

    A data sample has `name`, `video`, `frame`, `gap` and `weight`, and `gt_joints` (J, 2) in pixels
    of the frame, whose width and height are `frame_size`, where they are known.
    """

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Pack what there is."""
        frames = np.stack(results['imgs'])
        keys = ('name', 'video', 'frame', 'gap', 'registered', 'frame_size')
        sample = BaseDataElement(metainfo={key: results[key] for key in keys if key in results})
        sample.weight = float(results.get('weight', 1.0))
        if 'gt_joints' in results:
            sample.gt_joints = torch.as_tensor(results['gt_joints'], dtype=torch.float32)
        inputs = torch.from_numpy(frames).permute(0, 3, 1, 2).contiguous()
        return {'inputs': inputs, 'data_samples': sample}


def clip_box(box: Box, image: NDArray[np.uint8], name: str | None) -> tuple[int, int, int, int]:
    """The whole pixels of a box that an image has.

    Raises:
        ValueError: If there is none.
    """
    height, width = image.shape[:2]
    edges = np.rint(box).astype(int)
    left, top, right, bottom = np.clip(edges, 0, [width, height, width, height]).tolist()
    if right <= left or bottom <= top:
        raise ValueError(
            f'a box must lie in the frame of {width} x {height} pixels, got '
            f'box={tuple(box)} for {name!r}'
        )
    return left, top, right, bottom


class Boxes:
    """Which part of each video, or of each of its frames, is looked at.

    Args:
        boxes: A dictionary of boxes, left, top, right and bottom edge in pixels, by video. Or a CSV
            with the columns `video`, `left`, `top`, `right`, `bottom`, and `frame` if each frame t
            has its own. Or, for Human3.6M, the name of the file that h36m-fetch writes for each
            action, 'annot.h5': the 2-D joints of a frame are enclosed by a square that is made
            30 % larger on each side. Videos are named by their paths below `data_root`.
        sources: The videos that must have one.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If a video has no box, or a box is empty.
        ModuleNotFoundError: If h5py is needed and missing.
    """

    def __init__(
        self, boxes: str | Mapping[str, Sequence[float]], sources: Sequence[VideoSource]
    ) -> None:
        self._found: dict[tuple[str, int | None], Box] = {}
        if not isinstance(boxes, str):
            for video, edges in boxes.items():
                self._add(video, None, edges)
        elif boxes.endswith('.h5'):
            for source in sources:
                for frame, edges in _read_joint_boxes(source, boxes):
                    self._add(source.name, frame, edges)
        else:
            self._read_table(boxes)
        named = {video for video, _ in self._found}
        missing = [source.name for source in sources if unify(source.name) not in named]
        if missing:
            raise ValueError(
                f'boxes must have one for each video, got none for {missing[0]!r} and '
                f'{len(missing) - 1} more; boxes are named {", ".join(sorted(named)[:3])} ...'
            )

    def find(self, video: str, frame: int) -> Box:
        """The box of a frame: its own, or that of the whole video.

        Raises:
            VideoError: If there is none.
        """
        video = unify(video)
        box = self._found.get((video, frame)) or self._found.get((video, None))
        if box is None:
            raise VideoError(
                f'boxes must have one for each frame that begins a pair, got none for frame '
                f'{frame} of {video}'
            )
        return box

    def find_fixed(self, video: str) -> Box | None:
        """The box of a whole video, None if its frames have their own."""
        video = unify(video)
        has_more = any(name == video and frame is not None for name, frame in self._found)
        return None if has_more else self._found.get((video, None))

    def _add(self, video: str, frame: int | None, edges: Sequence[float]) -> None:
        left, top, right, bottom = map(float, edges)
        if not (left < right and top < bottom):
            raise ValueError(
                'a box must be left, top, right, bottom with left < right and top < bottom, got '
                f'{video}: {left:g}, {top:g}, {right:g}, {bottom:g}'
            )
        self._found[unify(video), frame] = (left, top, right, bottom)

    def _read_table(self, path: str) -> None:
        for row in read_table(path, ['video', *BOX_EDGES], what='boxes'):
            frame = row.whole('frame', at_least=0) if row.text('frame') else None
            try:
                self._add(row.text('video'), frame, [row.number(edge) for edge in BOX_EDGES])
            except ValueError as error:
                raise ValueError(f'{row.where}: {error}') from None


def square_box(points: NDArray[np.floating], *, margin: float = BOX_MARGIN) -> Box:
    """The square around points (K, 2), made larger by a share of its side on each side.

    Example:
        >>> square_box(np.array([[10.0, 20.0], [20.0, 60.0]]), margin=0.25)
        (-15.0, 10.0, 45.0, 70.0)
    """
    low, high = points.min(axis=0), points.max(axis=0)
    center, half = (low + high) / 2, (0.5 + margin) * float((high - low).max())
    left, top, right, bottom = *(center - half), *(center + half)
    return float(left), float(top), float(right), float(bottom)


def _read_joint_boxes(source: VideoSource, file: str) -> list[tuple[int, Box]]:
    """Boxes around the joints that h36m-fetch has stored above the folder of a camera's frames."""
    path = source.path.parent.parent / file
    if not path.is_file():
        raise FileNotFoundError(f'boxes must be the name of a file, got {path}, which is not there')
    try:
        h5py = importlib.import_module('h5py')
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f'h5py must be installed to read boxes={file!r}; pip install h5py, or give a CSV'
        ) from error
    with h5py.File(path, 'r') as content:
        cameras, labels, joints = (
            np.asarray(content[key]) for key in ('camera', 'frame', 'pose/2d')
        )
    is_ours = cameras.astype(str) == source.path.name
    frames = dict(zip(source.labels.tolist(), source.numbers.tolist(), strict=True))
    return [
        (frames[label], square_box(points))
        for label, points in zip(labels[is_ours].tolist(), joints[is_ours], strict=True)
        if label in frames
    ]


def resize_by_area(image: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Scale a frame (H, W, 3) to a square by OpenCV's INTER_AREA, or bilinearly where it grows."""
    height, width = image.shape[:2]
    if (height, width) == (size, size):
        return image
    shrinks = size <= min(height, width)
    how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, (size, size), interpolation=how), np.uint8)


def _follow(one: Any, other: Any, corners: Any) -> tuple[Any, NDArray[np.bool_]]:
    """Find corners (N, 1, 2) of a grey picture in another one: places, and whether found (N, 1)."""
    places, was_found, _ = cv2.calcOpticalFlowPyrLK(one, other, corners, np.empty_like(corners))
    return places, was_found.astype(bool)
