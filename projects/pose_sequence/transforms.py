"""From keypoint sequences to the tensors that a network gets.

A data set gives one dictionary a sequence:
    keypoints: x to the right and y down (T, K, 2) float32, in pixels, NaN where missing
    scores: belief in each point (T, K) in [0, 1], 0 where missing
    fps, width, height: steps per second, and the size of the video in pixels
    skeleton: what the K points are, a `mmotion.keypoints.skeletons.Skeleton`
    label, name, group: class number, -1 if it is not known; name; person or source
A transform changes keypoints and scores, never in place, and leaves what is missing missing, except
for `FillMissing`; `PackSequence` comes last:

    train_pipeline = [
        dict(type='FillMissing'),
        dict(type='CropSequence', min_share=0.6),
        dict(type='WarpTime'),
        dict(type='MirrorPose'),
        dict(type='RotatePose', max_deg=15.0),
        dict(type='JitterPose'),
        dict(type='NormalizePose'),
        dict(type='PackSequence', max_seq_length=64),
    ]

Sizes and distances are in sizes of the person, so it does not matter whether `NormalizePose` comes
before or after. The random ones are in `augmentation.py`.

Contrastive learning: Chen et al., A Simple Framework for Contrastive Learning of Visual
    Representations, ICML 2020, https://arxiv.org/abs/2002.05709

Shape letters in this file: T steps of a sequence, L steps with padding, K points.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmotion.checks import check_at_least
from mmotion.inference.lean import TRANSFORMS, Transform
from mmotion.keypoints.skeletons import FIGURE

# what detectors find where generated people have these points
INSTEAD = {
    'head': ('nose',),
    'neck': ('left_shoulder', 'right_shoulder'),
    'pelvis': ('left_hip', 'right_hip'),
}

FloatArray = NDArray[np.float32]


@TRANSFORMS.register_module()
class NormalizePose(Transform):
    """Make the place of the person 0 and their size 1.

    The centre is the mean of the points that are there, the size their root mean square distance
    from it, the median over the steps: one size for the whole sequence, as one that followed each
    step would hide a person who crouches.

    Args:
        per_step: Take the centre of each step, which hides where the person goes, instead of the
            median of all steps.
    """

    def __init__(self, *, per_step: bool = False) -> None:
        self.per_step = per_step

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Change `keypoints`; a sequence without any point stays as it is."""
        keypoints = results['keypoints']
        center = _centers(keypoints)[:, None] if self.per_step else find_center(keypoints)
        results['keypoints'] = (keypoints - center) / find_size(keypoints)
        return results


@TRANSFORMS.register_module()
class MakeFigure(Transform):
    """Make the 15 points of generated people of those of another skeleton of a person.

    The neck is in the middle of the shoulders, the pelvis in that of the hips, and the nose stands
    for the head; such a point is missing where one that it comes from is.

    Raises:
        ValueError: If a sequence lacks a point.
    """

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Change `keypoints`, `scores` and `skeleton`, which a `FIGURE` keeps as they are."""
        points = results['skeleton'].points
        if points == FIGURE.points:
            return results
        sources = [(name,) if name in points else INSTEAD.get(name, ()) for name in FIGURE.points]
        if lacking := [
            name
            for name, source in zip(FIGURE.points, sources, strict=True)
            if not source or not {*source} <= {*points}
        ]:
            raise ValueError(
                f'keypoints must be those of a person, got {results["skeleton"].name!r} without '
                f'{", ".join(lacking)}; take a detector of people'
            )
        chosen = [[points.index(name) for name in source] for source in sources]
        for key, join in (('keypoints', np.mean), ('scores', np.min)):
            found = [join(results[key][:, indices], axis=1) for indices in chosen]
            results[key] = np.stack(found, axis=1)
        results['skeleton'] = FIGURE
        return results


@TRANSFORMS.register_module()
class FillMissing(Transform):
    """Put points that are missing between the steps in which they are there, on a straight line.

    Before the first such step and after the last one a point stays where it is seen. The scores of
    filled points stay 0, so a network can tell them; a point that is never there stays missing.

    Args:
        max_gap_steps: Longest gap that is filled, None for any.

    Raises:
        ValueError: If `max_gap_steps` is below 1.
    """

    def __init__(self, *, max_gap_steps: int | None = None) -> None:
        if max_gap_steps is not None:
            check_at_least('max_gap_steps', max_gap_steps, 1)
        self.max_gap_steps = max_gap_steps

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Change `keypoints`."""
        keypoints = results['keypoints'].copy()
        steps = np.arange(len(keypoints))
        there = ~np.isnan(keypoints).any(-1)
        for point in np.flatnonzero(there.any(0) & ~there.all(0)):
            seen = np.flatnonzero(there[:, point])
            gap = ~there[:, point]
            if self.max_gap_steps is not None:
                gap &= _run_lengths(gap) <= self.max_gap_steps
            for axis in range(2):
                line = np.interp(steps[gap], seen, keypoints[seen, point, axis])
                keypoints[gap, point, axis] = line
        results['keypoints'] = keypoints
        return results


