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
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from mmotion.inference.exported import ExportedModel
from mmotion.inference.fan_out import fan_out
from mmotion.inference.lean import without_gradients
from mmotion.regions import MARGIN, CropWindow, Region, RegionResults, check_regions
from mmotion.structures.results import Result
from mmotion.structures.times import list_irregular
from mmotion.video import VideoError, VideoFrame, inspect_video
from mmotion.video.files import name_video
from mmotion.video.frames import Video
from mmotion.video.pictures import list_pages
from mmotion.video.sources import VideoSource, open_source

if TYPE_CHECKING:
    from mmengine.config import Config

R = TypeVar('R', bound=Result)


class Predictor(ABC, Generic[R]):
    """Answers for whole videos, and for streams of frames while they come in.

    R is the class of the answer, which a subclass names: `class Counter(Predictor[Count])`. It says
    how in `_predict_frames` and `_stream_frames`. Frames reach it checked, one at a time; it reads
    as many as it needs and keeps as few as it can. One that reads more than videos overrides
    `_open`, one that must know the whole video `_predict_source`. What else it can do is asked by
    the protocols of `mmotion.inference.abilities`.

    Args:
        config: The config that the model was built from; its `test_pipeline` is run.
        model: The model, in eval mode on `device`; or an `ExportedModel`, which needs no torch.
        device: Where the model is.

    Raises:
        ValueError: If the config has no `test_pipeline`.
    """

    # of its plot, after the name of the video
    plot_name = 'result'
    # whether what it streams has `is_alarm`, see `mmotion.inference.alarms`
    has_alarms = False
    # its parts that others like it can share, and their methods that answer for each sample of a
    # batch by itself, see `mmotion.inference.batching`
    batched_calls: Mapping[str, Sequence[str]] = {'model': ('__call__',)}
    # layer whose outputs are its embeddings, see `mmotion.inference.features`
    features_layer: str | None = None
    # what stands for its model where a file is run that was exported
    exported_type: type[ExportedModel] = ExportedModel

    def __init__(self, *, config: 'Config', model: Any, device: str = 'cpu') -> None:
        if not config.get('test_pipeline'):
            raise ValueError(
                'config must have a test_pipeline to predict with, got none; name the list of '
                'transforms that the test data pass test_pipeline'
            )
        self.config = config
        self.model = model
        self.device = device
        self._pipeline = _build_pipeline(config, model)

    def predict(
        self,
        video: Video,
        *,
        fps: float | None = None,
        start_s: float = 0.0,
        end_s: float | None = None,
        on_frame: Callable[[VideoFrame], object] | None = None,
    ) -> R:
        """Answer for a whole video.

        Args:
            video: Path of a file or of a folder of pictures; or frames, RGB uint8, as an array
                (N, H, W, 3) or anything that gives arrays (H, W, 3) one after another, or
                `VideoFrame`s, which keep their numbers and times.
            fps: Frames per second of pictures and frames, on average; a file carries its own, and
                its frames' times, which are passed over where `fps` is given: frame n is then at
                n / fps.
            start_s: Leave out what comes before.
            end_s: Leave out what comes from here on; None keeps all.
            on_frame: Called with each frame before it is looked at, to show how far it is; what it
                raises ends the prediction. Frames that are read by number do not pass it.

        Returns:
            The result of this task, see `mmotion.structures.results`.

        Raises:
            ValueError: If a time or `fps` is out of range, or a frame has a wrong shape or type.
            TypeError: If `video` is none of the above.
            VideoError: If the file cannot be read.
        """
        source = self._open(video, fps)
        source.on_frame = on_frame
        with without_gradients():
            result = self._predict_source(source, start_s, end_s)
        if source.num_lost and dataclasses.is_dataclass(result):
            return dataclasses.replace(result, num_lost=source.num_lost)
        return result

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
            video: Path of a file or of a folder of pictures, or frames (N, H, W, 3), RGB uint8.
            regions: The parts, with different names.
            fps: As in `predict`, like the next two.
            start_s: From when on.
            end_s: Up to when, or None.
            margin: Share of a region's width and height that is looked at around it, >= 0.

        Returns:
            For each region what `predict` says of the video that is cropped to it, as described in
            `mmotion.regions`; points are in pixels of the whole picture.

        Raises:
            ValueError: As in `predict`; or if a region does not fit the video.
            TypeError: As in `predict`.
            VideoError: As in `predict`.
        """
        source = self._open(video, fps)
        if source.num_frames is None:
            raise TypeError(
                'video must be a path or an array (N, H, W, 3), as its length must be known, '
                f'got {type(video).__name__}'
            )
        check_regions(regions)
        frames, fps = source.frames(start_s, end_s), source.times.fps
        first = next(frames)
        width, height = first.size_wh
        windows = [
            CropWindow(
                region,
                num_frames=source.num_frames,
                fps=fps,
                width=width,
                height=height,
                margin=margin,
            )
            for region in regions
        ]
        watched: list[tuple[int, float]] = []

        def place(result: R, window: CropWindow) -> R:
            numbers = [number for number, _ in watched]
            return self._place(result, window.corners[numbers], (width, height))

        def note_frame(frame: VideoFrame) -> VideoFrame:
            watched.append((frame.index, frame.time_s))
            return frame

        def predict_crops(crops: Iterator[VideoFrame]) -> Any:
            # the mode belongs to the thread
            with without_gradients():
                return self._predict_frames(crops, fps)

        results = fan_out(
            map(note_frame, itertools.chain([first], frames)),
            [partial(_crop_frame, window) for window in windows],
            predict_crops,
        )
        numbers, times_s = zip(*watched, strict=True)
        return RegionResults(
            regions=tuple(regions),
            results=tuple(map(place, results, windows)),
            fps=fps,
            frames=np.array(numbers),
            start_s=first.time_s,
            width=width,
            height=height,
            frame_times_s=list_irregular(times_s, fps),
            num_lost=source.num_lost,
        )

    def stream(
        self,
        frames: Video,
        *,
        fps: float | None = None,
        start_s: float = 0.0,
        end_s: float | None = None,
        on_frame: Callable[[VideoFrame], object] | None = None,
    ) -> Iterator[Any]:
        """Answer again and again while frames come in, in constant memory.

        Args:
            frames: As in `predict`; a camera's frames, for instance, which need not end.
            fps: As in `predict`, like the next two.
            start_s: From when on.
            end_s: Up to when, or None.
            on_frame: As in `predict`.

        Returns:
            Results so far. The last one says of all frames what `predict` says of them.

        Raises:
            ValueError: As in `predict`; for a single bad frame, when it is reached.
            TypeError: As in `predict`.
        """
        source = self._open(frames, fps)
        source.on_frame = on_frame
        return self._stream_frames(source.frames(start_s, end_s), source.times.fps)

    def draw(
        self, video: str | Path | NDArray[np.uint8], result: R, out_dir: str | Path
    ) -> list[Path]:
        """Write `<stem>_overlay.mp4`, the result on the video, and `<stem>_<plot_name>.png`.

        How a result looks is registered, see `mmotion.visualization`. It is drawn on the frames
        that were predicted, which it knows.

        Args:
            video: What the result was predicted from; an iterator cannot be read twice.
            result: What `predict` returned.
            out_dir: Folder for the files, made if need be.

        Returns:
            The files, named after the video.
        """
        return self._draw(video, result, out_dir, self.plot_name)

    def draw_regions(
        self, video: str | Path | NDArray[np.uint8], result: RegionResults, out_dir: str | Path
    ) -> list[Path]:
        """Write `<stem>_overlay.mp4` and `<stem>_regions.png` of what `predict_regions` returned.

        Args:
            video: See `draw`, like the rest.
            result: See `draw`.
            out_dir: See `draw`.

        Returns:
            The files, named after the video.
        """
        return self._draw(video, result, out_dir, 'regions')

    @classmethod
    def needs_fps(cls, video: Path, config: 'Config') -> bool:
        """Whether the rate of a video must be told, which is asked before a model is loaded.

        Args:
            video: A file or folder.
            config: That of the predictor, which may know it.
        """
        return video.is_dir() or len(list_pages(video)) > 1

    def prepare(self, videos: Sequence[Path]) -> None:
        """Get ready what these videos need, so that what is missing is said once, and at once.

        Args:
            videos: Files and folders that `predict` or `stream` will be given.

        Raises:
            ImportError: If a package is not installed.
            ValueError: If something else is missing.
        """

    def preprocess(self, samples: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """Run the test pipeline and the model's data preprocessor.

        Args:
            samples: A batch of them, see `make_sample`.

        Returns:
            The keyword arguments of the model, `inputs` and `data_samples`.
        """
        return self.collate([self._pipeline(sample) for sample in samples])

    def collate(self, packed: Sequence[Any]) -> dict[str, Any]:
        """Run the model's data preprocessor on a batch of what the test pipeline gave."""
        if isinstance(self.model, ExportedModel):
            return self.model.collate(packed)
        from mmengine.dataset import pseudo_collate

        return self.model.data_preprocessor(pseudo_collate(packed), training=False)

    def _open(self, video: Video, fps: float | None = None) -> VideoSource:
        """Find out how to read a video."""
        return open_source(video, fps=fps)

    def _open_again(
        self, video: Video, result: Result, start_s: float | None = None
    ) -> Iterator[VideoFrame]:
        """The frames that a result was predicted from, to draw on, or those from a time on."""
        source = self._open(video)
        if not source.is_rereadable:
            raise TypeError(
                'video must be a path or an array (N, H, W, 3), as it is read again, got '
                f'{type(video).__name__}'
            )
        if source.fps != result.fps:
            # it was given to `predict`
            source = self._open(video, result.fps)
        start_s = result.start_s if start_s is None else start_s
        return itertools.islice(source.frames(start_s), result.num_frames)

    @staticmethod
    def _name_drawings(video: Video, out_dir: str | Path, *names: str) -> list[Path]:
        """Name files `<stem>_<name>` in a folder, which must not be that of the pictures.

        Raises:
            ValueError: If it is, as plots would be its next frames.
        """
        if isinstance(video, str | Path) and Path(video).resolve() == Path(out_dir).resolve():
            raise ValueError(
                'out_dir must not be the folder of pictures that is drawn on, got '
                f'out_dir={str(out_dir)!r}; choose another one'
            )
        return [Path(out_dir) / f'{name_video(video)}_{name}' for name in names]

    def _draw(
        self, video: Video, result: Result, out_dir: str | Path, plot_name: str
    ) -> list[Path]:
        overlay, plot = self._name_drawings(video, out_dir, 'overlay.mp4', f'{plot_name}.png')
        # of no use to whoever wants numbers
        from mmotion.visualization import draw_result, plot_result

        draw_result(self._open_again(video, result), result, overlay, source=_find_file(video))
        plot_result(result, plot, title=name_video(video))
        return [overlay, plot]

    def _predict_source(self, source: VideoSource, start_s: float, end_s: float | None) -> R:
        """The result for a video, or for a part of it; gradients are off."""
        return self._predict_frames(source.frames(start_s, end_s), source.times.fps)

    def _place(self, result: R, corners: NDArray[np.int64], size_wh: tuple[int, int]) -> R:
        """The result of a region in the terms of the whole picture.

        Args:
            result: That of the piece of each frame that shows the region.
            corners: Where the upper left pixel of the piece lies in each frame, x and y (N, 2).
            size_wh: Width and height of the picture in pixels.
        """
        return result

    @abstractmethod
    def _predict_frames(self, frames: Iterator[VideoFrame], fps: float) -> R:
        """The result for all frames, at least one; gradients are off."""

    @abstractmethod
    def _stream_frames(self, frames: Iterator[VideoFrame], fps: float) -> Iterator[Any]:
        """Results so far; calls the model with gradients off."""


def _find_file(video: Video) -> Path | None:
    """The file that FFmpeg reads frames from, None if they are from elsewhere."""
    if not isinstance(video, str | Path) or not Path(video).is_file():
        return None
    try:
        return inspect_video(video).path
    except VideoError:
        # keypoints
        return None


def _build_pipeline(config: 'Config', model: Any) -> Any:
    """The test pipeline as a function."""
    if isinstance(model, ExportedModel):
        return model.build_pipeline()
    from mmengine.dataset import Compose

    from mmotion.registry import TRANSFORMS

    return Compose([TRANSFORMS.build(step) for step in config.test_pipeline])


def _crop_frame(window: CropWindow, frame: VideoFrame) -> VideoFrame:
    """The same frame with the window's piece of the image."""
    image = window.crop(frame.image, frame=frame.index)
    return VideoFrame(frame.index, frame.time_s, image)
