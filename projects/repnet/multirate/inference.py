"""The predictor of MultiRateRepNet: count by time in a file, an array or a camera's frames."""

import dataclasses
from collections.abc import Iterator
from typing import Any

from mmengine.config import Config
from torch import Tensor

from mmotion.inference import Predictor, make_sample
from mmotion.registry import PREDICTORS
from mmotion.video import VideoFrame
from mmotion.video.frames import take_chunks
from projects.repnet.multirate.counting import MultiRateCounter
from projects.repnet.multirate.models import MultiRateRepNet
from projects.repnet.results import RepetitionCount, RunningCount

# frames in their full size that are in memory at once
CHUNK_FRAMES = 4


@PREDICTORS.register_module()
class MultiRatePredictor(Predictor[RepetitionCount]):
    """Counts repetitions with a MultiRateRepNet, with the options that testing uses.

    Args:
        config: See `Predictor`, like the next two.
        model: A MultiRateRepNet, in eval mode.
        device: Where the model is.
        report_every_s: Seconds of video between two answers of `stream`, about.
        period_s: The shortest and the longest cycle in seconds, where that is known.
        example_s: When one repetition begins and ends, in seconds of the video: what is counted is
            about as long.
        min_count: Sets of fewer repetitions are not counted.

    Raises:
        ValueError: If `report_every_s` is not above 0, or a hint is out of its range.
    """

    model: MultiRateRepNet

    plot_name = 'counts'

    def __init__(
        self,
        *,
        config: Config,
        model: MultiRateRepNet,
        device: str = 'cpu',
        report_every_s: float = 1.0,
        period_s: tuple[float, float] | None = None,
        example_s: tuple[float, float] | None = None,
        min_count: float = 0.0,
    ) -> None:
        super().__init__(config=config, model=model, device=device)
        if report_every_s <= 0:
            raise ValueError(f'report_every_s must be above 0, got {report_every_s=}')
        self.report_every_s = report_every_s
        self.options = dataclasses.replace(
            model.counting, period_s=period_s, example_s=example_s, min_count=min_count
        )

    def _predict_frames(self, frames: Iterator[VideoFrame], fps: float) -> RepetitionCount:
        counter = self._make_counter(fps)
        for chunk in take_chunks(frames, CHUNK_FRAMES):
            counter.push(chunk, [frame.time_s for frame in chunk])
        return counter.result()

    def _stream_frames(self, frames: Iterator[VideoFrame], fps: float) -> Iterator[RunningCount]:
        counter = self._make_counter(fps, keep_rows=False)
        reported, due_s = 0, None
        for chunk in take_chunks(frames, CHUNK_FRAMES):
            counter.push(chunk, [frame.time_s for frame in chunk])
            due_s = counter.start_s + self.report_every_s if due_s is None else due_s
            # what rounding took away is there
            if counter.end_s >= due_s - 1e-6:
                reported, due_s = counter.num_frames, counter.end_s + self.report_every_s
                yield counter.running()
        if counter.num_frames > reported:
            yield counter.running()

    def _make_counter(self, fps: float, **options: Any) -> MultiRateCounter:
        def prepare(frames: list[VideoFrame]) -> Tensor:
            sample = make_sample([frame.image for frame in frames], fps=fps)
            return self.preprocess([sample])['inputs'][0].transpose(0, 1)

        return MultiRateCounter(
            self.model, fps=fps, options=self.options, prepare=prepare, **options
        )
