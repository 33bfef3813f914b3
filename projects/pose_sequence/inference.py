"""The predictor of activities: of a keypoint file, or of a video by way of a detector.

A window slides over the steps, the frames that a detector looked at. In each window the person is
followed who is most prominent there, and their keypoints go through the config's `test_pipeline` as
if they were a sequence of their own. The scores of the whole video are those that testing gives it.

A window in which nobody is seen has the score 0 for each class, and belongs to no segment. In a
video in which nobody is seen at all there is nothing to predict, which is an error.

Shape letters in this file: N steps of a video, L steps with padding, K points, C classes.
"""

import dataclasses
import itertools
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from mmotion.inference.abilities import PortableNetwork
from mmotion.inference.exported import ExportedModel
from mmotion.inference.lean import PREDICTORS, to_array, without_gradients
from mmotion.inference.predictor import Predictor
from mmotion.inference.samples import find_class_names
from mmotion.inference.views import check_window
from mmotion.keypoints.detectors import DEFAULT_DETECTOR
from mmotion.keypoints.files import PoseFileError, find_skeleton
from mmotion.keypoints.poses import PoseVideo
from mmotion.keypoints.watching import (
    DetectsPeople,
    KeypointFileSource,
    Step,
    fill_holes,
    is_keypoint_file,
    join_steps,
    open_keypoints,
    watch_frames,
    watch_steps,
)
from mmotion.structures.actions import RunningScores
from mmotion.structures.times import list_irregular
from mmotion.video import VideoFrame
from mmotion.video.frames import Video, slide
from mmotion.video.sources import VideoSource

from .results import PoseScores
from .sequence_files import RATELESS_SUFFIXES, SUFFIXES, read_sequence, take_main_track
from .transforms import (
    FillMissing,
    MakeFigure,
    NormalizePose,
    PackSequence,
    ResampleSequence,
    describe_sequence,
)

if TYPE_CHECKING:
    from mmengine.config import Config
    from mmengine.model import BaseModel
    from torch import Tensor

# steps before a network that was exported
STEPS = {
    kind.__name__: kind
    for kind in (FillMissing, MakeFigure, NormalizePose, PackSequence, ResampleSequence)
}


class ExportedPipeline:
    """The steps of a pipeline, which need NumPy alone.

    Args:
        steps: Their configs, `PackSequence` last.
    """

    def __init__(self, steps: Sequence[dict[str, Any]]) -> None:
        self.transforms: list[Any] = [
            STEPS[step['type']](**{k: v for k, v in step.items() if k != 'type'}) for step in steps
        ]

    def __call__(self, results: dict[str, Any]) -> dict[str, Any]:
        """Make what the network takes."""
        *steps, pack = self.transforms
        for step in steps:
            results = step(results)
        inputs, length = pack.pad(results)
        return {'inputs': inputs, 'lengths': np.int64(length)}


class ExportedClassifier(ExportedModel):
    """A classifier of sequences that a runtime runs."""

    def build_pipeline(self) -> ExportedPipeline:
        """The steps before the network."""
        return ExportedPipeline(self.config['test_pipeline'])

    def __call__(self, *, mode: str = 'predict', **inputs: NDArray[Any]) -> list[SimpleNamespace]:
        """Scores, and what they are taken from."""
        samples = super().__call__(mode=mode, **inputs)
        for sample in samples:
            sample.views = describe_sequence(inputs['inputs'].shape[1:])
        return samples


