"""Draw what a data set hands to a model: frames of clips or pairs, or the skeletons of keypoints.

Shape letters in this file: V views of a sample, T frames, H and W their height and width in pixels,
L steps of a sequence, K points of a skeleton.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np
from mmengine.structures import BaseDataElement
from numpy.typing import NDArray
from torch import Tensor

from mmotion.keypoints.drawing import draw_people
from mmotion.keypoints.poses import Person
from mmotion.keypoints.skeletons import SKELETONS, Skeleton
from mmotion.visualization.drawing import WHITE, Image, write_text

# of a frame, of the line above it, and between them, in pixels
FRAME_HEIGHT, TITLE_HEIGHT, GAP = 128, 20, 2
# of the picture around a skeleton, in parts of the side
MARGIN = 0.08


def draw_views(
    inputs: Tensor, *, skeleton: Skeleton | None = None, frames_first: bool = False
) -> list[list[Image]]:
    """Draw the `inputs` of a sample.

    Args:
        inputs: Clips (3, T, H, W) or (V, 3, T, H, W), frames (T, 3, H, W), of bytes or of numbers
            that were normalised; or keypoints (L, K, 3) or (V, L, K, 3) of x, y and score, all 0
            where a point is missing.
        skeleton: Which points a bone joins; by default that of as many points, else none.
        frames_first: What three channels and three frames are: (T, 3, H, W).

    Returns:
        The pictures of each view.

    Raises:
        ValueError: If the shape is another one.
    """
    shape = tuple(inputs.shape)
    if inputs.is_floating_point() and len(shape) in (3, 4) and shape[-1] == 3:
        sequences = inputs.numpy().reshape(-1, *shape[-3:])
        return [_draw_sequence(sequence, skeleton) for sequence in sequences]
    if len(shape) == 4 and shape[1] == 3 and (frames_first or shape[0] != 3):
        clips = inputs.transpose(0, 1)[None]
    elif len(shape) == 4 and shape[0] == 3:
        clips = inputs[None]
    elif len(shape) == 5 and shape[1] == 3:
        clips = inputs
    else:
        raise ValueError(
            'inputs must be clips (3, T, H, W) or (V, 3, T, H, W), frames (T, 3, H, W), or '
            f'keypoints (L, K, 3) or (V, L, K, 3), got shape {shape}'
        )
    return [[*_make_bytes(clip.permute(1, 2, 3, 0).numpy())] for clip in clips]


def describe_sample(sample: BaseDataElement, classes: Sequence[str] = ()) -> str:
    """Say what a sample is called and what is true of it: its `gt_` fields that are one number.

    Args:
        sample: `data_samples` of an item.
        classes: Names of the labels.

    Example:
        >>> sample = BaseDataElement(gt_label=1, metainfo={'name': 'a.mp4'})
        >>> describe_sample(sample, ['run', 'jump'])
        'a.mp4: jump'
    """
    facts = []
    # mmengine keeps the names of fields in a set, which has another order in each process
    for key, value in sorted(sample.items()):
        if not key.startswith('gt_') or np.asarray(value).size != 1:
            continue
        number = np.asarray(value).item()
        if key == 'gt_label' and 0 <= number < len(classes):
            facts.append(str(classes[number]))
        else:
            facts.append(f'{key.removeprefix("gt_")} {number:g}')
    return ': '.join(part for part in (sample.metainfo.get('name', ''), ', '.join(facts)) if part)


def make_sheet(samples: Mapping[str, Sequence[Sequence[Image]]], *, num_frames: int) -> Image:
    """Put samples below each other, each view a row of frames from its first to its last.

    Args:
        samples: Views of each sample, by the title above them.
        num_frames: Most frames in a row, spread over the view.

    Returns:
        RGB picture.
    """
    rows: list[tuple[str, list[Image]]] = []
    for title, views in samples.items():
        for i, view in enumerate(views):
            places = np.linspace(0, len(view) - 1, min(num_frames, len(view))).round().astype(int)
            rows.append(('' if i else title, [_resize(view[place]) for place in places]))
    width = max(sum(frame.shape[1] + GAP for frame in frames) for _, frames in rows)
    strips = []
    for title, frames in rows:
        if title:
            head = np.zeros((TITLE_HEIGHT, width, 3), np.uint8)
            write_text(head, title, (4, TITLE_HEIGHT - 6), 9, WHITE, width - 8)
            strips.append(head)
        strip = np.zeros((FRAME_HEIGHT + GAP, width, 3), np.uint8)
        x = 0
        for frame in frames:
            strip[:FRAME_HEIGHT, x : x + frame.shape[1]] = frame
            x += frame.shape[1] + GAP
        strips.append(strip)
    return np.vstack(strips)


def _resize(frame: Image) -> Image:
    height, width = frame.shape[:2]
    size = (max(round(FRAME_HEIGHT * width / height), 1), FRAME_HEIGHT)
    # the pixels of a small picture can be seen
    how = cv2.INTER_AREA if height > FRAME_HEIGHT else cv2.INTER_NEAREST
    return cv2.resize(frame, size, interpolation=how).astype(np.uint8)


def _make_bytes(values: NDArray[Any]) -> Image:
    """Make bytes of numbers in 0..1 or 0..255, or of any others by stretching their range."""
    if values.dtype == np.uint8:
        return values
    low, high = float(values.min()), float(values.max())
    if low >= 0 and high <= 255:
        low, high = 0.0, 1.0 if high <= 1 else 255.0
    return np.rint((values - low) * (255 / max(high - low, 1e-12))).astype(np.uint8)


def _draw_sequence(sequence: NDArray[np.float32], skeleton: Skeleton | None) -> list[Image]:
    """Draw each step of keypoints (L, K, 3), all to one scale; those of padding are left out."""
    there: NDArray[np.bool_] = (sequence != 0).any(axis=2)
    steps = np.flatnonzero(there.sum(axis=1))
    num_points = sequence.shape[1]
    skeleton = skeleton or _guess_skeleton(num_points)
    side = 2 * FRAME_HEIGHT
    images = [np.zeros((side, side, 3), np.uint8) for _ in range(max(len(steps), 1))]
    if not len(steps):
        return images
    places = sequence[there][:, :2]
    low, extent = places.min(axis=0), float(np.ptp(places, axis=0).max())
    scale = (1 - 2 * MARGIN) * side / max(extent, 1e-12)
    middle = (low + places.max(axis=0)) / 2
    for image, step in zip(images, steps, strict=False):
        points = (sequence[step, :, :2] - middle) * scale + side / 2
        points = np.where(there[step][:, None], points, np.nan)
        scores = np.where(there[step], np.clip(sequence[step, :, 2], 0.2, 1), 0)
        draw_people(image, [Person(keypoints=points, scores=scores, score=1.0)], skeleton)
    return images


def _guess_skeleton(num_points: int) -> Skeleton:
    """Find the skeleton of so many points, or make one without bones."""
    for skeleton in SKELETONS.values():
        if skeleton.num_points == num_points:
            return skeleton
    names = tuple(f'point {i}' for i in range(num_points))
    return Skeleton('points', names, edges=(), mirror=tuple(range(num_points)))
