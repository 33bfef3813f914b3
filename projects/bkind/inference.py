"""What a trained BKinD sees: keypoints of a video or stream, and pictures while it is trained.

Each frame goes through the config's `test_pipeline` and the network by itself, so a stream gives
what the whole file gives. Memory holds the frames of one batch, and of a file the keypoints of each
frame so far: 26 MB an hour for 10 keypoints at 30 frames a second.

Shape letters in this file: B frames of a batch or samples of a picture, K keypoints, S image size
of the network, H and W height and width of a frame in pixels, h and w of a heat map.
"""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.dist import master_only
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.runner import Runner
from numpy.typing import NDArray
from torch import Tensor

from mmotion.inference import Predictor, make_sample
from mmotion.registry import HOOKS, PREDICTORS
from mmotion.training.models import unwrap_model
from mmotion.video import VideoFrame
from mmotion.video.frames import take_chunks
from mmotion.visualization.drawing import GREY, WHITE, Image, write_text

from .export import check_formats, export_tracks
from .tracks import FrameKeypoints, KeypointTracks, keypoint_colors

# width and height of each picture of a training sample, and of the line of text above, in pixels
CELL_PX, TITLE_PX = 160, 16
COLUMNS = ('frame t', 'frame t + gap', 'target', 'reconstruction', 'heat maps', 'keypoints')


class _Prepared(NamedTuple):
    """A frame on its way to the network: number, time, width and height, and packed sample."""

    index: int
    time_s: float
    size_wh: tuple[int, int]
    packed: Any


@PREDICTORS.register_module()
class KeypointTracker(Predictor[KeypointTracks]):
    """Finds the discovered keypoints in every frame of a video.

    Args:
        config: See `Predictor`, like the next two.
        model: A model that fills `keypoints` (K, 2) in [-1, 1], `confidence` (K,) and `covariance`
            (K, 3) of its data samples, in eval mode.
        device: Where the model is.
        batch_size: Frames that go through the network at once, >= 1.

    Raises:
        ValueError: If `batch_size` is below 1.
    """

    plot_name = 'tracks'

    def __init__(
        self, *, config: Config, model: BaseModel, device: str = 'cpu', batch_size: int = 16
    ) -> None:
        super().__init__(config=config, model=model, device=device)
        if batch_size < 1:
            raise ValueError(f'batch_size must be at least 1, got batch_size={batch_size}')
        self.batch_size = batch_size

    def export(
        self,
        video: str | Path,
        result: KeypointTracks,
        out_dir: str | Path,
        formats: Sequence[str],
    ) -> list[Path]:
        """Write tracks for other programs, see `projects.bkind.export`."""
        return export_tracks(result, video, out_dir, formats)

    @classmethod
    def check_export(cls, formats: Sequence[str]) -> None:
        """Refuse formats that are unknown, or whose package is not installed."""
        check_formats(formats)

    def _predict_frames(self, frames: Iterator[VideoFrame], fps: float) -> KeypointTracks:
        first = next(frames)
        height, width = first.image.shape[:2]
        found = [
            self._read(chunk) for chunk in self._batches(itertools.chain([first], frames), fps)
        ]
        indices, _, keypoints, confidence, covariance = (
            np.concatenate(parts) for parts in zip(*found, strict=True)
        )
        return KeypointTracks(
            fps=fps,
            width=width,
            height=height,
            frames=indices,
            keypoints=keypoints,
            confidence=confidence,
            covariance=covariance,
            names=tuple(f'keypoint_{k}' for k in range(keypoints.shape[1])),
            start_s=first.time_s,
        )

    def _stream_frames(self, frames: Iterator[VideoFrame], fps: float) -> Iterator[FrameKeypoints]:
        """The keypoints of each frame; a batch waits for its last frame, so choose it small."""
        for chunk in self._batches(frames, fps):
            with torch.inference_mode():
                columns = self._read(chunk)
            for index, time_s, points, confidence, covariance in zip(*columns, strict=True):
                yield FrameKeypoints(
                    frame=int(index),
                    time_s=float(time_s),
                    keypoints=points,
                    confidence=confidence,
                    covariance=covariance,
                )

    def _batches(self, frames: Iterable[VideoFrame], fps: float) -> Iterator[list[_Prepared]]:
        """Frames in the size of the network, `batch_size` at a time."""
        yield from take_chunks((self._prepare(frame, fps) for frame in frames), self.batch_size)

    def _prepare(self, frame: VideoFrame, fps: float) -> _Prepared:
        height, width = frame.image.shape[:2]
        pair = {
            'name': str(frame.index),
            'frame': frame.index,
            'gap': 0,
            'video': '',
            'weight': 1.0,
        }
        packed = self._pipeline(make_sample([frame.image], fps=fps) | pair)
        return _Prepared(frame.index, frame.time_s, (width, height), packed)

    def _read(self, chunk: list[_Prepared]) -> tuple[NDArray[Any], ...]:
        """Numbers (B,), times (B,), keypoints (B, K, 2), confidence and covariance in pixels."""
        batch = self.collate([frame.packed for frame in chunk])
        samples = self.model(**batch, mode='predict')
        keypoints, confidence, covariance = (
            torch.stack([getattr(sample, name) for sample in samples]).float().cpu().numpy()
            for name in ('keypoints', 'confidence', 'covariance')
        )
        half = (np.array(chunk[0].size_wh, np.float32) - 1) / 2
        squares = np.array([half[0] ** 2, half[1] ** 2, half[0] * half[1]])
        return (
            np.array([frame.index for frame in chunk]),
            np.array([frame.time_s for frame in chunk]),
            (keypoints + 1) * half,
            confidence,
            covariance * squares,
        )


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
    for color, share in zip(keypoint_colors(len(shares)), shares, strict=True):
        large = cv2.resize(share, (CELL_PX, CELL_PX), interpolation=cv2.INTER_LINEAR)
        blended = np.maximum(blended, large[..., None] * np.array(color))
    return blended.round().astype(np.uint8)


def _mark(image: Image, keypoints: Tensor) -> Image:
    """A dot at each keypoint of frame t, and a line to where it is in frame t + gap (2, K, 2)."""
    image = image.copy()
    places = ((keypoints + 1) / 2 * (CELL_PX - 1)).round().int()
    for start, end, color in zip(*places.tolist(), keypoint_colors(places.shape[1]), strict=True):
        cv2.line(image, start, end, WHITE, 1, cv2.LINE_AA)
        cv2.circle(image, start, 4, WHITE, cv2.FILLED, cv2.LINE_AA)
        cv2.circle(image, start, 3, color, cv2.FILLED, cv2.LINE_AA)
    return image
