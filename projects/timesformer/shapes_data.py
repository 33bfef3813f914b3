"""Generated clips of twelve motions that only the order of the frames tells apart.

A textured shape moves in one of four ways, and each way comes in three actions that show the same
poses in another order: forward, backward, and forward and back again. What does not move takes a
random one of the poses of such a way. So a frame looks alike in all twelve actions: unless its
number is known, its distribution does not depend on the action at all. A model that sees the frames
without their order can at best tell the four ways, and get a third of the actions right.

Around that: dark textured backgrounds under a drifting camera, other shapes that stand about or
wander, changing light and noise.

Shape letters in this file: T frames, S frame size in pixels.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from mmaction.structures import ActionDataSample
from mmcv.transforms import BaseTransform
from mmengine.dataset import Compose
from numpy.typing import NDArray
from torch.utils.data import Dataset

from mmotion.checks import check_at_least, check_choice, check_index
from mmotion.registry import DATASETS, TRANSFORMS
from mmotion.shapes import SPLITS
from mmotion.shapes.movers import SPRITE_SIZE, similarity, smooth, sprite, texture
from mmotion.shapes.scene import RENDER_ON, ByteArray, FloatArray, Part, Scene

# for each coordinate of a pose: forward, backward, there and back
ACTIONS = (
    *('right', 'left', 'sway'),
    *('down', 'up', 'bob'),
    *('clockwise', 'anticlockwise', 'rock'),
    *('grow', 'shrink', 'pulse'),
)
# least and most of x and y in widths of the frame, of the angle in turns from upright, and of the
# logarithm of the size in widths of the frame
POSE_RANGES = np.array([[0.2, 0.8], [0.2, 0.8], [-0.25, 0.25], [np.log(0.3), np.log(0.9)]])
# how far a shape goes between the ends of its way, in shares of the range
TRAVEL = (0.4, 0.7)


@DATASETS.register_module()
class ActionShapesDataset(Dataset):
    """Generated clips of actions, drawn when they are asked for; number i shows action i % A of A.

    Args:
        split: 'train', 'val' or 'test'; their clips share nothing.
        num_videos: How many there are. An index always gives the same clip, so a large number
            together with `EpochSliceSampler` trains on fresh clips in each epoch.
        pipeline: Transforms for each clip.
        num_frames: Frames in a clip T.
        size: Width and height of the frames S in pixels.
        actions: Which of `ACTIONS` there are, by label; None takes all of them.
        render_on: Where clips are drawn: by the data 'workers', or on the model's 'device', a batch
            at once; the pipeline must then be `PackScene`, which packs either.

    Raises:
        ValueError: If the split, an action or `render_on` is unknown, an action is named twice or
            none is, there is no clip, or a clip is too short or small.
    """

    def __init__(
        self,
        *,
        split: str,
        num_videos: int,
        pipeline: list[dict[str, Any]],
        num_frames: int = 8,
        size: int = 64,
        actions: Sequence[str] | None = None,
        render_on: str = 'workers',
    ) -> None:
        actions = ACTIONS if actions is None else tuple(actions)
        check_choice('split', split, SPLITS)
        check_choice('render_on', render_on, RENDER_ON)
        check_at_least('num_videos', num_videos, 1)
        check_at_least('num_frames', num_frames, 4)
        check_at_least('size', size, 16)
        if not actions or len(set(actions) & {*ACTIONS}) < len(actions):
            raise ValueError(
                f'actions must be some of {", ".join(ACTIONS)}, each once, got actions={actions}'
            )
        self.split = split
        self.num_videos = num_videos
        self.pipeline = Compose(pipeline)
        self.num_frames = num_frames
        self.size = size
        self.actions = actions
        self.render_on = render_on
        self.metainfo = {'classes': actions}

    def __len__(self) -> int:
        return self.num_videos

    def __getitem__(self, index: int) -> dict[str, Any]:
        """Draw a clip and pass it through the pipeline.

        Raises:
            IndexError: If there is no clip with this number.
        """
        check_index(index, self.num_videos)
        rng = np.random.default_rng([SPLITS[self.split], index])
        label = index % len(self.actions)
        scene = action_scene(self.actions[label], rng, num_frames=self.num_frames, size=self.size)
        item: Any = self.pipeline(
            {
                **scene.show(self.render_on),
                'img_shape': (self.size, self.size),
                'original_shape': (self.size, self.size),
                'clip_len': self.num_frames,
                'num_clips': 1,
                'label': label,
                'name': f'{self.split}_{index:06d}',
            }
        )
        return item


@TRANSFORMS.register_module()
class PackScene(BaseTransform):
    """Pack a generated clip, drawn or not, as MMAction2's FormatShape and PackActionInputs would.

    `inputs` are uint8 (1, 3, T, S, S), or a list with the scene for `ScenePreprocessor`.
    """

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Pack it with its label, `name` and `num_clips`."""
        sample = ActionDataSample().set_gt_label(results['label'])
        sample.set_metainfo({key: results[key] for key in ('name', 'num_clips')})
        if 'scene' in results:
            return {'inputs': [results['scene']], 'data_samples': sample}
        frames = torch.from_numpy(np.stack(results['imgs']))
        inputs = frames.permute(3, 0, 1, 2)[None].contiguous()
        return {'inputs': inputs, 'data_samples': sample}


