"""Is this clip unlike what is normal here: a frozen backbone, a scorer, and a threshold.

A backbone that was trained on other videos turns a clip into an embedding. A scorer (`scorers.py`)
that has seen embeddings of normal clips alone says how far another one is from them: its error.
What error is too large follows from normal clips that were used for nothing else, by conformal
prediction: whatever the scorer, a new normal clip raises an alarm with at most the probability that
was asked for, as long as it is exchangeable with those.

Papers: Vovk et al., Algorithmic Learning in a Random World, 2005, section 2.2.
    Bates et al., Testing for Outliers with Conformal p-values, Annals of Statistics 2023,
    equation 2, arXiv 2104.08279

Shape letters in this file: B clips of V views, T frames per view, D embedding width, n normal
validation clips, N training clips.
"""

import logging
import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import torch
from mmaction.models.data_preprocessors import ActionDataPreprocessor
from mmaction.structures import ActionDataSample
from mmengine.logging import print_log
from mmengine.model import BaseModel
from torch import Tensor, nn
from typing_extensions import Self

from mmotion.checks import check_range
from mmotion.registry import MODELS
from mmotion.training.models import check_mode

from .results import USUAL_RATE, count_needed
from .scorers import AnySizeBuffers

# of sums of shares of recordings, such as three thirds
SLACK = 1e-9


@MODELS.register_module()
class EmbeddingPreprocessor(ActionDataPreprocessor):
    """MMAction2's preprocessor, which stacks and normalises clips; embeddings are only stacked."""

    def preprocess(
        self,
        inputs: list[Tensor],
        data_samples: list[ActionDataSample],
        training: bool = False,
    ) -> tuple[Tensor, list[ActionDataSample]]:
        """Make a batch of clips (V, 3, T, H, W), or of embeddings (D,)."""
        if inputs[0].ndim == 1:
            return torch.stack(list(inputs)), data_samples
        return super().preprocess(inputs, data_samples, training)


