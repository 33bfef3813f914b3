"""The protocol by which discovered keypoints are measured: linear regression to annotated points.

Zhang et al., Unsupervised Discovery of Object Landmarks as Structural Representations, CVPR 2018,
    section 5.1; Sun et al. (BKinD), CVPR 2022, section 4.1
Reference code: neuroethology/BKinD@9e73721, h36m_evaluation.py

On some annotated frames a linear map without bias is fitted from the K discovered keypoints to the
J annotated points, by least squares; on others its error is measured. All coordinates run from -1
to 1 over the width and the height of the picture, so that its middle is 0.

    %-MSE: mean distance in % of the picture's size, its width across and its height down
    PCK@a: share of points whose distance is at most a times the picture's size

Shape letters in this file: N frames, K keypoints, J annotated points.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

PCK_THRESHOLDS = (0.05, 0.1)

Points = NDArray[np.float64]


@dataclasses.dataclass(frozen=True, eq=False)
class Examples:
    """Annotated frames and what each method finds in them; coordinates in [-1, 1].

    Args:
        found: By method, keypoints (N, K, 2).
        points: Annotated points (N, J, 2), NaN where one is missing.
        names: Of the points (J).
    """

    found: dict[str, Points]
    points: Points
    names: tuple[str, ...]

    def take(self, places: NDArray[np.int64]) -> 'Examples':
        """Some of the frames."""
        found = {method: values[places] for method, values in self.found.items()}
        return Examples(found, self.points[places], self.names)


def fit_regression(keypoints: Points, points: Points) -> NDArray[np.float64]:
    """Fit the linear map without bias, each coordinate on the frames in which it is annotated.

    Args:
        keypoints: (N, K, 2).
        points: (N, J, 2), NaN where one is missing.

    Returns:
        Matrix (2 * K, 2 * J).

    Raises:
        ValueError: If a point is annotated in no frame.
    """
    inputs, targets = _flatten(keypoints), _flatten(points)
    weights = np.zeros((inputs.shape[1], targets.shape[1]))
    for column, target in enumerate(targets.T):
        known = ~np.isnan(target)
        if not known.any():
            raise ValueError(
                f'each point must be annotated in a frame that is fitted, got none for point '
                f'{column // 2}; leave it out or take fewer folds'
            )
        weights[:, column] = np.linalg.lstsq(inputs[known], target[known], rcond=None)[0]
    return weights


def apply_regression(keypoints: Points, weights: NDArray[np.float64]) -> Points:
    """Points (N, J, 2) by keypoints (N, K, 2) and the matrix (2 * K, 2 * J)."""
    return (_flatten(keypoints) @ weights).reshape(len(keypoints), -1, 2)


def measure_distances(predicted: Points, points: Points) -> NDArray[np.float64]:
    """Distances (N, J) in sizes of the picture; NaN where a point is missing."""
    return np.linalg.norm((predicted - points) / 2, axis=-1)


def measure_swapped(
    predicted: Points, points: Points, pairs: Sequence[tuple[int, int]]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Forgive a swap of left and right, as Human3.6M's 'minimum distance' does.

    Args:
        predicted: (N, J, 2).
        points: (N, J, 2).
        pairs: The points of both sides.

    Returns:
        The smaller of the mean distances to the points and to the swapped ones (N,), and whether
        that is the one to the points as they are (N,).
    """
    order = np.arange(points.shape[1])
    for left, right in pairs:
        order[[left, right]] = right, left
    plain = np.nanmean(measure_distances(predicted, points), axis=1)
    swapped = np.nanmean(measure_distances(predicted, points[:, order]), axis=1)
    return np.minimum(plain, swapped), plain < swapped


def average_groups(values: NDArray[np.float64], groups: NDArray[Any]) -> float:
    """Mean over groups of the means within them, as over the activities of Human3.6M.

    Args:
        values: One a frame (N,).
        groups: What the frames belong to (N,).
    """
    return float(np.mean([values[groups == group].mean() for group in np.unique(groups)]))


def evaluate_blocks(examples: Examples, num_folds: int) -> dict[str, NDArray[np.float64]]:
    """Test each block of frames on the others; distances (N, J) by method.

    Raises:
        ValueError: If there are fewer frames than blocks, or fewer than two blocks.
    """
    num_frames = len(examples.points)
    if not 2 <= num_folds <= num_frames:
        raise ValueError(
            f'--folds must be from 2 to the number of annotated frames, {num_frames}, got '
            f'--folds {num_folds}'
        )
    blocks = np.array_split(np.arange(num_frames), num_folds)
    parts = []
    for block in blocks:
        others = np.setdiff1d(np.arange(num_frames), block)
        parts.append(evaluate_split(examples.take(others), examples.take(block)))
    return {method: np.concatenate([part[method] for part in parts]) for method in parts[0]}


def evaluate_split(fitted: Examples, tested: Examples) -> dict[str, NDArray[np.float64]]:
    """Fit on some frames, test on others; distances (N, J) of the latter by method."""
    distances = {}
    for method, keypoints in fitted.found.items():
        weights = fit_regression(keypoints, fitted.points)
        predicted = apply_regression(tested.found[method], weights)
        distances[method] = measure_distances(predicted, tested.points)
    return distances


def summarize(distances: NDArray[np.float64]) -> tuple[float, ...]:
    """%-MSE, then PCK at each of the thresholds, of distances in sizes of the picture.

    Example:
        >>> summarize(np.array([[0.04, 0.06], [0.2, np.nan]]))
        (10.0, 0.3333333333333333, 0.6666666666666666)
    """
    known = distances[~np.isnan(distances)]
    return round(100 * float(known.mean()), 10), *(
        float((known <= a).mean()) for a in PCK_THRESHOLDS
    )


def _flatten(points: Points) -> NDArray[np.float64]:
    return points.reshape(len(points), -1)