@TRANSFORMS.register_module()
class ResampleSequence(Transform):
    """Change the number of steps, by straight lines between the steps that are there.

    Args:
        num_steps: Give every sequence this many steps, whatever it lasts.
        rate_hz: Give every sequence this many steps per second.

    Raises:
        ValueError: If not exactly one of the two is given, or it is not above 0.
    """

    def __init__(self, *, num_steps: int | None = None, rate_hz: float | None = None) -> None:
        goals = [goal for goal in (num_steps, rate_hz) if goal is not None]
        if len(goals) != 1 or goals[0] <= 0:
            raise ValueError(
                'one of num_steps and rate_hz must be given, above 0, got '
                f'num_steps={num_steps} and rate_hz={rate_hz}'
            )
        self.num_steps = num_steps
        self.rate_hz = rate_hz

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Change `keypoints`, `scores` and `fps`."""
        last = len(results['keypoints']) - 1
        if self.num_steps is not None:
            places = np.linspace(0, last, self.num_steps)
            results['fps'] = results['fps'] * self.num_steps / (last + 1)
        else:
            places = np.arange(0, last + 1e-6, results['fps'] / self.rate_hz)
            results['fps'] = self.rate_hz
        return resample(results, np.minimum(places, last))


@TRANSFORMS.register_module()
class PackSequence(Transform):
    """Pad or trim a sequence to one length, and pack it with its class.

    Of a longer sequence the middle is kept; zeros follow a shorter one.

    Args:
        max_seq_length: Steps L.

    Raises:
        ValueError: If `max_seq_length` is below 1.
    """

    def __init__(self, *, max_seq_length: int) -> None:
        check_at_least('max_seq_length', max_seq_length, 1)
        self.max_seq_length = max_seq_length

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Make what a model gets.

        Returns:
            `inputs`: float32 (L, K, 3) of x, y and score, all 0 where a point is missing;
            `data_samples`: an `ActionDataSample` with `gt_label`, if the class is known, and the
            metainfo `name`, `group`, `length`, the steps that are no padding, and `views`, what the
            sequence looks like in words.
        """
        import torch
        from mmaction.structures import ActionDataSample

        inputs, length = self.pad(results)
        sample = ActionDataSample()
        if results['label'] >= 0:
            sample.set_gt_label(results['label'])
        views = describe_sequence(inputs.shape)
        sample.set_metainfo(
            {'name': results['name'], 'group': results['group'], 'length': length, 'views': views}
        )
        return {'inputs': torch.from_numpy(inputs), 'data_samples': sample}

    def pad(self, results: dict[str, Any]) -> tuple[FloatArray, int]:
        """The `inputs` and the `length` of a sequence, as arrays."""
        length = min(len(results['keypoints']), self.max_seq_length)
        first = (len(results['keypoints']) - length) // 2
        steps = slice(first, first + length)
        values = np.concatenate([results['keypoints'], results['scores'][..., None]], axis=-1)
        values = np.where(np.isnan(values).any(-1, keepdims=True), 0, values)[steps]
        inputs = np.zeros((self.max_seq_length, *values.shape[1:]), np.float32)
        inputs[:length] = values
        return inputs, length


