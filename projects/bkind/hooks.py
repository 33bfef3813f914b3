"""Pictures of what BKinD makes of its pairs of frames, while it is trained.

Shape letters in this file: B samples of a picture, K keypoints, S image size of the network, h and
w of a heat map.
"""

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import torch
from mmengine.dataset import pseudo_collate
from mmengine.dist import master_only
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import Tensor

from mmotion.registry import HOOKS
from mmotion.training.models import unwrap_model
from mmotion.visualization.drawing import GREY, WHITE, Image, list_colors, write_text

# width and height of each picture of a training sample, and of the line of text above, in pixels
CELL_PX, TITLE_PX = 160, 16
COLUMNS = ('frame t', 'frame t + gap', 'target', 'reconstruction', 'heat maps', 'keypoints')


@HOOKS.register_module()
class KeypointPicturesHook(Hook):
    """Show every n-th epoch what the model makes of some pairs of frames.

    A row a pair: frame t, frame t + gap, what has to be painted, what the model paints, the heat
    maps of frame t, and its keypoints with lines to where they are in frame t + gap. The pictures,
    `keypoints_<epoch>.png`, go wherever the config's `visualizer` writes: `vis_data/vis_image` of
    the run, TensorBoard, ...

    The pairs are spread evenly over the validation set, or the training set if there is none.

    Args:
        interval: Epochs from one picture to the next, >= 1.
        num_samples: Pairs in a picture, >= 1.

    Raises:
        ValueError: If a number is below 1.
    """

    priority = 'LOW'

    def __init__(self, *, interval: int = 5, num_samples: int = 4) -> None:
        if interval < 1 or num_samples < 1:
            raise ValueError(
                'interval and num_samples must be at least 1, got '
                f'interval={interval} and num_samples={num_samples}'
            )
        self.interval = interval
        self.num_samples = num_samples

    def after_train_epoch(self, runner: Runner) -> None:
        """Draw, if it is the turn of this epoch."""
        if self.every_n_epochs(runner, self.interval):
            self._draw(runner)

    @master_only
    def _draw(self, runner: Runner) -> None:
        loader: Any = runner.train_dataloader
        if runner.val_loop is not None:
            loader = runner.val_dataloader
        count = min(self.num_samples, len(loader.dataset))
        places = np.linspace(0, len(loader.dataset) - 1, count).round().astype(int)
        samples = [loader.dataset[place] for place in places.tolist()]
        model = unwrap_model(runner.model)
        was_training = model.training
        model.eval()
        with torch.no_grad():
            batch = model.data_preprocessor(pseudo_collate(samples), training=False)
            seen = model.inspect(batch['inputs'])
        model.train(was_training)
        picture = draw_inspection({name: value.float().cpu() for name, value in seen.items()})
        runner.visualizer.add_image('keypoints', picture, step=runner.epoch + 1)


def draw_inspection(seen: dict[str, Tensor]) -> Image:
    """Draw the rows of `KeypointPicturesHook`.

    Args:
        seen: What `inspect` of the model says: `images` (B, 2, 3, S, S) in [0, 1], `target` and
            `reconstruction` (B, 3, S, S), `heat_maps` (B, 2, K, h, w) and `keypoints` (B, 2, K, 2)
            in [-1, 1]. Target and reconstruction are stretched by the range of the target.

    Returns:
        The picture, six cells wide.
    """
    rows = [_title_row(COLUMNS)]
    for i, pair in enumerate(seen['images']):
        first, second = (_to_cell(frame) for frame in pair)
        low, high = seen['target'][i].min(), seen['target'][i].max()
        painted = [
            _to_cell((seen[name][i] - low) / (high - low).clamp(min=1e-9))
            for name in ('target', 'reconstruction')
        ]
        heat = _color_heat_maps(first, seen['heat_maps'][i, 0])
        marked = _mark(first, seen['keypoints'][i])
        rows.append(np.hstack([first, second, *painted, heat, marked]))
    return np.vstack(rows)


def _title_row(titles: Sequence[str]) -> Image:
    row = np.zeros((TITLE_PX, CELL_PX * len(titles), 3), np.uint8)
    for i, title in enumerate(titles):
        write_text(row, title, (i * CELL_PX + 4, TITLE_PX - 5), 8, GREY, CELL_PX - 8)
    return row


def _to_cell(image: Tensor) -> Image:
    """An image (3, S, S) in [0, 1] in the size of a cell."""
    pixels = (255 * image.clamp(0, 1)).round().byte().permute(1, 2, 0).numpy()
    return cv2.resize(pixels, (CELL_PX, CELL_PX), interpolation=cv2.INTER_LINEAR).astype(np.uint8)


def _color_heat_maps(image: Image, heat_maps: Tensor) -> Image:
    """Each heat map (K, h, w) in the color of its keypoint, as bright as its peak, on dark grey."""
    shares = (heat_maps / heat_maps.amax((1, 2), keepdim=True).clamp(min=1e-9)).numpy()
    blended = np.repeat(image.mean(axis=2, keepdims=True) * 0.4, 3, axis=2)
    for color, share in zip(list_colors(len(shares)), shares, strict=True):
        large = cv2.resize(share, (CELL_PX, CELL_PX), interpolation=cv2.INTER_LINEAR)
        blended = np.maximum(blended, large[..., None] * np.array(color))
    return blended.round().astype(np.uint8)


def _mark(image: Image, keypoints: Tensor) -> Image:
    """A dot at each keypoint of frame t, and a line to where it is in frame t + gap (2, K, 2)."""
    image = image.copy()
    places = ((keypoints + 1) / 2 * (CELL_PX - 1)).round().int()
    for start, end, color in zip(*places.tolist(), list_colors(places.shape[1]), strict=True):
        cv2.line(image, start, end, WHITE, 1, cv2.LINE_AA)
        cv2.circle(image, start, 4, WHITE, cv2.FILLED, cv2.LINE_AA)
        cv2.circle(image, start, 3, color, cv2.FILLED, cv2.LINE_AA)
    return image
