"""The predictor of MultiRateRepNet: count by time in a file, an array or a camera's frames."""

import dataclasses

from mmengine.config import Config
from torch import Tensor

from mmotion.inference import make_sample
from mmotion.registry import PREDICTORS
from mmotion.video import VideoFrame
from projects.repnet.inference import CountingPredictor
from projects.repnet.multirate.counting import MultiRateCounter
from projects.repnet.multirate.models import MultiRateRepNet


@PREDICTORS.register_module()
class MultiRatePredictor(CountingPredictor):
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
        super().__init__(config=config, model=model, device=device, report_every_s=report_every_s)
        self.options = dataclasses.replace(
            model.counting, period_s=period_s, example_s=example_s, min_count=min_count
        )

    def _make_counter(self, fps: float, *, keep_rows: bool = True) -> MultiRateCounter:
        def prepare(frames: list[VideoFrame]) -> Tensor:
            sample = make_sample([frame.image for frame in frames], fps=fps)
            return self.preprocess([sample])['inputs'][0].transpose(0, 1)

        return MultiRateCounter(
            self.model, fps=fps, options=self.options, prepare=prepare, keep_rows=keep_rows
        )

    def _look_at(self, frames: list[VideoFrame], fps: float) -> list[VideoFrame]:
        """All of them: which are looked at is chosen by their times."""
        return frames
