"""RepNet's predictors: count in a file, an array or a camera's frames, and draw what was found.

`RepetitionPredictor` counts what a picture shows, `PoseRepetitionPredictor` what each person does.
"""

import dataclasses
import itertools
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from mmotion.checks import check_at_least
from mmotion.inference.abilities import PortableNetwork
from mmotion.inference.exported import ExportedModel
from mmotion.inference.lean import PREDICTORS, to_array, without_gradients
from mmotion.inference.predictor import Predictor
from mmotion.inference.samples import make_sample
from mmotion.keypoints.detectors import DEFAULT_DETECTOR
from mmotion.keypoints.skeletons import Skeleton
from mmotion.keypoints.watching import (
    DetectsPeople,
    KeypointFileSource,
    Step,
    Watched,
    fill_holes,
    is_keypoint_file,
    open_keypoints,
    watch_frames,
    watch_steps,
)
from mmotion.regions import Region, RegionResults
from mmotion.structures import time_at
from mmotion.structures.times import list_irregular
from mmotion.video import VideoFrame
from mmotion.video.files import name_video
from mmotion.video.frames import Video, take_chunks
from mmotion.video.sources import VideoSource

from .counting import CountingOptions, RepetitionCounter
from .results import RepetitionCount, RunningCount

if TYPE_CHECKING:
    from mmengine.config import Config
    from torch import Tensor

    from .models import RepNet
    from .poses import PoseRepNet

# of a network, exported or not, what answers for each frame or window by itself
NETWORK_CALLS = ('encode_frames', 'score_windows', 'rate_windows')
# frames in their full size that are in memory at once
CHUNK_FRAMES = 4
# less does not show a repetition
MIN_SEEN_S = 1.0