def action_scene(action: str, rng: np.random.Generator, *, num_frames: int, size: int) -> Scene:
    """Describe a clip of an action: the shape that acts, in front of all that does not matter."""
    x, y, angle, log_size = sample_pose(action, rng, num_frames).T
    scale = size * np.exp(log_size) / SPRITE_SIZE
    placement = similarity(size * x, size * y, 2 * np.pi * angle, scale, SPRITE_SIZE / 2)
    acting = Part(_bright_sprite(rng), placement, on_screen=True)
    others = tuple(
        _bystander(rng, num_frames, size) for _ in range(rng.choice(3, p=(0.5, 0.3, 0.2)))
    )
    drift_x, drift_y = 0.03 * size * smooth(rng, num_frames, rng.uniform(4, 16), 2).T
    light = np.ones(num_frames)
    if rng.random() < 0.3:
        light += 0.08 * smooth(rng, num_frames, rng.uniform(2, 16))
    return Scene(
        size=size,
        # dark, so that what is in front can be seen in whatever colors it has
        backgrounds=(texture(rng, int(1.5 * size)) // 2,),
        shot=np.zeros(num_frames, np.int64),
        camera=similarity(drift_x, drift_y, np.zeros(num_frames), 1.0, 0.0),
        parts=(*others, acting),
        light=light,
        noise=float(rng.uniform(0, 6)),
        cycles=np.zeros(num_frames),
        period=np.zeros(num_frames),
    )


def sample_pose(action: str, rng: np.random.Generator, num_frames: int) -> FloatArray:
    """Draw x, y, angle and logarithm of the size of the acting shape, in `POSE_RANGES`, (T, 4).

    At the same state of `rng`, the three actions of one kind give the same poses in another order.

    Raises:
        ValueError: If there is no such action.
    """
    check_choice('action', action, ACTIONS)
    coordinate, order = divmod(ACTIONS.index(action), 3)
    forward = np.arange(num_frames)
    # by steps of two to the far end, and back over the ones left out
    back_again = np.concatenate([forward[::2], forward[1::2][::-1]])
    # where on its way each coordinate is
    steps = np.tile(rng.integers(num_frames, size=4), (num_frames, 1))
    steps[:, coordinate] = (forward, forward[::-1], back_again)[order]
    travel = rng.uniform(*TRAVEL, 4)
    start = rng.uniform(0, 1 - travel)
    low, high = POSE_RANGES.T
    return low + (high - low) * (start + travel * steps / (num_frames - 1))


def _bystander(rng: np.random.Generator, num_frames: int, size: int) -> Part:
    """A smaller shape that stands still in the world or wanders about a place."""
    wander = 0.04 * smooth(rng, num_frames, rng.uniform(2, 8), 2) * rng.integers(2)
    x, y = size * (rng.random(2) + wander).T
    angle = np.full(num_frames, rng.uniform(0, 2 * np.pi))
    scale = size * rng.uniform(0.15, 0.35) / SPRITE_SIZE
    return Part(_bright_sprite(rng), similarity(x, y, angle, scale, SPRITE_SIZE / 2))


def _bright_sprite(rng: np.random.Generator) -> ByteArray:
    """A textured polygon that looks different when turned, brighter than backgrounds, (h, w, 4)."""
    image = sprite(rng, _outline(rng))
    image[..., :3] = image[..., :3] // 2 + image[..., 3:] // 2
    return image


def _outline(rng: np.random.Generator) -> NDArray[np.float64]:
    """A long polygon, upright and thick at its lower end, (K, 2) within 0..1."""
    num_corners = int(rng.integers(3, 9))
    angle = 2 * np.pi * np.arange(num_corners) / num_corners
    radius = rng.uniform(0.35, 0.47, num_corners)
    x, y = radius * np.cos(angle), radius * np.sin(angle)
    # narrower from one end to the other
    width = rng.uniform(0.4, 0.7) * (1 + rng.uniform(0.5, 0.9) * x / 0.47)
    return 0.5 + np.stack([np.clip(width, 0.1, 1) * y, x], 1)