@MODELS.register_module()
class AnomalyDetector(AnySizeBuffers, BaseModel):
    """Gives each clip an error, a p-value, and says whether it is an alarm.

    Inputs are clips, or embeddings that were computed before. In the life of a detector its scorer
    is trained, or fitted by `fit`; then `calibrate` keeps the errors of normal clips that the
    scorer was not trained on, which the p-values are counted from. Both are in the checkpoint.

    Differs from the published behaviour: no gradient flows into the embedding as the target of its
    own reconstruction, which invites a backbone that trains to make all embeddings equal. With
    `stop_gradient=False` it does.

    Args:
        backbone: Config of a module that turns normalised clips (B, 3, T, H, W) into embeddings
            (B, D), or into a tuple whose first is that.
        scorer: Config of a module of `scorers.py`.
        false_alarm_rate: Share of normal clips, in (0, 1), that may raise an alarm; None takes that
            with which the detector of a checkpoint was calibrated, or else 0.05.
        stop_gradient: Whether the target of the autoencoder is cut from the graph.
        freeze_backbone: Whether the backbone is frozen for good. If not, it trains unless
            `UnfreezeHook` freezes it, which needs parameters that can train.
        data_preprocessor: Config of a data preprocessor, such as `EmbeddingPreprocessor`; by
            default data are moved to the device.

    Raises:
        ValueError: If `false_alarm_rate` is out of its range.
    """

    any_size = ('calibration_errors', 'calibration_weights')
    calibration_errors: Tensor
    calibration_weights: Tensor
    calibration_rate: Tensor

    # for `mmotion test --show-dir`, which asks before it loads anything
    has_drawable_samples = False

    def __init__(
        self,
        *,
        backbone: dict,
        scorer: dict,
        false_alarm_rate: float | None = None,
        stop_gradient: bool = True,
        freeze_backbone: bool = True,
        data_preprocessor: dict | None = None,
    ) -> None:
        super().__init__(data_preprocessor=data_preprocessor)
        if false_alarm_rate is not None:
            check_range('false_alarm_rate', false_alarm_rate, 0, 1, ends='()')
        self.backbone = MODELS.build(backbone)
        self.scorer = MODELS.build(scorer)
        # where embeddings of clips can be listened to
        self.embedding = nn.Identity()
        self.false_alarm_rate = false_alarm_rate
        self.stop_gradient = stop_gradient
        self.register_buffer('calibration_errors', torch.zeros(0))
        self.register_buffer('calibration_weights', torch.zeros(0, dtype=torch.float64))
        # 0: none is known
        self.register_buffer('calibration_rate', torch.zeros((), dtype=torch.float64))
        if freeze_backbone:
            self.backbone.requires_grad_(False)
            self.backbone.eval()

    @property
    def is_backbone_frozen(self) -> bool:
        """Whether no parameter of the backbone trains."""
        return not any(parameter.requires_grad for parameter in self.backbone.parameters())

    @property
    def false_alarm_rate(self) -> float:
        """Share of normal clips that may raise an alarm."""
        return self._given_rate or float(self.calibration_rate) or USUAL_RATE

    @false_alarm_rate.setter
    def false_alarm_rate(self, rate: float | None) -> None:
        self._given_rate = rate

    @property
    def threshold(self) -> float:
        """The error above which a clip is an alarm; infinite while there are too few recordings."""
        rate = self.false_alarm_rate
        return find_threshold(self.calibration_errors, self.calibration_weights, rate)

    @property
    def num_recordings(self) -> int:
        """How many normal recordings it was calibrated on."""
        return count_recordings(self.calibration_weights)

    def fit_weights(self, state_dict: dict[str, Tensor], prefix: str = '') -> dict[str, Tensor]:
        """As in `AnySizeBuffers`; a checkpoint that does not tell the rate leaves it as it is."""
        rate = {f'{prefix}calibration_rate': self.calibration_rate}
        return rate | super().fit_weights(state_dict, prefix)

    def train(self, mode: bool = True) -> Self:
        """Switch between training and testing; a frozen backbone is always as in testing."""
        super().train(mode)
        if self.is_backbone_frozen:
            self.backbone.eval()
        return self

    def compile(self, **options: Any) -> None:
        """Compile the backbone in place, with options of `torch.compile`."""
        self.backbone.compile(**options)

    def forward(
        self,
        inputs: Tensor | Sequence[Tensor],
        data_samples: list[ActionDataSample] | None = None,
        mode: str = 'tensor',
    ) -> Tensor | dict[str, Tensor] | list[ActionDataSample]:
        """Run the model in one of mmengine's three modes.

        Args:
            inputs: Clips (B, V, 3, T, H, W) or embeddings (B, D), or a list of B tensors.
            data_samples: One a clip; needed in mode 'predict'.
            mode: What to return.

        Returns:
            Mode 'tensor': errors (B,). 'loss': see `loss`. 'predict': see `predict`.

        Raises:
            ValueError: If `mode` is another word, or data samples are missing.
        """
        check_mode(mode)
        if not isinstance(inputs, Tensor):
            inputs = torch.stack(list(inputs))
        if mode == 'tensor':
            return self.scorer.error(self.embed(inputs))
        if mode == 'loss':
            return self.loss(inputs, data_samples)
        if data_samples is None:
            raise ValueError("data_samples must be given in mode 'predict', got None")
        return self.predict(inputs, data_samples)

    def embed(self, inputs: Tensor) -> Tensor:
        """Turn clips into embeddings.

        Args:
            inputs: Normalised clips (B, V, 3, T, H, W); embeddings (B, D) are returned as they are.

        Returns:
            (B, D), the mean over the views; without a graph while the backbone is frozen.

        Raises:
            ValueError: If the inputs have another shape.
            TypeError: If the backbone gives something else.
        """
        if inputs.ndim == 2:
            return inputs
        if inputs.ndim != 6:
            raise ValueError(
                'inputs must be clips (B, V, 3, T, H, W) or embeddings (B, D), got shape '
                f'{tuple(inputs.shape)}'
            )
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.is_backbone_frozen):
            found = self.backbone(inputs.flatten(0, 1))
            embeddings = found[0] if isinstance(found, tuple) and found else found
            num_views = math.prod(inputs.shape[:2])
            if not isinstance(embeddings, Tensor) or embeddings.shape[:-1] != (num_views,):
                raise TypeError(
                    f'backbone must return embeddings ({num_views}, D), or a tuple whose first is '
                    f'that, got {_describe(found)} from {type(self.backbone).__name__}; cut it '
                    'before its classifier and average over time and space'
                )
            return self.embedding(embeddings.unflatten(0, inputs.shape[:2]).mean(1))

    def loss(
        self, inputs: Tensor, data_samples: list[ActionDataSample] | None = None
    ) -> dict[str, Tensor]:
        """Work out what the autoencoder is trained with.

        Args:
            inputs: See `embed`.
            data_samples: Named if something is wrong with their clips.

        Returns:
            `loss`, the mean error of the batch, and `embedding_std`, the standard deviation over
            the batch, averaged over the dimensions: it falls when the backbone collapses.

        Raises:
            ValueError: If the scorer is not trained by gradients, or, on a CPU, an embedding is not
                finite.
        """
        if hasattr(self.scorer, 'fit'):
            raise ValueError(
                f'train_cfg must be dict(type="FitLoop") for {type(self.scorer).__name__}, which '
                'is fitted and has no loss, got another loop'
            )
        embeddings = self.embed(inputs)
        # to look at them on a GPU would wait for all that is queued; the loss is then not finite
        is_seen = embeddings.device.type == 'cpu'
        if is_seen and (broken := ~embeddings.isfinite().all(1)).any():
            first = data_samples[int(broken.nonzero()[0])].get('name') if data_samples else None
            raise ValueError(
                f'embeddings must be finite, got NaN or infinity for {int(broken.sum())} of '
                f'{len(broken)} clips{f", such as {first}" if first else ""}; leave such clips '
                'out, and lower the learning rate if the backbone trains'
            )
        target = embeddings.detach() if self.stop_gradient else embeddings
        spread = embeddings.detach().float().std(0, correction=0).mean()
        return {'loss': self.scorer.error(embeddings, target).mean(), 'embedding_std': spread}

    def predict(
        self, inputs: Tensor, data_samples: list[ActionDataSample]
    ) -> list[ActionDataSample]:
        """Judge clips.

        Args:
            inputs: See `embed`.
            data_samples: One a clip.

        Returns:
            The same, each with `error` (float32), `p_value` (float64) and `is_alarm` (bool), all
            without axes. If the embedding is not finite, error and p-value are NaN, there is no
            alarm, and `excluded` is set.
        """
        embeddings = self.embed(inputs)
        is_finite = embeddings.isfinite().all(1)
        errors = self.scorer.error(embeddings).float().where(is_finite, math.nan)
        p_values, alarms = self.p_value(errors), errors > self.threshold
        for i, sample in enumerate(data_samples):
            sample.set_field(errors[i], 'error')
            sample.set_field(p_values[i], 'p_value')
            sample.set_field(alarms[i], 'is_alarm')
            if not is_finite[i]:
                sample.set_metainfo({'excluded': True})
        return data_samples

    def fit(self, embeddings: Tensor, labels: Tensor) -> None:
        """Fit the scorer.

        Args:
            embeddings: Of all training clips (N, D).
            labels: Their classes (N,).

        Raises:
            ValueError: If the scorer is one that is trained by gradients, or see its `fit`.
        """
        if not hasattr(self.scorer, 'fit'):
            raise ValueError(
                f'train_cfg must be dict(type="EpochBasedTrainLoop") for '
                f'{type(self.scorer).__name__}, which is trained by gradients, got a loop that fits'
            )
        self.scorer.fit(embeddings, labels)

    def calibrate(self, errors: Tensor, recordings: Sequence[str] | None = None) -> None:
        """Keep the errors of normal clips, which p-values and threshold follow from.

        Args:
            errors: Of normal clips that the scorer was not trained on (n,); those that are NaN,
                of clips without an embedding, are left out.
            recordings: What each clip is a part of (n,); None takes each for a recording.

        Raises:
            ValueError: If `errors` has another shape, or `recordings` another length.
        """
        names = [*map(str, range(len(errors)))] if recordings is None else [*recordings]
        if errors.ndim != 1 or len(names) != len(errors):
            raise ValueError(
                f'errors must have shape (n,), got {tuple(errors.shape)} and {len(names)} '
                'recordings'
            )
        errors = errors.detach().to(self.calibration_errors)
        usable = errors.isnan().logical_not()
        names = [name for name, is_good in zip(names, usable.tolist(), strict=True) if is_good]
        sizes = Counter(names)
        shares = [1 / sizes[name] for name in names]
        self.calibration_errors, order = errors[usable].sort()
        self.calibration_weights = torch.tensor(shares).to(self.calibration_weights)[order]
        self.calibration_rate.fill_(self.false_alarm_rate)
        needed = count_needed(self.false_alarm_rate)
        if len(sizes) < needed:
            print_log(
                f'calibration needs at least {needed} normal recordings for a false-alarm rate of '
                f'{self.false_alarm_rate:g}, got {len(sizes)}, which can promise '
                f'{1 / (len(sizes) + 1):.2g} at best: no clip will be an alarm; add recordings to '
                'val, or ask for a higher rate by --cfg-options model.false_alarm_rate=',
                logger='current',
                level=logging.WARNING,
            )

    def p_value(self, errors: Tensor) -> Tensor:
        """Share of normal clips with at least these errors (any shape), see `find_p_values`."""
        return find_p_values(errors, self.calibration_errors, self.calibration_weights)