@PREDICTORS.register_module()
class PosePredictor(DetectsPeople, Predictor[PoseScores]):
    """Names the activity of a person, in a video and over its time.

    Args:
        config: See `Predictor`, like the next two.
        model: A model that fills `pred_score` (C,), in eval mode.
        device: Where the model is; the detector takes a GPU too, unless this is 'cpu'.
        detector: What finds keypoints in a video, one of `mmotion.keypoints.detectors.DETECTORS`.
        model_path: Model of the detector, see there; None takes its own.
        every: Look at every n-th frame of a video.
        window_s: Length of the sliding window; None takes the time that the model's L steps last.
            Windows overlap by half.
        min_score: Score in [0, 1] that a class must reach to be marked on the timeline.

    Raises:
        ValueError: If a number is out of its range, or the pipeline has no `PackSequence`.
    """

    plot_name = 'actions'
    exported_type = ExportedClassifier
    keypoint_suffixes = SUFFIXES

    def __init__(
        self,
        *,
        config: 'Config',
        model: 'BaseModel',
        device: str = 'cpu',
        detector: str = DEFAULT_DETECTOR,
        model_path: str | None = None,
        every: int = 5,
        window_s: float | None = None,
        min_score: float = 0.01,
    ) -> None:
        super().__init__(config=config, model=model, device=device)
        if every < 1:
            raise ValueError(f'every must be at least 1, got every={every}')
        check_window(window_s)
        if not 0 < min_score <= 1:
            raise ValueError(f'min_score must be above 0 and at most 1, got min_score={min_score}')
        steps = self._pipeline.transforms
        lengths = [step.max_seq_length for step in steps if isinstance(step, PackSequence)]
        if not lengths:
            raise ValueError('test_pipeline must end with PackSequence, got none; add it')
        rates = [step.rate_hz for step in steps if isinstance(step, ResampleSequence)]
        self.every = every
        self.window_s = window_s
        self.min_score = min_score
        self._length = lengths[0]
        self._rate_hz = rates[0] if rates else None
        self.choose_detector(detector, model_path)

    def make_portable(self) -> PortableNetwork:
        """The network from padded sequences and their lengths to scores."""
        import torch

        from .models import SequenceClassifier

        model, steps = cast('Any', self.model), [step['type'] for step in self.config.test_pipeline]
        if not isinstance(model, SequenceClassifier) or not {*STEPS} >= {*steps}:
            raise ValueError(
                f'a SequenceClassifier behind {", ".join(STEPS)} must be exported, got '
                f'{type(model).__name__} behind {", ".join(steps)}'
            )

        def run(inputs: 'Tensor', lengths: 'Tensor') -> 'tuple[Tensor]':
            return (model.head(model.norm(model.encoder(inputs, lengths))).float().softmax(1),)

        num_points = model.encoder.embed.num_points
        return PortableNetwork(
            run=run,
            model=model,
            inputs={
                'inputs': torch.zeros(2, self._length, num_points, 3),
                'lengths': torch.full((2,), self._length),
            },
            free={'inputs': {0: 'sequences'}, 'lengths': {0: 'sequences'}},
            outputs=('pred_score',),
            meta={'classes': find_class_names(self.config, model, model.num_classes)},
        )

    def _draw(self, *args: Any) -> list[Path]:
        # registers how scores look
        from mmotion.visualization import actions  # noqa: F401

        return super()._draw(*args)

    @classmethod
    def needs_fps(cls, video: Path, config: 'Config') -> bool:
        """Not every keypoint file tells its rate; that of the test data is taken."""
        if video.suffix.lower() in RATELESS_SUFFIXES:
            return not config.get('test_dataloader', {}).get('dataset', {}).get('fps')
        return super().needs_fps(video, config)

    def _open(self, video: Video, fps: float | None = None) -> VideoSource:
        """A keypoint file is a video too; what it does not tell is that of the test data."""
        if not is_keypoint_file(video, SUFFIXES):
            return super()._open(video, fps)
        path = Path(video)
        if path.suffix.lower() not in RATELESS_SUFFIXES:
            return open_keypoints(path, fps)
        data = self.config.get('test_dataloader', {}).get('dataset', {})
        name, fps = data.get('skeleton'), fps or data.get('fps')
        try:
            poses = read_sequence(path, name and find_skeleton(name), fps)
        except PoseFileError:
            raise
        except ValueError as error:
            raise ValueError(f'{error}; set what is missing in test_dataloader.dataset') from None
        return KeypointFileSource(path, poses)

    def _open_again(self, video: Video, result: PoseScores) -> Iterator[VideoFrame]:
        """A file has the rate with which it was predicted; missing frames count in the result."""
        if is_keypoint_file(video, RATELESS_SUFFIXES):
            source = self._open(video, result.fps)
            frames = source.frames(result.start_s)
            return itertools.islice(frames, result.num_frames)
        frames = fill_holes(super()._open_again(video, result))
        return itertools.islice(frames, result.num_frames)

    def _predict_source(
        self, source: VideoSource, start_s: float, end_s: float | None
    ) -> PoseScores:
        if not isinstance(source, KeypointFileSource):
            return super()._predict_source(source, start_s, end_s)
        return self._predict_steps(*source.watch(start_s, end_s))

    def _predict_frames(self, frames: Iterator[VideoFrame], fps: float) -> PoseScores:
        watched = watch_frames(frames, self.detector, every=self.every, fps=fps)
        return self._predict_steps(*watched)

    def _stream_frames(self, frames: Iterator[VideoFrame], fps: float) -> Iterator[RunningScores]:
        detector, first = self.detector, next(frames)
        total, classes = np.zeros(0, np.float32), ()
        watched = itertools.chain([first], frames)
        steps = watch_steps(watched, detector, every=self.every, fps=fps)
        for number, window in enumerate(self._slide(steps, fps / self.every), start=1):
            with without_gradients():
                scores, _ = self._score(join_steps(window, first, detector, fps=fps))
            total = scores if number == 1 else total + scores
            classes = classes or find_class_names(self.config, self.model, len(scores))
            yield RunningScores(
                classes=classes,
                num_frames=window[-1].end - first.index,
                start_s=window[0].time_s,
                end_s=window[-1].end_s,
                scores=scores,
                mean_scores=np.asarray(total / number, np.float32),
            )

    def _predict_steps(
        self, poses: PoseVideo, steps: Sequence[Step], times_s: NDArray[np.float64]
    ) -> PoseScores:
        """The result for a whole video, of which the last frames, shown then, were watched."""
        if not poses.num_detections:
            raise ValueError(
                f'somebody must be seen, got nobody in the {len(poses.frames)} frames of '
                f'{poses.source} that {poses.detector} looked at'
            )
        scores, views = self._score(poses)
        windows = list(self._slide(steps, take_main_track(poses)['fps']))
        window_scores = [scores]
        if len(windows) > 1:
            parts = [
                dataclasses.replace(
                    poses,
                    frame_indices=np.array([step.index for step in window]),
                    frames=tuple(step.people for step in window),
                    frame_times_s=None
                    if poses.frame_times_s is None
                    else np.array([step.time_s for step in window]),
                )
                for window in windows
            ]
            window_scores = [self._score(part)[0] for part in parts]
        return PoseScores(
            classes=find_class_names(self.config, self.model, len(scores)),
            scores=scores,
            views=views,
            fps=poses.fps,
            num_frames=len(times_s),
            window_start_s=np.array([window[0].time_s for window in windows]),
            window_end_s=np.array([window[-1].end_s for window in windows]),
            window_scores=np.stack(window_scores),
            start_s=float(times_s[0]),
            frame_times_s=list_irregular(times_s, poses.fps),
            min_score=self.min_score,
            poses=poses,
        )

    def _score(self, poses: PoseVideo) -> tuple[NDArray[np.float32], str]:
        """Scores of the classes (C,) by the most prominent person, and what they are taken from."""
        num_points = self.config.model.get('encoder', {}).get('num_points')
        makes_figure = any(isinstance(step, MakeFigure) for step in self._pipeline.transforms)
        if not makes_figure and num_points not in (None, poses.skeleton.num_points):
            raise ValueError(
                f'keypoints must have the {num_points} points that the model was trained on, got '
                f'{poses.skeleton.num_points} ({poses.skeleton.name}) from {poses.detector}; take '
                'the detector that made the training data'
            )
        sequence = take_main_track(poses)
        batch = self.preprocess([{**sequence, 'label': -1, 'name': poses.source, 'group': ''}])
        (sample,) = self.model(**batch, mode='predict')
        scores = to_array(sample.pred_score)
        return (scores if poses.num_detections else np.zeros_like(scores)), sample.views

    def _slide(self, steps: Iterable[Step], rate_hz: float) -> Iterator[list[Step]]:
        """Windows that overlap by half, of steps of which there are `rate_hz` a second."""
        size_s = self.window_s or self._length / (self._rate_hz or rate_hz)
        size_s = max(size_s, 1 / rate_hz)
        hop_s = max(round(size_s * rate_hz) // 2, 1) / rate_hz
        return slide(steps, lambda step: step.time_s, size_s=size_s, hop_s=hop_s, fps=rate_hz)