class ExportedRepNet(ExportedModel):
    """A RepNet that a runtime runs: an encoder and a head, so that strides share the encoder.

    Its encoder takes frames of the size that `ResizeFrames` gives (N, S, S, 3), uint8; its head
    gives what `read_logits` makes of the logits.
    """

    def __init__(self, network: Any) -> None:
        super().__init__(network)
        self.num_frames: int = self.meta['num_frames']
        self.counting = CountingOptions(**self.meta['counting'])

    def build_pipeline(self) -> None:
        """There is none: `RepetitionPredictor` scales frames itself."""

    def encode_frames(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Frames (N, S, S, 3) to N maps."""
        return self.network.run(['maps'], {'frames': frames})[0]

    def rate_windows(self, maps: NDArray[np.float32]) -> NDArray[np.float64]:
        """Maps (B, T, ...) to rates and scores (B, 2, T)."""
        return self.network.run(['rows'], {'windows': maps})[0]


class CountingPredictor(Predictor[RepetitionCount]):
    """Counts a video in chunks of frames, and a stream with an answer every now and then.

    Args:
        config: See `Predictor`, like the next two.
        model: What counts, in eval mode.
        device: Where the model is.
        report_every_s: Seconds of video between two answers of `stream`, about.

    Raises:
        ValueError: If `report_every_s` is not above 0.
    """

    plot_name = 'counts'
    batched_calls = {'model': NETWORK_CALLS}

    def __init__(
        self, *, config: 'Config', model: Any, device: str = 'cpu', report_every_s: float = 1.0
    ) -> None:
        super().__init__(config=config, model=model, device=device)
        if report_every_s <= 0:
            raise ValueError(f'report_every_s must be above 0, got {report_every_s=}')
        self.report_every_s = report_every_s

    def _predict_frames(self, frames: Iterator[VideoFrame], fps: float) -> RepetitionCount:
        counter = self._make_counter(fps)
        for chunk in take_chunks(frames, CHUNK_FRAMES):
            self._push(counter, chunk)
        return counter.result()

    def _stream_frames(self, frames: Iterator[VideoFrame], fps: float) -> Iterator[RunningCount]:
        counter = self._make_counter(fps, keep_rows=False)
        reported, due_s = 0, None
        for chunk in take_chunks(frames, CHUNK_FRAMES):
            self._push(counter, chunk)
            due_s = counter.start_s + self.report_every_s if due_s is None else due_s
            # what rounding took away is there
            if counter.end_s >= due_s - 1e-6:
                reported, due_s = counter.num_frames, counter.end_s + self.report_every_s
                yield counter.running()
        if counter.num_frames > reported:
            yield counter.running()

    def _make_counter(self, fps: float, *, keep_rows: bool = True) -> Any:
        """What counts a video of this rate; without `keep_rows` it only has to tell `running`."""
        raise NotImplementedError

    def _push(self, counter: Any, frames: list[VideoFrame]) -> None:
        """Count the next frames."""
        counter.push(self._look_at(frames, counter.fps), [frame.time_s for frame in frames])

    def _look_at(self, frames: list[VideoFrame], fps: float) -> Any:
        """What the counter takes of frames."""
        raise NotImplementedError


@PREDICTORS.register_module()
class RepetitionPredictor(CountingPredictor):
    """Counts repetitions with a RepNet, with the options that testing uses (`model.counting`).

    Its model is a RepNet.
    """

    model: 'RepNet'

    exported_type = ExportedRepNet

    def make_portable(self) -> PortableNetwork:
        """The network from grey levels to rates and scores, see `ExportedRepNet`."""
        import torch

        from .losses import rate_logits

        model, size = self.model, self._input_size()
        preprocessor = cast('Any', model.data_preprocessor)
        mean, std = preprocessor.mean[..., 0], preprocessor.std[..., 0]

        def run(frames: 'Tensor', windows: 'Tensor') -> 'tuple[Tensor, Tensor]':
            maps = model.encode_frames((frames.permute(0, 3, 1, 2).float() - mean) / std)
            output = model.score_windows(windows)
            rows = rate_logits(output.period_logits, output.periodicity_logits, model.counting)
            return maps, torch.stack(rows, dim=1)

        frames = torch.zeros(2, size, size, 3, dtype=torch.uint8)
        with torch.no_grad():
            maps = model.encode_frames(frames.permute(0, 3, 1, 2).float())
        return PortableNetwork(
            run=run,
            model=model,
            inputs={
                'frames': frames,
                'windows': torch.zeros(2, model.num_frames, *maps.shape[1:]),
            },
            free={'frames': {0: 'frames'}, 'windows': {0: 'windows'}},
            outputs=('maps', 'rows'),
            meta={
                'num_frames': model.num_frames,
                'size': size,
                'counting': dataclasses.asdict(model.counting),
            },
        )

    def draw(
        self, video: str | Path | NDArray[np.uint8], result: RepetitionCount, out_dir: str | Path
    ) -> list[Path]:
        """Write `<stem>_overlay.mp4`, `<stem>_counts.png` and `<stem>_similarity.png`.

        The last one is the self-similarity matrix of the window at the chosen stride around the
        middle of the longest segment, or of the video if nothing repeats.
        """
        files = super().draw(video, result, out_dir)
        if isinstance(self.model, ExportedModel):
            # the matrix stays in the network
            return files
        from mmotion.visualization import plot_similarity

        (similarity,) = self._name_drawings(video, out_dir, 'similarity.png')
        segment = max(result.segments, key=lambda s: s.end_s - s.start_s, default=None)
        start_s, end_s = result.start_s, time_at(result, result.num_frames)
        middle_s = (segment.start_s + segment.end_s if segment else start_s + end_s) / 2
        middle = np.searchsorted(time_at(result, np.arange(result.num_frames)), middle_s)
        size = self.model.num_frames * result.stride
        first = min(max(int(middle) - size // 2, 0), max(result.num_frames - size, 0))
        from_s = time_at(result, first)
        frames = self._open_again(video, result, from_s)
        matrix = self.compare_frames(frames, fps=result.fps, stride=result.stride)
        last = min(first + len(matrix) * result.stride, result.num_frames)
        frame_s = (time_at(result, last) - from_s) / len(matrix)
        plot_similarity(
            matrix, similarity, title=name_video(video), frame_s=frame_s, start_s=from_s
        )
        return [*files, similarity]

    def compare_frames(
        self, frames: Iterator[VideoFrame], *, fps: float, stride: int = 1
    ) -> NDArray[np.float32]:
        """The self-similarity matrix of one window, the first of some frames.

        Args:
            frames: At least one; the last one is repeated if they do not fill the window.
            fps: Frames per second.
            stride: Look at every how many frames.

        Returns:
            (n, n) with n <= T, the frames of the window that are not repeated; rows of a full
            window sum to 1.
        """
        import torch

        size = self.model.num_frames
        wanted = (frame for i, frame in enumerate(frames) if i % stride == 0)
        maps: list[Tensor] = []
        with without_gradients():
            for chunk in take_chunks(wanted, CHUNK_FRAMES):
                maps.extend(self.model.encode_frames(self._look_at(chunk, fps)))
                if len(maps) >= size:
                    break
            num_real = min(len(maps), size)
            window = (maps + maps[-1:] * size)[:size]
            output = self.model.score_windows(torch.stack(window)[None])
        return to_array(output.similarity[0, :num_real, :num_real])

    def _make_counter(self, fps: float, *, keep_rows: bool = True) -> RepetitionCounter:
        options = self.model.counting
        return RepetitionCounter(self.model, fps=fps, options=options, keep_rows=keep_rows)

    def _input_size(self) -> int:
        """Side of the frames that the model sees, in pixels."""
        steps = list(self.config.test_pipeline)
        if [step['type'] for step in steps] != ['ResizeFrames', 'PackRepetitionInputs']:
            raise ValueError(
                'test_pipeline must be ResizeFrames and PackRepetitionInputs to be exported, got '
                f'{", ".join(step["type"] for step in steps)}'
            )
        return steps[0]['size']

    def _look_at(self, frames: list[VideoFrame], fps: float) -> Any:
        """What the model sees of frames (n, 3, H, W); exported, grey levels (n, H, W, 3)."""
        if isinstance(self.model, ExportedModel):
            size = self.model.meta['size']
            return np.stack([frame.scaled(size, size) for frame in frames])
        first = self.config.test_pipeline[0]
        # the pipeline then leaves them as they are
        size = first['size'] if first['type'] == 'ResizeFrames' else None
        images = [frame.scaled(size, size) if size else frame.image for frame in frames]
        return self.preprocess([make_sample(images, fps=fps)])['inputs'][0].transpose(0, 1)


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunningPeople:
    """The counts of the people in a video that still goes on.

    Args:
        time_s: When the last frame so far disappears.
        people: What each has done so far, by name, in the order in which they came.
    """

    time_s: float
    people: dict[str, RunningCount]

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain JSON types."""
        people = {name: count.to_dict() for name, count in self.people.items()}
        return {'time_s': self.time_s, 'people': people}


@PREDICTORS.register_module()
class PoseRepetitionPredictor(DetectsPeople, Predictor[RegionResults]):
    """Counts what each person repeats, in a keypoint file, or in a video by way of a detector.

    A person is a region of the result, named by the number of the track, 'person 0'; first comes
    the one that the video is about, see `PoseVideo.rank_tracks`. Where nobody is tracked, the most
    prominent of each frame is 'person'. Somebody who is seen for less than a second is left out.

    Args:
        config: See `Predictor`, like the next two.
        model: A `PoseRepNet`, in eval mode.
        device: Where the model is; the detector takes a GPU too, unless this is 'cpu'.
        detector: What finds keypoints in a video, one of `mmotion.keypoints.detectors.DETECTORS`.
        model_path: Model of the detector, see there; None takes its own.
        every: Look at every n-th frame of a video.
        report_every_s: Seconds of video between two answers of `stream`, about.

    Raises:
        ValueError: If a number is out of its range, or the detector cannot be built.
    """

    model: 'PoseRepNet'

    plot_name = 'regions'
    batched_calls: Mapping[str, Sequence[str]] = {'model': NETWORK_CALLS, 'detector': ('detect',)}

    def __init__(
        self,
        *,
        config: 'Config',
        model: 'PoseRepNet',
        device: str = 'cpu',
        detector: str = DEFAULT_DETECTOR,
        model_path: str | None = None,
        every: int = 3,
        report_every_s: float = 1.0,
    ) -> None:
        super().__init__(config=config, model=model, device=device)
        check_at_least('every', every, 1)
        if report_every_s <= 0:
            raise ValueError(f'report_every_s must be above 0, got {report_every_s=}')
        self.every = every
        self.report_every_s = report_every_s
        self.choose_detector(detector, model_path)

    def predict_regions(self, *args: Any, **kwargs: Any) -> RegionResults:
        """Refuse: people are the regions here.

        Raises:
            ValueError: Always.
        """
        raise ValueError(
            'regions must be left out for a model that counts each person, as people are its '
            'regions; use repnet_small for parts of the picture'
        )

    def _open(self, video: Video, fps: float | None = None) -> VideoSource:
        """A keypoint file is a video too."""
        return open_keypoints(video, fps) if is_keypoint_file(video) else super()._open(video, fps)

    def _open_again(self, video: Video, result: RegionResults) -> Iterator[VideoFrame]:
        """Missing frames count in the result."""
        frames = fill_holes(super()._open_again(video, result))
        return itertools.islice(frames, result.num_frames)

    def _predict_source(
        self, source: VideoSource, start_s: float, end_s: float | None
    ) -> RegionResults:
        if isinstance(source, KeypointFileSource):
            return self._count(source.watch(start_s, end_s))
        return super()._predict_source(source, start_s, end_s)

    def _predict_frames(self, frames: Iterator[VideoFrame], fps: float) -> RegionResults:
        return self._count(watch_frames(frames, self.detector, every=self.every, fps=fps))

    def _stream_frames(self, frames: Iterator[VideoFrame], fps: float) -> Iterator[RunningPeople]:
        steps_fps = fps / self.every
        # of somebody who has left, the count that stays
        counters: dict[int, RepetitionCounter | RunningCount] = {}
        # when each of them was looked for in vain since they were seen, for a window at most
        missed_s: dict[int, deque[float]] = {}
        due_s, reported, last = None, None, None
        for step in watch_steps(frames, self.detector, every=self.every, fps=fps):
            due_s = step.time_s + self.report_every_s if due_s is None else due_s
            for missed in missed_s.values():
                missed.append(step.time_s)
            for person in step.people:
                number = cast('int', person.track)
                if number not in counters:
                    counters[number] = RepetitionCounter(
                        self.model, fps=steps_fps, options=self.model.counting, keep_rows=False
                    )
                    missed_s[number] = deque([step.time_s], maxlen=self.model.num_frames)
                times_s = [*missed_s[number]]
                missed_s[number].clear()
                keypoints = np.full((len(times_s), *person.keypoints.shape), np.nan, np.float32)
                keypoints[-1] = person.keypoints
                poses = self._pack(keypoints, self.detector.skeleton, steps_fps)['inputs'][0]
                counter = cast('RepetitionCounter', counters[number])
                counter.push(poses.transpose(0, 1), times_s)
            # the tracker gives their numbers to nobody any more
            left = [number for number, missed in missed_s.items() if len(missed) == missed.maxlen]
            for number in left:
                del missed_s[number]
                counter = cast('RepetitionCounter', counters[number])
                if _is_seen_long(counter):
                    counters[number] = counter.running()
                else:
                    del counters[number]
            # what rounding took away is there
            if step.end_s >= due_s - 1e-6:
                reported, due_s = step, step.end_s + self.report_every_s
                yield _sum_up(step, counters)
            last = step
        if last is not None and last is not reported:
            yield _sum_up(last, counters)

    def _pack(
        self, keypoints: NDArray[np.float32], skeleton: Skeleton, fps: float
    ) -> dict[str, Any]:
        """What the model takes of a person (n, S, 2)."""
        from .poses import make_poses

        return self.preprocess([{'imgs': make_poses(keypoints, skeleton), 'fps': fps}])

    def _count(self, watched: Watched) -> RegionResults:
        poses, _, times_s = watched
        tracks = {f'person {number}': poses.track(number)[0] for number in poses.rank_tracks()}
        tracks = tracks or {'person': poses.main_track()[0]}
        every = int(np.median(np.diff(poses.frame_indices))) if len(poses.frames) > 1 else 1
        regions, results = [], []
        for name, points in tracks.items():
            seen = np.flatnonzero(~np.isnan(points).all((1, 2)))
            if not len(seen) or seen[-1] + 1 - seen[0] < MIN_SEEN_S * poses.fps / every:
                continue
            steps = slice(seen[0], seen[-1] + 1)
            batch = self._pack(points[steps], poses.skeleton, poses.fps / every)
            (sample,) = self.model(**batch, mode='predict')
            results.append(_stretch(sample.pred, watched, steps, every))
            size_wh = poses.width, poses.height
            regions.append(_enclose(name, points[seen], poses.frame_indices[seen], size_wh))
        if not regions:
            raise ValueError(
                f'somebody must be seen for {MIN_SEEN_S:g} s, got nobody in the '
                f'{len(poses.frames)} frames of {poses.source} that {poses.detector} looked at'
            )
        return RegionResults(
            regions=regions,
            results=results,
            fps=poses.fps,
            frames=np.arange(poses.num_frames - len(times_s), poses.num_frames),
            start_s=float(times_s[0]),
            width=poses.width,
            height=poses.height,
            frame_times_s=list_irregular(times_s, poses.fps),
        )


def _is_seen_long(counter: RepetitionCounter) -> bool:
    """Whether somebody has been seen for long enough to repeat something."""
    return counter.num_frames >= MIN_SEEN_S * counter.fps


def _sum_up(step: Step, counters: dict[int, RepetitionCounter | RunningCount]) -> RunningPeople:
    """What was counted up to the end of a step."""
    people = {
        f'person {number}': counter if isinstance(counter, RunningCount) else counter.running()
        for number, counter in counters.items()
        if isinstance(counter, RunningCount) or _is_seen_long(counter)
    }
    return RunningPeople(time_s=step.end_s, people=people)


def _stretch(count: RepetitionCount, watched: Watched, steps: slice, every: int) -> RepetitionCount:
    """The count of all frames that were watched, from that of the steps of a person."""
    num_frames = len(watched.times_s)
    first = watched.poses.num_frames - num_frames
    rate, score = np.zeros((2, num_frames))
    rates = np.diff(count.count_per_frame, prepend=0.0)
    parts = zip(watched.steps[steps], rates, count.periodicity_per_frame, strict=True)
    for step, step_rate, step_score in parts:
        frames = slice(step.index - first, step.end - first)
        rate[frames], score[frames] = step_rate / (step.end - step.index), step_score
    return RepetitionCount.from_rates(
        rate,
        score,
        fps=watched.poses.fps,
        confidence=count.confidence,
        stride=every * count.stride,
        strides=tuple(every * stride for stride in count.strides),
        start_s=float(watched.times_s[0]),
        frame_times_s=list_irregular(watched.times_s, watched.poses.fps),
    )


def _enclose(
    name: str, keypoints: NDArray[np.float32], frames: NDArray[np.int64], size_wh: tuple[int, int]
) -> Region:
    """The region of a person (n, K, 2) in some frames (n,): boxes around the points."""
    corners = np.stack([np.nanmin(keypoints, 1), np.nanmax(keypoints, 1)], 1)
    # at least a pixel of the picture, also of somebody who is outside of it
    low, high = np.zeros(2), np.array(size_wh)
    corners[:, 0] = corners[:, 0].clip(low, high - 1)
    corners[:, 1] = corners[:, 1].clip(corners[:, 0] + 1, high)
    return Region(name=name, boxes_xyxy=corners.reshape(-1, 4), frames=frames)
