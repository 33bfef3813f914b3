"""What a trained BKinD sees: keypoints of a video or stream.

Each frame goes through the config's `test_pipeline` and the network by itself, so a stream gives
what the whole file gives. Memory holds the frames of one batch, and of a file the keypoints of each
frame so far: 27 MB an hour for 10 keypoints at 30 frames a second.

Shape letters in this file: B frames of a batch, K keypoints.
"""

import dataclasses
import itertools
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from mmotion.inference.abilities import PortableNetwork
from mmotion.inference.exported import ExportedModel
from mmotion.inference.lean import PREDICTORS, to_array, without_gradients
from mmotion.inference.predictor import Predictor
from mmotion.inference.samples import make_sample
from mmotion.structures.times import list_irregular
from mmotion.video import VideoFrame
from mmotion.video.frames import take_chunks
from mmotion.video.resizing import resize_area

from .results import FrameKeypoints, KeypointTracks, find_quality

if TYPE_CHECKING:
    from mmengine.config import Config
    from mmengine.model import BaseModel
    from torch import Tensor


class _Prepared(NamedTuple):
    """A frame on its way to the network: number, time, width and height, and packed sample."""

    index: int
    time_s: float
    size_wh: tuple[int, int]
    packed: Any


class ExportedTracker(ExportedModel):
    """A BKinD that a runtime runs, on frames of the size that `ResizePair` gives."""

    def build_pipeline(self) -> Any:
        """What takes the place of the steps."""
        return self.prepare

    def prepare(self, results: dict[str, Any]) -> dict[str, Any]:
        """What `ResizePair` and `PackPair` make of a frame (1, 3, S, S)."""
        images = [resize_area(image, self.meta['size']) for image in results['imgs']]
        return {'inputs': np.stack(images).transpose(0, 3, 1, 2)}


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
    exported_type = ExportedTracker

    def __init__(
        self, *, config: 'Config', model: 'BaseModel', device: str = 'cpu', batch_size: int = 16
    ) -> None:
        super().__init__(config=config, model=model, device=device)
        if batch_size < 1:
            raise ValueError(f'batch_size must be at least 1, got batch_size={batch_size}')
        self.batch_size = batch_size
        first = config.test_pipeline[0]
        self._size: int | None = first['size'] if first['type'] == 'ResizePair' else None

    def make_portable(self) -> PortableNetwork:
        """The network from the grey levels of frames to keypoints, as the model gives them."""
        import torch

        from .networks import spatial_softmax

        steps = [step['type'] for step in self.config.test_pipeline]
        if steps != ['ResizePair', 'PackPair']:
            raise ValueError(
                f'test_pipeline must be ResizePair and PackPair to be exported, got {steps}'
            )
        model = cast('Any', self.model)
        mean, std = (
            getattr(model.data_preprocessor, name).view(3, 1, 1) for name in ('mean', 'std')
        )

        def run(inputs: 'Tensor') -> 'tuple[Tensor, ...]':
            return tuple(spatial_softmax(model.encoder((inputs[:, 0].float() - mean) / std)[1]))

        size = model.image_size
        return PortableNetwork(
            run=run,
            model=model.encoder,
            inputs={'inputs': torch.zeros(2, 1, 3, size, size, dtype=torch.uint8)},
            free={'inputs': {0: 'frames'}},
            outputs=('keypoints', 'confidence', 'covariance'),
            meta={'size': size},
        )

    def export(
        self,
        video: str | Path,
        result: KeypointTracks,
        out_dir: str | Path,
        formats: Sequence[str],
    ) -> list[Path]:
        """Write tracks for other programs, see `projects.bkind.export`."""
        from .export import export_tracks

        return export_tracks(result, video, out_dir, formats)

    @classmethod
    def check_export(cls, formats: Sequence[str]) -> None:
        """Refuse formats that are unknown, or whose package is not installed."""
        from .export import check_formats

        check_formats(formats)

    def _predict_frames(self, frames: Iterator[VideoFrame], fps: float) -> KeypointTracks:
        first = next(frames)
        width, height = first.size_wh
        found = [
            self._read(chunk) for chunk in self._batches(itertools.chain([first], frames), fps)
        ]
        indices, times_s, keypoints, confidence, covariance = (
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
            # what their numbers do not tell
            frame_times_s=list_irregular(
                times_s, fps, regular_s=times_s[0] + (indices - indices[0]) / fps
            ),
        )

    def _stream_frames(self, frames: Iterator[VideoFrame], fps: float) -> Iterator[FrameKeypoints]:
        """The keypoints of each frame; a batch waits for its last frame, so choose it small."""
        for chunk in self._batches(frames, fps):
            with without_gradients():
                columns = self._read(chunk)
            for index, time_s, points, confidence, covariance in zip(*columns, strict=True):
                yield FrameKeypoints(
                    frame=int(index),
                    time_s=float(time_s),
                    keypoints=points,
                    confidence=confidence,
                    covariance=covariance,
                    quality=find_quality(covariance, *chunk[0].size_wh).astype(np.float32),
                )

    def _place(
        self, result: KeypointTracks, corners: NDArray[np.int64], size_wh: tuple[int, int]
    ) -> KeypointTracks:
        width, height = size_wh
        keypoints = result.keypoints + corners[:, None]
        # its quality stays what it was in the piece
        return dataclasses.replace(result, keypoints=keypoints, width=width, height=height)

    def _batches(self, frames: Iterable[VideoFrame], fps: float) -> Iterator[list[_Prepared]]:
        """Frames in the size of the network, `batch_size` at a time."""
        yield from take_chunks((self._prepare(frame, fps) for frame in frames), self.batch_size)

    def _prepare(self, frame: VideoFrame, fps: float) -> _Prepared:
        # the step leaves alone what has its size
        image = frame.averaged(self._size) if self._size else frame.image
        pair = {
            'name': str(frame.index),
            'frame': frame.index,
            'gap': 0,
            'video': '',
            'weight': 1.0,
        }
        packed = self._pipeline(make_sample([image], fps=fps) | pair)
        return _Prepared(frame.index, frame.time_s, frame.size_wh, packed)

    def _read(self, chunk: list[_Prepared]) -> tuple[NDArray[Any], ...]:
        """Numbers (B,), times (B,), keypoints (B, K, 2), confidence and covariance in pixels."""
        batch = self.collate([frame.packed for frame in chunk])
        samples = self.model(**batch, mode='predict')
        keypoints, confidence, covariance = (
            np.stack([to_array(getattr(sample, name)) for sample in samples])
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
