"""Scores of repetition counting, with the protocol that they depend on.

Published numbers of the same network differ forty-fold by protocol alone: which strides are tried,
whether errors are divided by the true count, and what is done with videos that have none. So all of
it is printed with the numbers.

Definitions: Dwibedi et al. 2020, section 4.2 (MAE, off-by-one), https://arxiv.org/abs/2006.15418
    (their off-by-one is an error rate; OBO here is the accuracy, as in later papers).
"""

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Any, Literal

import numpy as np
from mmengine.evaluator import BaseMetric
from mmengine.logging import MMLogger
from numpy.typing import ArrayLike

from mmotion.checks import check_choice
from mmotion.registry import METRICS

from .results import RepetitionCount


@METRICS.register_module()
class RepetitionMetric(BaseMetric):
    """How well repetitions are counted, timed and told from other motion.

    MAE: mean of |predicted - true| / true over videos; the prediction is not rounded.
    abs_MAE: mean of |predicted - true|.
    OBO: share of videos whose rounded count is at most one off.
    OBZ: share of videos whose rounded count is right.
    period_error: mean of |predicted - true| / true period over frames that repeat in truth and in
        the prediction.
    precision, recall, F1: of the frames said to repeat; a frame is said to repeat when it has a
        period.

    The last four need the labels `gt_period` and `gt_periodicity` for each frame and are left out
    where no video has them.

    Args:
        names: Which samples are scored, by a shell pattern of their names, so that one data set of
            several kinds of videos can have several scores.
        zero_count: What MAE does with a video whose true count is 0. 'skip': leave it out (abs_MAE,
            OBO and OBZ have it). 'one': divide by 1 instead.
        collect_device: Where ranks exchange results, 'cpu' or 'gpu'.
        prefix: Word before the names, 'count' by default: `save_best='count/MAE'`.

    Raises:
        ValueError: If `zero_count` is another word.
    """

    default_prefix = 'count'

    def __init__(
        self,
        *,
        names: str = '*',
        zero_count: Literal['skip', 'one'] = 'skip',
        collect_device: str = 'cpu',
        prefix: str | None = None,
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        check_choice('zero_count', zero_count, ('skip', 'one'))
        self.names = names
        self.zero_count = zero_count

    def process(self, data_batch: Any, data_samples: Sequence[dict[str, Any]]) -> None:
        """Reduce each video to a few numbers.

        Args:
            data_batch: Not used.
            data_samples: With `pred`, `gt_count`, and perhaps `gt_period` (N,) in frames and
                `gt_periodicity` (N,).

        Raises:
            ValueError: If labels and prediction have another number of frames.
        """
        for sample in data_samples:
            if not fnmatchcase(sample.get('name', ''), self.names):
                # a result a sample: mmengine counts them when it joins those of several ranks
                self.results.append(None)
                continue
            pred: RepetitionCount = sample['pred']
            numbers = {
                'count': pred.count,
                'true_count': float(sample['gt_count']),
                'strides': pred.strides or (pred.stride,),
            }
            if 'gt_period' in sample:
                numbers |= _compare_frames(
                    pred, sample['gt_period'], sample['gt_periodicity'], sample.get('name', '')
                )
            self.results.append(numbers)

    def compute_metrics(self, results: list[dict[str, Any] | None]) -> dict[str, float]:
        """Average over the videos of all ranks, and log the numbers with their protocol.

        Args:
            results: One dictionary a video, from `process`; None for a video that is not scored.

        Returns:
            The scores by name; what cannot be computed is left out.
        """
        videos = [video for video in results if video is not None]
        if not videos:
            return {}
        count = np.array([video['count'] for video in videos])
        truth = np.array([video['true_count'] for video in videos])
        error = np.abs(count - truth)
        # half is rounded up; np.round goes to the even neighbour
        rounded_error = np.abs(np.floor(count + 0.5) - np.floor(truth + 0.5))
        scores = {
            'abs_MAE': float(error.mean()),
            'OBO': float((rounded_error <= 1).mean()),
            'OBZ': float((rounded_error == 0).mean()),
        }
        used = truth > 0 if self.zero_count == 'skip' else np.ones_like(truth, dtype=bool)
        if used.any():
            divisor = np.where(truth > 0, truth, 1)
            scores = {'MAE': float((error / divisor)[used].mean()), **scores}
        scores |= _score_frames([video for video in videos if 'both' in video])
        self._log(scores, videos, num_zero=int((truth == 0).sum()))
        return scores

    def _log(
        self, scores: dict[str, float], videos: list[dict[str, Any]], *, num_zero: int
    ) -> None:
        """Print each score with its protocol."""
        protocols = sorted({describe_protocol(video['strides']) for video in videos})
        treatment = {'skip': 'left out of MAE', 'one': 'divided by 1 in MAE'}[self.zero_count]
        protocol = (
            f'{" and ".join(protocols)}, {len(videos)} videos, '
            f'{num_zero} of them with true count 0 ({treatment})'
        )
        lines = [f'{name:>12}: {value:.4f}   {protocol}' for name, value in scores.items()]
        MMLogger.get_current_instance().info('\n'.join(['repetition counting', *lines]))


def describe_protocol(strides: Sequence[int]) -> str:
    """Name a protocol by the strides that were tried on each video.

    Example:
        >>> describe_protocol((1, 2, 4)), describe_protocol((1,))
        ('multi_speed(1,2,4)', 'single_speed(1)')
    """
    kind = 'multi_speed' if len(strides) > 1 else 'single_speed'
    return f'{kind}({",".join(map(str, strides))})'


def _compare_frames(
    pred: RepetitionCount, period: ArrayLike, periodicity: ArrayLike, name: str
) -> dict[str, float]:
    """Sums over the frames of one video, from which `_score_frames` makes averages."""
    true_period = np.asarray(period, dtype=np.float64)
    repeats = np.asarray(periodicity) > 0
    if not true_period.shape == repeats.shape == (pred.num_frames,):
        raise ValueError(
            f'gt_period and gt_periodicity must have one value for each of {pred.num_frames} '
            f'frames, got shapes {true_period.shape} and {repeats.shape} for video {name!r}'
        )
    said = np.isfinite(pred.period_s_per_frame)
    both = said & repeats
    error = np.abs(pred.period_s_per_frame[both] * pred.fps / true_period[both] - 1)
    return {
        'both': int(both.sum()),
        'said': int(said.sum()),
        'repeats': int(repeats.sum()),
        'period_error': float(error.sum()),
    }


def _score_frames(videos: list[dict[str, Any]]) -> dict[str, float]:
    """Averages over all frames of all videos; a score with nothing to average is left out."""
    names = ('both', 'said', 'repeats', 'period_error')
    both, said, repeats, error = (sum(video[name] for video in videos) for name in names)
    fractions = {
        'period_error': (error, both),
        'precision': (both, said),
        'recall': (both, repeats),
        'F1': (2 * both, said + repeats),
    }
    return {name: float(top / bottom) for name, (top, bottom) in fractions.items() if bottom}
