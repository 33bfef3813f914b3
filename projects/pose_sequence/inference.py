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
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, TypeGuard

import numpy as np
import torch
from mmengine.config import Config
from mmengine.model import BaseModel
from numpy.typing import NDArray

from mmotion.inference import Predictor, find_class_names
from mmotion.inference.views import check_window
from mmotion.keypoints.detectors import DETECTORS, build_detector
from mmotion.keypoints.files import PoseFileError, find_skeleton, read_poses
from mmotion.keypoints.poses import Person, PoseVideo
from mmotion.keypoints.tracking import PoseTracker
from mmotion.registry import PREDICTORS
from mmotion.structures.actions import RunningScores
from mmotion.video import VideoFrame
from mmotion.video.files import VIDEO_SUFFIXES, name_video
from mmotion.video.frames import Video, number_frames, slide
from mmotion.video.sources import VideoSource, open_source
from mmotion.video.timing import FrameTimes, check_times

from .results import PoseScores
from .sequence_files import ARRAY_SUFFIX, SUFFIXES, read_sequence, take_main_track
from .transforms import PackSequence, ResampleSequence


class Step(NamedTuple):
    """A frame that was looked at.

    Attributes:
        index: Its number in the video.
        end: Number of the first frame that belongs to the next step.
        people: Who was seen.
    """

    index: int
    end: int
    people: tuple[Person, ...]


class KeypointFileSource(VideoSource):
    """A keypoint file as a video: that in which they were found if it is there, else black frames.

    Args:
        path: The file.
        poses: What is in it.
    """

    def __init__(self, path: Path, poses: PoseVideo) -> None:
        self.poses = poses
        super().__init__(name_video(path), poses.fps)
        self.path, self.num_frames = path, poses.num_frames
        self._video = open_source(poses.source) if _is_video(poses.source) else None

    @property
    def times(self) -> FrameTimes:
        """When its frames are shown."""
        return self._video.times if self._video else super().times

    def _iterate(self, start_s: float, end_s: float | None) -> Iterator[VideoFrame]:
        if self._video is not None:
            return self._video.frames(start_s, end_s)
        black = np.zeros((self.poses.height, self.poses.width, 3), np.uint8)
        frames = number_frames(itertools.repeat(black, self.poses.num_frames), self.times)
        return itertools.islice(frames, *self.times.span(start_s, end_s))


