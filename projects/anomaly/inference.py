"""The predictor of anomalies: when a video, or a camera's picture, is unlike what is normal.

A window slides over the frames, and each goes through the config's `test_pipeline` as if it were a
clip of its own, see `mmotion.inference.views`. A clip as long as a window gets the error that
testing gives it. Memory holds the frames of one window, and of `predict` 32 bytes a window and 8 a
frame: of an hour with a window every second and 30 frames 1 MB.

Neighbouring windows share frames, so their alarms come together: of the windows of a normal video
about the rate that was asked for are alarms, but an hour has fewer and longer ones than independent
windows would give.
"""

import logging
from array import array
from collections.abc import Iterator
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from mmotion.compat import print_log
from mmotion.inference.abilities import PortableNetwork
from mmotion.inference.exported import ExportedModel
from mmotion.inference.lean import PREDICTORS, without_gradients
from mmotion.inference.predictor import Predictor
from mmotion.inference.views import ViewMaker, check_window, find_span
from mmotion.structures.times import list_irregular
from mmotion.structures.windows import cut_ends
from mmotion.video import VideoFrame
from mmotion.video.frames import note_times, slide

from .results import AnomalyScores, RunningAnomaly, count_needed

if TYPE_CHECKING:
    from mmengine.config import Config
    from torch import Tensor

    from .models import AnomalyDetector


class ExportedDetector(ExportedModel):
    """A detector that a runtime runs, with its scorer and its threshold."""

    def __init__(self, network: Any) -> None:
        super().__init__(network)
        self.threshold = float(self.meta['threshold'])
        self.false_alarm_rate: float = self.meta['false_alarm_rate']
        self.num_recordings: int = self.meta['num_recordings']


