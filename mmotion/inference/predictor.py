"""From a config and a checkpoint to a predictor, and from a video to a result.

Three lines answer the question that a system was trained for:

    predictor = load_model('repnet_shapes', 'epoch_9.pth')
    result = predictor.predict('workout.mp4')
    print(result.count)

A predictor runs the `test_pipeline` of its config on the frames, so that it says of a video what
testing says of it. A system adds its own by a subclass of `Predictor`, registered in `PREDICTORS`
and named by the key `predictor` of its configs.
"""

import dataclasses
import itertools
import os
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import Compose, pseudo_collate
from mmengine.model import BaseModel
from numpy.typing import NDArray

from mmotion.inference.fan_out import fan_out
from mmotion.regions import MARGIN, CropWindow, Region, RegionResults, check_regions
from mmotion.registry import TRANSFORMS
from mmotion.video import VideoFrame, inspect_video
from mmotion.video.frames import Video, open_frames
from mmotion.visualization import draw_result, plot_result


class Predictor(ABC):
    """Answers for whole videos, and for streams of frames while they come in.

    A subclass says how in `_predict_frames` and `_stream_frames`. Frames reach it checked,
    one at a time; it reads as many as it needs and keeps as few as it can. One whose input is not
    frames overrides `predict` itself.

    Args:
        config: The config that the model was built from; its `test_pipeline` is run.
        model: The model, in eval mode on `device`.
        device: Where the model is.

    Raises:
        ValueError: If the config has no `test_pipeline`.
    """

    # of its plot, after the name of the video
    plot_name = 'result'

    def __init__(self, *, config: Config, model: BaseModel, device: str = 'cpu') -> None:
        if not config.get('test_pipeline'):
            raise ValueError(
                'config must have a test_pipeline to predict with, got none; name the list of '
                'transforms that the test data pass test_pipeline'
            )
        self.config = config
        self.model = model
        self.device = device
        self._pipeline = Compose([TRANSFORMS.build(step) for step in config.test_pipeline])

    def predict(
        self,
        video: Video,
        *,
        fps: float | None = None,
        start_s: float = 0.0,
        end_s: float | None = None,
    ) -> Any:
        """Answer for a whole video.

        Args:
            video: Path of a file; or frames, RGB uint8, as an array (N, H, W, 3) or anything that
                gives arrays (H, W, 3) one after another.
            fps: Frames per second of `video` if it is frames; a file carries its own.
            start_s: Leave out what comes before.
            end_s: Leave out what comes from here on; None keeps all.

        Returns:
            The result of this task, one of `mmotion.structures`.

        Raises:
            ValueError: If a time or `fps` is out of range, or a frame has a wrong shape or type.
            TypeError: If `video` is none of the above.
            VideoError: If the file cannot be read.
        """
        frames, fps = open_frames(video, fps=fps, start_s=start_s, end_s=end_s)
        with torch.inference_mode():
            return self._predict_frames(frames, fps)

    def predict_regions(
        self,
        video: str | Path | NDArray[np.uint8],
        regions: Sequence[Region],
        *,
        fps: float | None = None,
        start_s: float = 0.0,
        end_s: float | None = None,
        margin: float = MARGIN,
    ) -> RegionResults:
        """Answer for parts of the picture, each by itself, reading the video once.

        Args:
            video: Path of a file, or frames (N, H, W, 3), RGB uint8.
            regions: The parts, with different names.
            fps: As in `predict`, like the next two.
            start_s: From when on.
            end_s: Up to when, or None.
            margin: Share of a region's width and height that is looked at around it, >= 0.

        Returns:
            For each region what `predict` says of the video that is cropped to it, as described in
            `mmotion.regions`.

        Raises:
            ValueError: As in `predict`; or if a region does not fit the video.
            TypeError: As in `predict`.
            VideoError: As in `predict`.
        """
        if not isinstance(video, str | os.PathLike | np.ndarray):
            raise TypeError(
                'video must be a path or an array (N, H, W, 3), as its length must be known, '
                f'got {type(video).__name__}'
            )
        check_regions(regions)
        frames, fps = open_frames(video, fps=fps, start_s=start_s, end_s=end_s)
        num_frames = (
            len(video) if isinstance(video, np.ndarray) else inspect_video(video).num_frames
        )
        first = next(frames)
        height, width = first.image.shape[:2]
        windows = [
            CropWindow(
                region, num_frames=num_frames, fps=fps, width=width, height=height, margin=margin
            )
            for region in regions
        ]
        watched: list[int] = []

        def note_index(frame: VideoFrame) -> VideoFrame:
            watched.append(frame.index)
            return frame

        def predict_crops(crops: Iterator[VideoFrame]) -> Any:
            # the mode belongs to the thread
            with torch.inference_mode():
                return self._predict_frames(crops, fps)

        results = fan_out(
            map(note_index, itertools.chain([first], frames)),
            [partial(_crop_frame, window) for window in windows],
            predict_crops,
        )
        return RegionResults(
            regions=tuple(regions),
            results=tuple(results),
            fps=fps,
            frames=np.array(watched),
            start_s=first.time_s,
            width=width,
            height=height,
        )

    def stream(
        self,
        frames: Video,
        *,
        fps: float | None = None,
        start_s: float = 0.0,
        end_s: float | None = None,
    ) -> Iterator[Any]:
        """Answer again and again while frames come in, in constant memory.

        Args:
            frames: As in `predict`; a camera's frames, for instance, which need not end.
            fps: As in `predict`, like the next two.
            start_s: From when on.
            end_s: Up to when, or None.

        Returns:
            Results so far. The last one says of all frames what `predict` says of them.

        Raises:
            ValueError: As in `predict`; for a single bad frame, when it is reached.
            TypeError: As in `predict`.
        """
        return self._stream_frames(*open_frames(frames, fps=fps, start_s=start_s, end_s=end_s))

    def draw(
        self,
        video: str | Path | NDArray[np.uint8],
        result: Any,
        out_dir: str | Path,
        *,
        start_s: float = 0.0,
        end_s: float | None = None,
    ) -> list[Path]:
        """Write `<stem>_overlay.mp4`, the result on the video, and `<stem>_<plot_name>.png`.

        How a result looks is registered, see `mmotion.visualization`.

        Args:
            video: What the result was predicted from; an iterator cannot be read twice.
            result: What `predict` returned.
            out_dir: Folder for the files, made if need be.
            start_s: As it was in `predict`.
            end_s: As it was in `predict`.

        Returns:
            The files, named after the video.
        """
        stem = name_video(video)
        overlay, plot = (
            Path(out_dir) / f'{stem}_{name}' for name in ('overlay.mp4', f'{self.plot_name}.png')
        )
        frames = self._open_again(video, result, start_s=start_s, end_s=end_s)
        draw_result(frames, result, overlay)
        plot_result(result, plot, title=stem)
        return [overlay, plot]

    def draw_attention(
        self,
        video: str | Path | NDArray[np.uint8],
        result: Any,
        out_dir: str | Path,
        *,
        start_s: float = 0.0,
        end_s: float | None = None,
    ) -> list[Path]:
        """Make pictures of where the model looks; overridden where a model can tell.

        Args:
            video: See `draw`, like the rest.
            result: See `draw`.
            out_dir: See `draw`.
            start_s: See `draw`.
            end_s: See `draw`.

        Returns:
            The files, named after the video.

        Raises:
            ValueError: If the model cannot tell.
        """
        raise ValueError(
            'predictor must be of a model with attention to draw it, got '
            f'{type(self).__name__}; leave out --attention'
        )

    def export(
        self, video: str | Path, result: Any, out_dir: str | Path, formats: Sequence[str]
    ) -> list[Path]:
        """Write a result for other programs; overridden where there are such files.

        Args:
            video: What the result was predicted from.
            result: What `predict` returned.
            out_dir: Folder for the files, made if need be.
            formats: Names of formats.

        Returns:
            The files, named after the video.

        Raises:
            ValueError: If a format is unknown.
            ImportError: If a package for one is not installed.
        """
        self.check_export(formats)
        return []

    @classmethod
    def check_export(cls, formats: Sequence[str]) -> None:
        """Refuse formats that `export` cannot write; overridden together with it."""
        raise ValueError(f'predictor must export {formats}, got {cls.__name__}; leave out --export')

    def _open_again(
        self,
        video: str | Path | NDArray[np.uint8],
        result: Any,
        *,
        start_s: float,
        end_s: float | None,
    ) -> Iterator[VideoFrame]:
        """The frames that a result was predicted from, to draw on."""
        fps = result.fps if isinstance(video, np.ndarray) else None
        return open_frames(video, fps=fps, start_s=start_s, end_s=end_s)[0]

    @abstractmethod
    def _predict_frames(self, frames: Iterator[VideoFrame], fps: float) -> Any:
        """The result for all frames, at least one; gradients are off."""

    @abstractmethod
    def _stream_frames(self, frames: Iterator[VideoFrame], fps: float) -> Iterator[Any]:
        """Results so far; calls the model with gradients off."""

    def preprocess(self, frames: list[VideoFrame], *, fps: float) -> dict[str, Any]:
        """Run the test pipeline and the model's data preprocessor on frames of one size.

        Args:
            frames: At least one.
            fps: Frames per second.

        Returns:
            The keyword arguments of the model, `inputs` and `data_samples`, for a batch of one.
        """
        images = [frame.image for frame in frames]
        packed = self._pipeline(
            {
                'imgs': images,
                'fps': fps,
                # what MMAction2's transforms read as well
                'img_shape': images[0].shape[:2],
                'original_shape': images[0].shape[:2],
                'total_frames': len(images),
                'clip_len': len(images),
                'num_clips': 1,
                'modality': 'RGB',
            }
        )
        return self.model.data_preprocessor(pseudo_collate([packed]), training=False)


def name_video(video: str | Path | NDArray[np.uint8]) -> str:
    """What the names of files about a video begin with."""
    return 'video' if isinstance(video, np.ndarray) else Path(video).stem


def _crop_frame(window: CropWindow, frame: VideoFrame) -> VideoFrame:
    """The same frame with the window's piece of the image."""
    return dataclasses.replace(frame, image=window.crop(frame.image, frame=frame.index))