def find_p_values(errors: Tensor, calibration_errors: Tensor, weights: Tensor) -> Tensor:
    """Conformal p-values: (1 + number of normal recordings with at least this error) / (G + 1).

    Clips of one recording say one thing several times, so a recording counts by the share of its
    clips that have at least this error. For a clip of a recording that is exchangeable with the G
    normal ones, the p-value is at most a with a probability of at most a, for any a (Lee, Barber
    and Willett, Distribution-free inference with hierarchical data, arXiv 2306.06342).

    Args:
        errors: Any shape.
        calibration_errors: Errors of normal clips (n,), ascending.
        weights: 1 / the number of clips of its recording, for each clip (n,), float64.

    Returns:
        The same shape, float64, from 1 / (G + 1) to 1; NaN where the error is.

    Example:
        >>> normal, one_each = torch.tensor([1.0, 2.0, 3.0]), torch.ones(3).double()
        >>> find_p_values(torch.tensor([0.5, 2.0, 9.0]), normal, one_each).tolist()
        [1.0, 0.75, 0.25]
    """
    errors = errors.to(calibration_errors).contiguous()
    # of the clips from each place on, the last place being behind the end
    at_least = torch.cat([weights.flip(0).cumsum(0).flip(0), weights.new_zeros(1)])
    shares = at_least[torch.searchsorted(calibration_errors, errors)]
    return ((1 + shares) / (count_recordings(weights) + 1)).where(~errors.isnan(), math.nan)


