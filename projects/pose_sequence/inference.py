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
import math
import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeGuard

import numpy as np
import torch
from mmengine.config import Config
from mmengine.model import BaseModel
from numpy.typing import ArrayLike, NDArray

from mmotion.inference import Predictor, find_class_names
from mmotion.inference.views import check_window
from mmotion.keypoints.detectors import DETECTORS, build_detector
from mmotion.keypoints.files import PoseFileError, find_skeleton, read_poses
from mmotion.keypoints.poses import Person, PoseVideo
from mmotion.keypoints.tracking import PoseTracker
from mmotion.registry import PREDICTORS
from mmotion.structures.actions import RunningScores
from mmotion.structures.times import find_end, list_irregular
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
        time_s: When it is shown.
        end_s: When the next step begins, or the video ends.
        people: Who was seen.
    """

    index: int
    end: int
    time_s: float
    end_s: float
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
        if self._video is not None and not math.isclose(
            self._video.fps or 0, poses.fps, rel_tol=1e-3
        ):
            # another one was given when the keypoints were found
            self._video = open_source(poses.source, fps=poses.fps)

    @property
    def times(self) -> FrameTimes:
        """When its frames are shown."""
        if self._video is not None and self._video.num_frames == self.num_frames:
            return self._video.times
        poses = self.poses
        if poses.frame_times_s is None:
            return super().times
        known, at = poses.frame_indices, poses.times_s
        if known[0]:
            # the first of all frames is shown at 0
            known, at = np.r_[0, known], np.r_[0.0, at]
        return FrameTimes(poses.fps, fill_times(known, at, poses.num_frames))

    def _iterate(self, start_s: float, end_s: float | None) -> Iterator[VideoFrame]:
        if self._video is not None:
            return self._video.frames(start_s, end_s)
        black = np.zeros((self.poses.height, self.poses.width, 3), np.uint8)
        frames = itertools.repeat(black, self.poses.num_frames)
        return number_frames(frames, self.times, start_s, end_s)


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

    @classmethod
    def needs_fps(cls, video: Path, config: Config) -> bool:
        """An array of keypoints does not tell its rate either; that of the test data is taken."""
        if video.suffix.lower() == ARRAY_SUFFIX:
            return not config.get('test_dataloader', {}).get('dataset', {}).get('fps')
        return super().needs_fps(video, config)

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
        """An array has the rate with which it was predicted; missing frames count in the result."""
        if _is_keypoint_file(video) and Path(video).suffix.lower() == ARRAY_SUFFIX:
            source = self._open(video, result.fps)
            frames = source.frames(result.start_s)
            return itertools.islice(frames, result.num_frames)
        frames = _fill_holes(super()._open_again(video, result))
        return itertools.islice(frames, result.num_frames)

    def _predict_source(
        self, source: VideoSource, start_s: float, end_s: float | None
    ) -> PoseScores:
        if not isinstance(source, KeypointFileSource):
            return super()._predict_source(source, start_s, end_s)
        times = source.times
        poses = cut_poses(source.poses, times, start_s, end_s)
        edges = [*poses.frame_indices.tolist(), poses.num_frames]
        edges_s = [times.time_at(number) for number in edges]
        steps = map(Step, edges[:-1], edges[1:], edges_s[:-1], edges_s[1:], poses.frames)
        regular_s = poses.frame_indices / poses.fps
        listed_s = list_irregular(edges_s[:-1], poses.fps, regular_s=regular_s)
        poses = dataclasses.replace(poses, frame_times_s=listed_s)
        watched = range(times.first_from(start_s), poses.num_frames)
        watched_s = np.array([times.time_at(number) for number in watched])
        return self._predict_steps(poses, [*steps], watched_s)

    def _predict_frames(self, frames: Iterator[VideoFrame], fps: float) -> PoseScores:
        first = next(frames)
        seen: list[tuple[int, float]] = []

        def note(frame: VideoFrame) -> VideoFrame:
            seen.append((frame.index - first.index, frame.time_s))
            return frame

        steps = list(self._watch(map(note, itertools.chain([first], frames)), fps))
        poses = self._join(steps, first, fps)
        numbers, times_s = zip(*seen, strict=True)
        times_s = fill_times(numbers, times_s, poses.num_frames - first.index)
        return self._predict_steps(poses, steps, times_s)

    def _stream_frames(self, frames: Iterator[VideoFrame], fps: float) -> Iterator[RunningScores]:
        first = next(frames)
        total, classes = np.zeros(0, np.float32), ()
        steps = self._watch(itertools.chain([first], frames), fps)
        for number, window in enumerate(self._slide(steps, fps / self.every), start=1):
            with torch.inference_mode():
                scores, _ = self._score(self._join(window, first, fps))
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

    def _watch(self, frames: Iterable[VideoFrame], fps: float) -> Iterator[Step]:
        """Find the people in every n-th frame; the last step ends with the video."""
        if self._detector is None:
            raise ValueError(
                'a video must come with a detector of keypoints, got detector=None; name one of '
                f'{", ".join(DETECTORS)}, or give a keypoint file (.json or .npy)'
            )
        tracker = PoseTracker()
        begun: tuple[int, float] | None = None
        people: tuple[Person, ...] = ()
        index, recent_s = 0, deque[float](maxlen=3)
        for number, frame in enumerate(frames):
            if number % self.every == 0:
                if begun is not None:
                    yield Step(begun[0], frame.index, begun[1], frame.time_s, people)
                (found,) = self._detector.detect([frame.image])
                begun, people = (frame.index, frame.time_s), tuple(tracker.update(found))
            index = frame.index
            recent_s.append(frame.time_s)
        if begun is not None:
            yield Step(begun[0], index + 1, begun[1], find_end([*recent_s], fps), people)

    def _join(self, steps: list[Step], first: VideoFrame, fps: float) -> PoseVideo:
        """Put the people of steps into one description."""
        detector: Any = self._detector
        height, width = first.image.shape[:2]
        indices = np.array([step.index for step in steps])
        times_s = [step.time_s for step in steps]
        return PoseVideo(
            source='frames',
            fps=fps,
            width=width,
            height=height,
            num_frames=steps[-1].end,
            detector=detector.name,
            skeleton=detector.skeleton,
            frame_indices=indices,
            frames=tuple(step.people for step in steps),
            frame_times_s=list_irregular(times_s, fps, regular_s=indices / fps),
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

    def _slide(self, steps: Iterable[Step], rate_hz: float) -> Iterator[list[Step]]:
        """Windows that overlap by half, of steps of which there are `rate_hz` a second."""
        size_s = self.window_s or self._length / (self._rate_hz or rate_hz)
        size_s = max(size_s, 1 / rate_hz)
        hop_s = max(round(size_s * rate_hz) // 2, 1) / rate_hz
        return slide(steps, lambda step: step.time_s, size_s=size_s, hop_s=hop_s, fps=rate_hz)


def _fill_holes(frames: Iterable[VideoFrame]) -> Iterator[VideoFrame]:
    """Give the frame before in the place of one that is missing between others."""
    last = None
    for frame in frames:
        if last is not None:
            yield from itertools.repeat(last, frame.index - last.index - 1)
        yield frame
        last = frame


def fill_times(numbers: ArrayLike, times_s: ArrayLike, num_frames: int) -> NDArray[np.float64]:
    """When all frames of a video are shown: those that are not known lie evenly between the others.

    Args:
        numbers: Of the frames that are known (N,), rising.
        times_s: When they are shown (N,).
        num_frames: Frames of the video, at least as many.

    Example:
        >>> fill_times([0, 2, 4], [0.0, 1.0, 3.0], 6)
        array([0. , 0.5, 1. , 2. , 3. , 4. ])
    """
    known, at = np.asarray(numbers), np.asarray(times_s, np.float64)
    places = np.arange(num_frames)
    if len(known) > 1:
        # beyond the ends as beside them
        gap_s = (at[1:] - at[:-1]) / np.diff(known)
        ends = np.array([-1, num_frames])
        beyond = at[[0, -1]] + gap_s[[0, -1]] * (ends - known[[0, -1]])
        known, at = np.r_[-1, known, num_frames], np.r_[beyond[0], at, beyond[1]]
    return np.interp(places, known, at)


def cut_poses(
    poses: PoseVideo, times: FrameTimes, start_s: float, end_s: float | None
) -> PoseVideo:
    """Keep the frames of a stretch of time, see `Predictor.predict`.

    Args:
        poses: Of the whole video.
        times: When all of its frames are shown.
        start_s: From when on.
        end_s: Up to when, or None.

    Raises:
        ValueError: If a time is out of range, or no frame is left.
    """
    check_times(start_s, end_s)
    first, end = times.span(start_s, end_s)
    end = poses.num_frames if end is None else min(end, poses.num_frames)
    kept = np.flatnonzero((poses.frame_indices >= first) & (poses.frame_indices < end))
    if not len(kept):
        raise ValueError(
            f'{poses.source} must have a frame from start_s to end_s, got '
            f'start_s={start_s} and end_s={end_s} for {times.time_at(poses.num_frames):.2f} s'
        )
    return dataclasses.replace(
        poses,
        num_frames=end,
        frame_indices=poses.frame_indices[kept],
        frames=tuple(poses.frames[i] for i in kept.tolist()),
        frame_times_s=None if poses.frame_times_s is None else poses.frame_times_s[kept],
    )


def _is_keypoint_file(video: Any) -> TypeGuard[str | Path]:
    return isinstance(video, str | os.PathLike) and Path(video).suffix.lower() in SUFFIXES


def _is_video(source: str) -> bool:
    """Whether what keypoints were found in is there to be drawn on, and no array of keypoints."""
    return Path(source).suffix.lower() in VIDEO_SUFFIXES and Path(source).is_file()
