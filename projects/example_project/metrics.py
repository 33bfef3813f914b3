"""The metric of the example."""

from collections.abc import Sequence

from mmengine.evaluator import BaseMetric

from mmotion.checks import check_scores
from mmotion.registry import METRICS


@METRICS.register_module()
class DirectionAccuracy(BaseMetric):
    """Share of clips whose best score is the true class.

    The protocol, one clip a video, is the prefix of the printed name: `single_clip/accuracy`.
    """

    default_prefix = 'single_clip'

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        """Collect a batch.

        Args:
            data_batch: Not used; part of mmengine's interface.
            data_samples: Per clip a dict with `gt_label` and `pred_scores` (K,).

        Raises:
            ValueError: If a score lies outside of [0, 1], or is NaN, which is no class.
        """
        for sample in data_samples:
            check_scores('pred_scores', sample['pred_scores'])
            self.results.append(int(sample['pred_scores'].argmax()) == sample['gt_label'])

    def compute_metrics(self, results: list[bool]) -> dict[str, float]:
        """Average over all clips, from all processes."""
        return dict(accuracy=sum(results) / len(results))