def find_threshold(calibration_errors: Tensor, weights: Tensor, false_alarm_rate: float) -> float:
    """The smallest of the errors of normal clips above which p-values are at most a rate.

    Args:
        calibration_errors: (n,), ascending.
        weights: See `find_p_values`.
        false_alarm_rate: The rate, in (0, 1).

    Returns:
        An error; infinity if there are fewer recordings than `count_needed(false_alarm_rate)`.

    Example:
        >>> find_threshold(torch.arange(19.0), torch.ones(19).double(), 0.05)
        18.0
    """
    # p-values of errors above the largest, the second largest, ... of the normal clips
    above = weights.flip(0).cumsum(0) - weights.flip(0)
    p_values = (1 + above) / (count_recordings(weights) + 1)
    num_allowed = int((p_values <= false_alarm_rate + SLACK).sum())
    num_clips = len(calibration_errors)
    return float(calibration_errors[num_clips - num_allowed]) if num_allowed else math.inf


def count_recordings(weights: Tensor) -> int:
    """How many recordings the clips of these weights are of."""
    return round(float(weights.sum()))


def _describe(found: Any) -> str:
    if isinstance(found, tuple | list) and found:
        return f'a {type(found).__name__} whose first is {_describe(found[0])}'
    return (
        f'shape {tuple(found.shape)}' if isinstance(found, Tensor) else repr(type(found).__name__)
    )