@PREDICTORS.register_module()
class PosePredictor(Predictor[PoseScores]):
    """Names the activity of a person, in a video and over its time.

    Args:
        config: See `Predictor`, like the next two.
        model: A model that fills `pred_score` (C,), in eval mode.
        device: Where the model is; the detector takes a GPU too, unless this is 'cpu'.
        detector: What finds keypoints in a video, one of `mmotion.keypoints.detectors.DETECTORS`;
            not needed for keypoint files.
        model_path: Model file of the detector, see there.
        every: Look at every n-th frame of a video.
        window_s: Length of the sliding window; None takes the time that the model's L steps last.
            Windows overlap by half.
        min_score: Score in [0, 1] that a class must reach to be marked on the timeline.

    Raises:
        ValueError: If a number is out of its range, or the pipeline has no `PackSequence`.
    """

    plot_name = 'actions'

    def __init__(
        self,
        *,
        config: Config,
        model: BaseModel,
        device: str = 'cpu',
        detector: str | None = None,
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
        self._detector = None
        if detector is not None:
            # a detector that cannot use a GPU, or not that one, takes what it can
            self._detector = build_detector(
                detector, model_path, 'cpu' if device == 'cpu' else None
            )

    def _open(self, video: Video, fps: float | None = None) -> VideoSource:
        """A keypoint file is a video too; what an array does not tell is that of the test data."""
        if not _is_keypoint_file(video):
            return super()._open(video, fps)
        path = Path(video)
        if path.suffix.lower() != ARRAY_SUFFIX:
            if fps is not None:
                raise ValueError(
                    f'fps must be left out for a file, which has its own, got fps={fps}'
                )
            return KeypointFileSource(path, read_poses(path))
        data = self.config.get('test_dataloader', {}).get('dataset', {})
        name, fps = data.get('skeleton'), fps or data.get('fps')
        try:
            poses = read_sequence(path, name and find_skeleton(name), fps)
        except PoseFileError:
            raise
        except ValueError as error:
            raise ValueError(f'{error}; set both in test_dataloader.dataset') from None
        return KeypointFileSource(path, poses)

    def _open_again(self, video: Video, result: PoseScores) -> Iterator[VideoFrame]:
        """An array has the rate with which it was predicted."""
        if _is_keypoint_file(video) and Path(video).suffix.lower() == ARRAY_SUFFIX:
            source = self._open(video, result.fps)
            frames = source.frames(self._find_start(source, result))
            return itertools.islice(frames, result.num_frames)
        return super()._open_again(video, result)

    def _find_start(self, source: VideoSource, result: PoseScores) -> float:
        """Frames are counted here, and times follow: let the clock of the video say the time."""
        return source.times.time_at(result.poses.num_frames - result.num_frames)

    def _predict_source(
        self, source: VideoSource, start_s: float, end_s: float | None
    ) -> PoseScores:
        if not isinstance(source, KeypointFileSource):
            return super()._predict_source(source, start_s, end_s)
        poses = cut_poses(source.poses, start_s, end_s)
        ends = [*poses.frame_indices[1:].tolist(), poses.num_frames]
        steps = map(Step, poses.frame_indices.tolist(), ends, poses.frames)
        return self._predict_steps(poses, steps, FrameTimes(poses.fps).first_from(start_s))

    def _predict_frames(self, frames: Iterator[VideoFrame], fps: float) -> PoseScores:
        first = next(frames)
        steps = list(self._watch(itertools.chain([first], frames)))
        poses = self._join(steps, first, fps)
        return self._predict_steps(poses, steps, first.index)

    def _stream_frames(self, frames: Iterator[VideoFrame], fps: float) -> Iterator[RunningScores]:
        first = next(frames)
        total, classes = np.zeros(0, np.float32), ()
        size, hop = self._window_steps(fps / self.every)
        steps = self._watch(itertools.chain([first], frames))
        for number, window in enumerate(slide(steps, size, hop), start=1):
            with torch.inference_mode():
                scores, _ = self._score(self._join(window, first, fps))
            total = scores if number == 1 else total + scores
            classes = classes or find_class_names(self.config, self.model, len(scores))
            yield RunningScores(
                classes=classes,
                num_frames=window[-1].end - first.index,
                start_s=window[0].index / fps,
                end_s=window[-1].end / fps,
                scores=scores,
                mean_scores=np.asarray(total / number, np.float32),
            )

    def _watch(self, frames: Iterable[VideoFrame]) -> Iterator[Step]:
        """Find the people in every n-th frame; the last step ends with the video."""
        if self._detector is None:
            raise ValueError(
                'a video must come with a detector of keypoints, got detector=None; name one of '
                f'{", ".join(DETECTORS)}, or give a keypoint file (.json or .npy)'
            )
        tracker = PoseTracker()
        index, last, people = 0, 0, None
        for number, frame in enumerate(frames):
            if number % self.every == 0:
                if people is not None:
                    yield Step(index, frame.index, people)
                (found,) = self._detector.detect([frame.image])
                index, people = frame.index, tuple(tracker.update(found))
            last = frame.index
        if people is not None:
            yield Step(index, last + 1, people)

    def _join(self, steps: list[Step], first: VideoFrame, fps: float) -> PoseVideo:
        """Put the people of steps into one description."""
        detector: Any = self._detector
        height, width = first.image.shape[:2]
        return PoseVideo(
            source='frames',
            fps=fps,
            width=width,
            height=height,
            num_frames=steps[-1].end,
            detector=detector.name,
            skeleton=detector.skeleton,
            frame_indices=np.array([step.index for step in steps]),
            frames=tuple(step.people for step in steps),
        )

    def _predict_steps(self, poses: PoseVideo, steps: Iterable[Step], first: int) -> PoseScores:
        """The result for a whole video, of which the frames from `first` on were watched."""
        if not poses.num_detections:
            raise ValueError(
                f'somebody must be seen, got nobody in the {len(poses.frames)} frames of '
                f'{poses.source} that {poses.detector} looked at'
            )
        scores, views = self._score(poses)
        windows = list(slide(steps, *self._window_steps(take_main_track(poses)['fps'])))
        window_scores = [scores]
        if len(windows) > 1:
            parts = [
                dataclasses.replace(
                    poses,
                    frame_indices=np.array([step.index for step in window]),
                    frames=tuple(step.people for step in window),
                )
                for window in windows
            ]
            window_scores = [self._score(part)[0] for part in parts]
        return PoseScores(
            classes=find_class_names(self.config, self.model, len(scores)),
            scores=scores,
            views=views,
            fps=poses.fps,
            num_frames=poses.num_frames - first,
            window_start_s=np.array([window[0].index for window in windows]) / poses.fps,
            window_end_s=np.array([window[-1].end for window in windows]) / poses.fps,
            window_scores=np.stack(window_scores),
            start_s=first / poses.fps,
            min_score=self.min_score,
            poses=poses,
        )

    def _score(self, poses: PoseVideo) -> tuple[NDArray[np.float32], str]:
        """Scores of the classes (C,) by the most prominent person, and what they are taken from."""
        num_points = self.config.model.get('encoder', {}).get('num_points')
        if num_points not in (None, poses.skeleton.num_points):
            raise ValueError(
                f'keypoints must have the {num_points} points that the model was trained on, got '
                f'{poses.skeleton.num_points} ({poses.skeleton.name}) from {poses.detector}; take '
                'the detector that made the training data'
            )
        sequence = take_main_track(poses)
        batch = self.preprocess([{**sequence, 'label': -1, 'name': poses.source, 'group': ''}])
        (sample,) = self.model(**batch, mode='predict')
        scores = sample.pred_score.float().cpu().numpy()
        return (scores if poses.num_detections else np.zeros_like(scores)), sample.views

    def _window_steps(self, rate_hz: float) -> tuple[int, int]:
        """Length of a window and of a hop in steps, of which there are `rate_hz` a second."""
        window_s = self.window_s or self._length / (self._rate_hz or rate_hz)
        size = max(round(window_s * rate_hz), 1)
        return size, max(size // 2, 1)


def cut_poses(poses: PoseVideo, start_s: float, end_s: float | None) -> PoseVideo:
    """Keep the frames of a stretch of time, see `Predictor.predict`.

    Raises:
        ValueError: If a time is out of range, or no frame is left.
    """
    check_times(start_s, end_s)
    first, end = FrameTimes(poses.fps).span(start_s, end_s)
    end = poses.num_frames if end is None else min(end, poses.num_frames)
    kept = np.flatnonzero((poses.frame_indices >= first) & (poses.frame_indices < end))
    if not len(kept):
        raise ValueError(
            f'{poses.source} must have a frame from start_s to end_s, got '
            f'start_s={start_s} and end_s={end_s} for {poses.num_frames / poses.fps:.2f} s'
        )
    return dataclasses.replace(
        poses,
        num_frames=end,
        frame_indices=poses.frame_indices[kept],
        frames=tuple(poses.frames[i] for i in kept.tolist()),
    )


def _is_keypoint_file(video: Any) -> TypeGuard[str | Path]:
    return isinstance(video, str | os.PathLike) and Path(video).suffix.lower() in SUFFIXES


def _is_video(source: str) -> bool:
    """Whether what keypoints were found in is there to be drawn on, and no array of keypoints."""
    return Path(source).suffix.lower() in VIDEO_SUFFIXES and Path(source).is_file()
