"""People in a video, step by step: the frames that were looked at, of a file or by a detector.

What predictors of several systems need that read a keypoint file as if it were the video, and a
video by way of a detector.

Shape letters in this file: N frames.
"""

import dataclasses
import itertools
import math
import os
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import NamedTuple, TypeGuard

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mmotion.checks import check_choice
from mmotion.keypoints import detectors
from mmotion.keypoints.detectors import PoseDetector
from mmotion.keypoints.files import read_poses
from mmotion.keypoints.poses import Person, PoseVideo
from mmotion.keypoints.tracking import PoseTracker
from mmotion.structures.times import find_end, list_irregular
from mmotion.video import VideoFrame
from mmotion.video.files import VIDEO_SUFFIXES, name_video
from mmotion.video.frames import number_frames
from mmotion.video.sources import VideoSource, open_source
from mmotion.video.timing import FrameTimes, check_times


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


class Watched(NamedTuple):
    """What was seen in a video, or in a part of it.

    Attributes:
        poses: The people; `num_frames` is the end of the part.
        steps: The same, a frame that was looked at each.
        times_s: When the last frames of `poses` are shown (N,), from the first that was wanted on.
    """

    poses: PoseVideo
    steps: list[Step]
    times_s: NDArray[np.float64]


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

    def watch(self, start_s: float = 0.0, end_s: float | None = None) -> Watched:
        """What was seen from one time to another.

        Raises:
            ValueError: If a time is out of range, or no frame is left.
        """
        times = self.times
        poses = cut_poses(self.poses, times, start_s, end_s)
        edges = [*poses.frame_indices.tolist(), poses.num_frames]
        edges_s = [times.time_at(number) for number in edges]
        steps = map(Step, edges[:-1], edges[1:], edges_s[:-1], edges_s[1:], poses.frames)
        regular_s = poses.frame_indices / poses.fps
        listed_s = list_irregular(edges_s[:-1], poses.fps, regular_s=regular_s)
        poses = dataclasses.replace(poses, frame_times_s=listed_s)
        watched = range(times.first_from(start_s), poses.num_frames)
        return Watched(poses, [*steps], np.array([times.time_at(number) for number in watched]))


class DetectsPeople:
    """The part of a predictor that has a detector for videos, and needs none for keypoint files."""

    device: str
    # what the names of keypoint files end with
    keypoint_suffixes: Sequence[str] = ('.json',)
    # see `Predictor`
    batched_calls: Mapping[str, Sequence[str]] = {'model': ('__call__',), 'detector': ('detect',)}

    def choose_detector(self, name: str, model_path: str | None) -> None:
        """Note which detector to take, see `mmotion.keypoints.detectors`.

        Raises:
            ValueError: If there is none of this name.
        """
        check_choice('detector', name, detectors.DETECTORS)
        self._chosen_detector = name, model_path

    @cached_property
    def detector(self) -> PoseDetector:
        """What finds keypoints in a video, built when the first one comes: files need none."""
        # one that cannot use a GPU, or not that one, takes what it can
        device = 'cpu' if self.device == 'cpu' else None
        return detectors.build_detector(*self._chosen_detector, device)

    def prepare(self, videos: Sequence[Path]) -> None:
        """Build the detector if one of them is no keypoint file."""
        if not all(is_keypoint_file(video, self.keypoint_suffixes) for video in videos):
            _ = self.detector


def is_keypoint_file(video: object, suffixes: Sequence[str] = ('.json',)) -> TypeGuard[str | Path]:
    """Whether it is the path of a keypoint file rather than a video, by the end of its name."""
    return isinstance(video, str | os.PathLike) and Path(video).suffix.lower() in suffixes


def open_keypoints(path: str | Path, fps: float | None = None) -> KeypointFileSource:
    """Read a keypoint file, see `mmotion.keypoints.files`, as a video.

    Args:
        path: The file.
        fps: What a caller was told, who does not know that the file has its own.

    Raises:
        ValueError: If `fps` is given.
        PoseFileError: If the file is broken.
    """
    if fps is not None:
        raise ValueError(f'fps must be left out for a file, which has its own, got fps={fps}')
    return KeypointFileSource(Path(path), read_poses(path))


def watch_frames(
    frames: Iterator[VideoFrame], detector: PoseDetector, *, every: int, fps: float
) -> Watched:
    """Find the people in every n-th of some frames, see `watch_steps`."""
    first = next(frames)
    seen: list[tuple[int, float]] = []

    def note(frame: VideoFrame) -> VideoFrame:
        seen.append((frame.index - first.index, frame.time_s))
        return frame

    noted = map(note, itertools.chain([first], frames))
    steps = list(watch_steps(noted, detector, every=every, fps=fps))
    poses = join_steps(steps, first, detector, fps=fps)
    numbers, times_s = zip(*seen, strict=True)
    return Watched(poses, steps, fill_times(numbers, times_s, poses.num_frames - first.index))


def watch_steps(
    frames: Iterable[VideoFrame], detector: PoseDetector, *, every: int, fps: float
) -> Iterator[Step]:
    """Find the people in every n-th frame, and who is who; the last step ends with the video.

    Args:
        frames: One after the other.
        detector: Finds people.
        every: n.
        fps: Frames per second, on average.
    """
    tracker = PoseTracker()
    begun: tuple[int, float] | None = None
    people: tuple[Person, ...] = ()
    index, recent_s = 0, deque[float](maxlen=3)
    for number, frame in enumerate(frames):
        if number % every == 0:
            if begun is not None:
                yield Step(begun[0], frame.index, begun[1], frame.time_s, people)
            (found,) = detector.detect([frame.image])
            begun, people = (frame.index, frame.time_s), tuple(tracker.update(found))
        index = frame.index
        recent_s.append(frame.time_s)
    if begun is not None:
        yield Step(begun[0], index + 1, begun[1], find_end([*recent_s], fps), people)


def join_steps(
    steps: Sequence[Step], first: VideoFrame, detector: PoseDetector, *, fps: float
) -> PoseVideo:
    """Put the people of steps into one description.

    Args:
        steps: At least one.
        first: A frame, for its size.
        detector: What found them.
        fps: Frames per second, on average.
    """
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


def fill_holes(frames: Iterable[VideoFrame]) -> Iterator[VideoFrame]:
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


def _is_video(source: str) -> bool:
    """Whether what keypoints were found in is there to be drawn on, and no array of keypoints."""
    return Path(source).suffix.lower() in VIDEO_SUFFIXES and Path(source).is_file()
