"""RepNet's predictor: count in a file, an array or a camera's frames, and draw what was found."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from numpy.typing import NDArray
from torch import Tensor

from mmotion.inference import Predictor, make_sample
from mmotion.registry import PREDICTORS
from mmotion.structures import time_at
from mmotion.video import VideoFrame
from mmotion.video.files import name_video
from mmotion.video.frames import take_chunks
from mmotion.visualization import plot_similarity

from .counting import RepetitionCounter
from .models import RepNet
from .results import RepetitionCount, RunningCount

# frames in their full size that are in memory at once
CHUNK_FRAMES = 4


@PREDICTORS.register_module()
class RepetitionPredictor(Predictor[RepetitionCount]):
    """Counts repetitions with a RepNet, with the options that testing uses (`model.counting`).

    Args:
        config: See `Predictor`, like the next two.
        model: A RepNet, in eval mode.
        device: Where the model is.
        report_every_s: Seconds of video between two answers of `stream`, about.

    Raises:
        ValueError: If `report_every_s` is not above 0.
    """

    model: RepNet

    plot_name = 'counts'

    def __init__(
        self, *, config: Config, model: RepNet, device: str = 'cpu', report_every_s: float = 1.0
    ) -> None:
        super().__init__(config=config, model=model, device=device)
        if report_every_s <= 0:
            raise ValueError(f'report_every_s must be above 0, got {report_every_s=}')
        self.report_every_s = report_every_s

    def draw(
        self, video: str | Path | NDArray[np.uint8], result: RepetitionCount, out_dir: str | Path
    ) -> list[Path]:
        """Write `<stem>_overlay.mp4`, `<stem>_counts.png` and `<stem>_similarity.png`.

        The last one is the self-similarity matrix of the window at the chosen stride around the
        middle of the longest segment, or of the video if nothing repeats.
        """
        files = super().draw(video, result, out_dir)
        (similarity,) = self._name_drawings(video, out_dir, 'similarity.png')
        segment = max(result.segments, key=lambda s: s.end_s - s.start_s, default=None)
        start_s, end_s = result.start_s, time_at(result, result.num_frames)
        middle_s = (segment.start_s + segment.end_s if segment else start_s + end_s) / 2
        middle = np.searchsorted(time_at(result, np.arange(result.num_frames)), middle_s)
        size = self.model.num_frames * result.stride
        first = min(max(int(middle) - size // 2, 0), max(result.num_frames - size, 0))
        frames = itertools.islice(self._open_again(video, result), first, None)
        matrix = self.compare_frames(frames, fps=result.fps, stride=result.stride)
        from_s = time_at(result, first)
        last = min(first + len(matrix) * result.stride, result.num_frames)
        frame_s = (time_at(result, last) - from_s) / len(matrix)
        plot_similarity(
            matrix, similarity, title=name_video(video), frame_s=frame_s, start_s=from_s
        )
        return [*files, similarity]

    @torch.inference_mode()
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
        size = self.model.num_frames
        wanted = (frame for i, frame in enumerate(frames) if i % stride == 0)
        maps: list[Tensor] = []
        for chunk in take_chunks(wanted, CHUNK_FRAMES):
            maps.extend(self.model.encode_frames(self._normalise(chunk, fps)))
            if len(maps) >= size:
                break
        num_real = min(len(maps), size)
        window = (maps + maps[-1:] * size)[:size]
        output = self.model.score_windows(torch.stack(window)[None])
        return output.similarity[0, :num_real, :num_real].float().cpu().numpy()

    def _predict_frames(self, frames: Iterator[VideoFrame], fps: float) -> RepetitionCount:
        counter = RepetitionCounter(self.model, fps=fps, options=self.model.counting)
        for chunk in take_chunks(frames, CHUNK_FRAMES):
            self._push(counter, chunk)
        return counter.result()

    def _stream_frames(self, frames: Iterator[VideoFrame], fps: float) -> Iterator[RunningCount]:
        counter = RepetitionCounter(
            self.model, fps=fps, options=self.model.counting, keep_rows=False
        )
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

    def _push(self, counter: RepetitionCounter, frames: list[VideoFrame]) -> None:
        """Count the next frames."""
        times_s = [frame.time_s for frame in frames]
        counter.push(self._normalise(frames, counter.fps), times_s)

    def _normalise(self, frames: list[VideoFrame], fps: float) -> Tensor:
        """What the model sees of frames (n, 3, H, W)."""
        sample = make_sample([frame.image for frame in frames], fps=fps)
        return self.preprocess([sample])['inputs'][0].transpose(0, 1)