@TRANSFORMS.register_module()
class TwoViews(Transform):
    """Change a sequence twice at random, for contrastive learning.

    Args:
        transforms: Configs of the transforms of a view, `PackSequence` last.
    """

    def __init__(self, *, transforms: Sequence[dict[str, Any]]) -> None:
        from mmengine.dataset import Compose

        self.view = Compose([*transforms])

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Make both views.

        Returns:
            `inputs` (2, L, K, 3) and `data_samples`, as `PackSequence` gives them, with a `length`
            of each view.
        """
        import torch

        views: list[Any] = [self.view({**results}) for _ in range(2)]
        sample = views[0]['data_samples']
        sample.set_metainfo({'length': tuple(view['data_samples'].length for view in views)})
        return {'inputs': torch.stack([view['inputs'] for view in views]), 'data_samples': sample}


def describe_sequence(shape: Sequence[int]) -> str:
    """Name what is seen of a video by the shape of a sequence (L, K, 3)."""
    return f'1 sequence of {shape[0]} steps x {shape[1]} points'


def find_center(keypoints: FloatArray) -> FloatArray:
    """Median over the steps of the mean of the points (T, K, 2): (2,), 0 without any point."""
    centers = _centers(keypoints)
    centers = centers[~np.isnan(centers[:, 0])]
    return np.median(centers, axis=0) if len(centers) else np.zeros(2, np.float32)


def find_size(keypoints: FloatArray) -> np.float32:
    """Median over the steps of the root mean square distance of the points from their mean.

    Args:
        keypoints: (T, K, 2), NaN where missing.

    Returns:
        The size in the unit of the points, 1 where it cannot be told.
    """
    apart = np.square(keypoints - _centers(keypoints)[:, None]).sum(-1)
    there = ~np.isnan(apart)
    # a step with a single point says nothing about the size
    seen = there.sum(1) > 1
    mean = np.where(there, apart, 0)[seen].sum(1) / there[seen].sum(1)
    size = np.float32(np.sqrt(np.median(mean))) if len(mean) else np.float32(0)
    return size if size > 0 else np.float32(1)


def _centers(keypoints: FloatArray) -> FloatArray:
    """Mean of the points that are there in each step (T, 2), NaN where none is."""
    there = ~np.isnan(keypoints).any(-1, keepdims=True)
    count = there.sum(1)
    total = np.where(there, keypoints, 0).sum(1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan).astype(np.float32)


def resample(results: dict[str, Any], places: NDArray[np.float64]) -> dict[str, Any]:
    """Take steps at places (N,) between the steps; beside a missing point, the nearer one's."""
    last = len(results['keypoints']) - 1
    before = np.clip(np.floor(places).astype(np.int64), 0, last)
    after = np.minimum(before + 1, last)
    share = (places - before).astype(np.float32)[:, None]
    keypoints, scores = results['keypoints'], results['scores']
    missing = np.isnan(keypoints).any(-1)
    share = np.where(missing[before] | missing[after], np.round(share), share)
    results['scores'] = _mix(scores[before], scores[after], share)
    results['keypoints'] = _mix(keypoints[before], keypoints[after], share[..., None])
    return results


def _mix(before: FloatArray, after: FloatArray, share: FloatArray) -> FloatArray:
    # not a sum where one of the two has no share: it may be NaN
    mixed = (1 - share) * before + share * after
    return np.where(share == 0, before, np.where(share == 1, after, mixed))


def _run_lengths(mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Length of the run of true values that each true value (T,) belongs to, 0 for a false one."""
    edges = np.flatnonzero(np.diff(mask, prepend=False, append=False)).reshape(-1, 2)
    lengths = np.zeros(len(mask), np.int64)
    for first, end in edges:
        lengths[first:end] = end - first
    return lengths
