"""Windows of a video or of a stream, and the views of each that a test pipeline makes.

A window slides over the frames, and each goes through the `test_pipeline` of a config as if it were
a video of its own. Memory holds the frames of one window, in the size to which the pipeline resizes
them.

Shape letters in this file: N frames of a video, V views of a window, T frames per clip.
"""

import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from mmotion.inference.samples import describe_images, make_sample
from mmotion.structures.times import find_end, measure_rate
from mmotion.video import VideoFrame
from mmotion.video.frames import slide
from mmotion.video.sources import VideoSource

Results = dict[str, Any]

# a video in which no clip comes to an end, to see how long a clip is
ENDLESS_S = 36_000


class ViewMaker:
    """A test pipeline in three parts, so that a window of a stream can go through it.

    The steps before `DecodeClip` choose frames by their number; the `Resize` steps after it treat
    each frame by itself and are run when it arrives; the others make the views. A pipeline without
    `DecodeClip` is for data sets that give a whole clip: it gets consecutive frames.

    Args:
        steps: The transforms.
        num_frames: Frames per clip T, which must be known where there is no `DecodeClip`.

    Raises:
        ValueError: If it is not.
    """

    def __init__(self, steps: Sequence[Any], num_frames: int | None) -> None:
        decoders = [i for i, step in enumerate(steps) if _is(step, 'DecodeClip')]
        split = decoders[0] + 1 if decoders else 0
        self.chooses = bool(decoders)
        self.num_frames = num_frames
        self._choosers = steps[: max(split - 1, 0)]
        self._shrinkers = list(itertools.takewhile(lambda step: _is(step, 'Resize'), steps[split:]))
        self._finishers = steps[split + len(self._shrinkers) :]
        if not self.chooses and num_frames is None:
            raise ValueError(
                'test_pipeline must choose frames by SampleClip and DecodeClip, or '
                'model.backbone.num_frames say how many a clip has, got neither; add both steps'
            )

    def choose(self, num_frames: int, fps: float, *, speed: float = 1.0) -> Results:
        """Choose from N frames: `frame_inds` (num_clips * clip_len,), and what else the steps say.

        Args:
            num_frames: N, at least 1.
            fps: Frames per second.
            speed: From one frame of a clip to the next go on by so many, where no step chooses.
        """
        results = make_sample(fps=fps, num_frames=num_frames)
        results['clip_len'] = self.num_frames
        if not self.chooses:
            places = np.rint(np.arange(cast('int', self.num_frames)) * speed).astype(np.int64)
            return results | {'frame_inds': np.minimum(places, num_frames - 1)}
        for step in self._choosers:
            results = step(results)
        clips = np.reshape(results['frame_inds'], (results['num_clips'], results['clip_len']))
        if (clips == clips[0]).all():
            # ten times the same clip in a window as short as a clip
            clips, results['num_clips'] = clips[:1], 1
        results['frame_inds'] = clips.flatten()
        return results

    def clip_span(self, fps: float) -> int:
        """Frames from the first to the last of a clip in a long video."""
        chosen = self.choose(math.ceil(ENDLESS_S * fps), fps)
        clip = chosen['frame_inds'][: chosen['clip_len']]
        return int(clip[-1] - clip[0]) + 1

    def make_blank(self, fps: float = 30.0) -> Results:
        """Make the views of a black video, which have the shape of all others."""
        chosen = self.choose(math.ceil(ENDLESS_S * fps), fps)
        blank = self.shrink(np.zeros((240, 320, 3), np.uint8))
        return self.finish(chosen, [blank] * len(chosen['frame_inds']))

    def shrink(self, image: NDArray[np.uint8]) -> Results:
        """Resize one frame (H, W, 3) as the pipeline does."""
        results = describe_images([image], image.shape[:2])
        for step in self._shrinkers:
            results = step(results)
        return results

    def finish(self, chosen: Results, frames: Sequence[Results]) -> Results:
        """Make the views.

        Args:
            chosen: From `choose`.
            frames: From `shrink`, those of `frame_inds` in that order.

        Returns:
            What the steps leave, and under `packed` what the last one gives.
        """
        results = {**chosen, **frames[0], 'imgs': [frame['imgs'][0] for frame in frames]}
        return self._finish(results)

    def make(self, source: VideoSource, first: int, num_frames: int) -> Results:
        """Make the views of a whole video, or of a part of it, as testing does.

        Args:
            source: The video, which can be read by number.
            first: Number of the first frame of the part.
            num_frames: Frames of the part N.

        Returns:
            See `finish`.
        """
        results = self.choose(num_frames, source.times.fps)
        results['frame_inds'] = results['frame_inds'] + first
        width, height = source.size_wh
        results |= describe_images(source.read(results['frame_inds']), (height, width))
        for step in self._shrinkers:
            results = step(results)
        return self._finish(results)

    def window_seconds(
        self, fps: float, *, window_s: float | None = None, hop_s: float | None = None
    ) -> tuple[float, float]:
        """How long a window is, and a hop, both at least a frame.

        Args:
            fps: Frames per second, on average.
            window_s: Length of a window; None takes the time that one clip spans.
            hop_s: Time from one window to the next; None takes half a window, in whole frames.
        """
        size_s = max(self.clip_span(fps) / fps if window_s is None else window_s, 1 / fps)
        hop_s = round(size_s * fps) // 2 / fps if hop_s is None else hop_s
        return size_s, max(hop_s, 1 / fps)

    def slide(
        self, frames: Iterable[VideoFrame], *, size_s: float, hop_s: float, fps: float
    ) -> Iterator[list[Results]]:
        """Give windows of `size_s` every `hop_s`; the last ends with the last frame.

        Args:
            frames: Consecutive frames, at least one.
            size_s: Length of a window; a video that is shorter is a single one.
            hop_s: Time from one window to the next.
            fps: Frames per second, on average.

        Yields:
            For each frame of a window what `shrink` gives, with its `number` among `frames`, and
            its `index` and `time_s` in the video.
        """
        numbered = (
            self.shrink(frame.image)
            | {'number': number, 'index': frame.index, 'time_s': frame.time_s}
            for number, frame in enumerate(frames)
        )
        return slide(numbered, lambda frame: frame['time_s'], size_s=size_s, hop_s=hop_s, fps=fps)

    def view(self, window: Sequence[Results], fps: float) -> Results:
        """Make the views of a window from `slide`, see `finish`.

        Args:
            window: The frames, which may come faster or slower than others of the video.
            fps: Frames per second of the video, on average.
        """
        chosen = self.choose_within([frame['time_s'] for frame in window], fps)
        return self.finish(chosen, [window[i] for i in chosen['frame_inds']])

    def choose_within(self, times_s: Sequence[float], fps: float) -> Results:
        """Choose from the frames of a window by their times, see `choose` and `view`."""
        rate = measure_rate(times_s, fps)
        return self.choose(len(times_s), rate, speed=rate / fps)

    def _finish(self, results: Results) -> Results:
        for step in self._finishers[:-1]:
            results = step(results)
        return results | {'packed': self._finishers[-1](dict(results))}


def _is(step: Any, name: str) -> bool:
    """Whether a step is of the class of this name, ours or that which needs NumPy alone."""
    return name in (kind.__name__ for kind in type(step).__mro__)


def find_span(window: Sequence[Results], fps: float) -> tuple[float, float]:
    """When a window from `ViewMaker.slide` begins, and when it ends."""
    times_s = [frame['time_s'] for frame in window]
    return times_s[0], find_end(times_s, fps)


def check_window(window_s: float | None, hop_s: float | None = None) -> None:
    """Refuse a window or a hop that has no length."""
    for name, value in (('window_s', window_s), ('hop_s', hop_s)):
        if value is not None and not 0 < value < math.inf:
            raise ValueError(f'{name} must be above 0 and finite, got {name}={value}')