@PREDICTORS.register_module()
class AnomalyPredictor(Predictor[AnomalyScores]):
    """Gives each window of a video an error and a score, and says when there is an alarm.

    Args:
        config: See `Predictor`, like the next two.
        model: The detector, in eval mode; calibrated, or else there is no alarm.
        device: Where the model is.
        window_s: Length of the sliding window; None takes the time that one clip spans.
        hop_s: Time from one window to the next; None takes half a window.

    Raises:
        ValueError: If a number is out of its range.
    """

    plot_name = 'anomaly'
    has_alarms = True
    features_layer = 'embedding'
    model: 'AnomalyDetector'
    exported_type = ExportedDetector

    def __init__(
        self,
        *,
        config: 'Config',
        model: 'AnomalyDetector',
        device: str = 'cpu',
        window_s: float | None = None,
        hop_s: float | None = None,
    ) -> None:
        super().__init__(config=config, model=model, device=device)
        check_window(window_s, hop_s)
        self.window_s = window_s
        self.hop_s = hop_s
        self._model_hash = ''
        self._views = ViewMaker(self._pipeline.transforms, config.model.backbone.get('num_frames'))
        number, needed = model.num_recordings, count_needed(model.false_alarm_rate)
        if number < needed:
            print_log(
                f'there will be no alarm: the detector was calibrated on {number} normal '
                f'recordings, which can promise a false-alarm rate of {1 / (number + 1):.2g} at '
                f'best, and {model.false_alarm_rate:g} needs {needed}; give '
                'model.false_alarm_rate in the config',
                level=logging.WARNING,
            )

    def name_clip(
        self,
        video: Path,
        result: AnomalyScores,
        *,
        fps: float | None = None,
        start_s: float = 0.0,
        end_s: float | None = None,
    ) -> dict[str, str | None]:
        """Name the clip that `AnomalyClipDataset` makes of a file, if it is the first window."""
        from .corpus import find_parts, hash_model
        from .data import name_clip

        if not self._model_hash:
            self._model_hash = hash_model(find_parts(self.model))
        clip = None
        times = {'fps': fps, 'start_s': start_s, 'end_s': end_s}
        if video.is_file() and not result.num_lost and self._begins_with_clip(video, **times):
            clip = name_clip(video, self.config.test_pipeline)
        return {'features_clip': clip, 'features_model': self._model_hash}

    def _begins_with_clip(
        self, video: Path, *, fps: float | None, start_s: float, end_s: float | None
    ) -> bool:
        """Whether the first window is made of the frames that a data set chooses of the file."""
        if not self._views.chooses:
            return False
        whole, source = self._open(video), self._open(video, fps)
        times = source.times
        size_s, hop_s = self._views.window_seconds(
            times.fps, window_s=self.window_s, hop_s=self.hop_s
        )
        numbers = source.numbers[slice(*times.span(start_s, end_s))].tolist()
        frames = ((number, times.time_at(number)) for number in numbers)
        window = next(slide(frames, itemgetter(1), size_s=size_s, hop_s=hop_s, fps=times.fps), [])
        if not window or whole.num_frames is None:
            return False
        chosen = self._views.choose_within([time_s for _, time_s in window], times.fps)
        clip = self._views.choose(whole.num_frames, whole.times.fps)
        return [window[i][0] for i in chosen['frame_inds']] == clip['frame_inds'].tolist()

    def make_portable(self) -> PortableNetwork:
        """The network from the grey levels of the views of clips to errors and alarms."""
        import torch

        model = self.model
        preprocessor = cast('Any', model.data_preprocessor)
        mean, std = (getattr(preprocessor, name).view(3, 1, 1, 1) for name in ('mean', 'std'))
        threshold, normal = model.threshold, model.calibration_errors
        # of as many normal errors as are below
        p_values = model.p_value(torch.cat([normal, normal.new_full([1], float('inf'))]))
        # two views at least, as torch takes one for a constant
        views = self._views.make_blank()['packed']['inputs'].repeat(2, 1, 1, 1, 1)

        def run(inputs: 'Tensor') -> 'tuple[Tensor, Tensor, Tensor]':
            embeddings = model.embed((inputs.float() - mean) / std)
            errors = model.scorer.error(embeddings).float()
            errors = errors.where(embeddings.isfinite().all(1), float('nan'))
            num_below = (normal < errors[:, None]).sum(1)
            found = p_values[num_below].where(~errors.isnan(), float('nan'))
            return errors, found, errors > threshold

        return PortableNetwork(
            run=run,
            model=model,
            inputs={'inputs': torch.stack([views, views])},
            free={'inputs': {0: 'clips', 1: 'views'}},
            outputs=('error', 'p_value', 'is_alarm'),
            meta={
                'threshold': repr(threshold),
                'false_alarm_rate': model.false_alarm_rate,
                'num_recordings': model.num_recordings,
            },
        )

    def _predict_frames(self, frames: Iterator[VideoFrame], fps: float) -> AnomalyScores:
        times_s = array('d')
        frames = note_times(frames, times_s)
        first = last = next(windows := self._stream_frames(frames, fps))
        columns: list[tuple[float, ...]] = []
        for last in (first, *windows):
            columns.append((last.num_frames, last.start_s, last.end_s, last.error, last.score))
        numbers, starts, ends, errors, scores = np.array(columns).T
        return AnomalyScores(
            fps=fps,
            num_frames=last.num_frames,
            window_start_s=starts,
            window_end_s=cut_ends(ends, numbers.astype(int), times_s),
            errors=errors,
            scores=scores,
            threshold=self.model.threshold,
            false_alarm_rate=self.model.false_alarm_rate,
            start_s=first.start_s,
            frame_times_s=list_irregular(times_s, fps),
        )

    def _stream_frames(self, frames: Iterator[VideoFrame], fps: float) -> Iterator[RunningAnomaly]:
        size_s, hop_s = self._views.window_seconds(fps, window_s=self.window_s, hop_s=self.hop_s)
        alarm_s = None
        for window in self._views.slide(frames, size_s=size_s, hop_s=hop_s, fps=fps):
            views = self._views.view(window, fps)
            with without_gradients():
                (sample,) = self.model(**self.collate([views['packed']]), mode='predict')
            start_s, end_s = find_span(window, fps)
            is_alarm = bool(sample.is_alarm)
            if not is_alarm:
                alarm_s = None
            elif alarm_s is None:
                alarm_s = start_s
            yield RunningAnomaly(
                num_frames=window[-1]['number'] + 1,
                start_s=start_s,
                end_s=end_s,
                error=float(sample.error),
                score=1 - float(sample.p_value),
                is_alarm=is_alarm,
                alarm_s=alarm_s,
            )
