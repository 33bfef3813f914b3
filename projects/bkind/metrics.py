"""How good BKinD is: the error of what it paints, and keypoints measured against known points.

The protocol by which discovered keypoints are measured is linear regression to annotated points:
Zhang et al., Unsupervised Discovery of Object Landmarks as Structural Representations, CVPR 2018,
    section 5.1; Sun et al. (BKinD), CVPR 2022, section 4.1
Reference code: neuroethology/BKinD@9e73721, h36m_evaluation.py

On some annotated frames a linear map without bias is fitted from the K discovered keypoints to the
J annotated points, by least squares; on others its error is measured. All coordinates run from -1
to 1 over the width and the height of the picture, so that its middle is 0.

    %-MSE: mean distance in % of the picture's size, its width across and its height down
    PCK@a: share of points whose distance is at most a times the picture's size

What must be beaten, in `collect_annotated` and `collect_known`: the same network untrained; the
centroid of the difference of frames t and t + gap as the only keypoint, or, of images, which do not
follow one another, of an image and the median of all; the same and a keypoint that stays where it
is, which gives the map a bias; and the latter alone, which leaves the mean of the points.

Shape letters in this file: N frames, K keypoints, J annotated points.
"""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log
from numpy.typing import NDArray

from mmotion.checkpoint import RANDOM_WEIGHTS
from mmotion.inference import Predictor, load_model
from mmotion.registry import DATASETS, METRICS
from mmotion.video import inspect_video, read_frames
from mmotion.video.frames import take_chunks

from .export import read_annotations
from .labeled_data import check_frame_numbers, read_image, spread_evenly

PCK_THRESHOLDS = (0.05, 0.1)
TRAINED, UNTRAINED = 'trained', 'untrained'
CENTROID, CONSTANT = 'centroid of the difference', 'constant'
BOTH = 'centroid and constant'
# differences below this share of the largest one are noise to the centroid
NOISE_SHARE = 0.2
# samples that go through the network at once
BATCH = 32
# images from which the background is taken
MAX_BACKGROUND = 50

Image: TypeAlias = NDArray[np.uint8]
Points: TypeAlias = NDArray[np.float64]


@METRICS.register_module()
class ReconstructionMetric(BaseMetric):
    """How well the model paints what moved: `recon_error`, its mean squared error over pairs.

    It is of the target that the model is trained for, so that it compares runs with equal targets.
    The reference code compares what is painted with frame t + gap, which it is not. Samples whose
    `part` is 'fitted', see `RegressionFrames`, are passed over.
    """

    default_prefix = 'pairs'

    def process(self, data_batch: Any, data_samples: Sequence[dict[str, Any]]) -> None:
        """Collect `recon_error` of data samples."""
        # all ranks must have a result for each of their samples
        self.results += [
            None if sample.get('part') == 'fitted' else float(sample['recon_error'])
            for sample in data_samples
        ]

    def compute_metrics(self, results: list[float | None]) -> dict[str, float]:
        """Average, and print what of."""
        errors = [error for error in results if error is not None]
        error = float(np.mean(errors))
        text = f'mean squared error of the painted difference, {len(errors):,} pairs: {error:.5f}'
        print_log(text, logger='current')
        return {'recon_error': error}


@METRICS.register_module()
class KeypointRegressionMetric(BaseMetric):
    """How well known points follow from discovered keypoints: the published measure of BKinD.

    The map is fitted on the samples whose `part` is 'fitted', see `RegressionFrames`, and tested on
    the others. Where no sample is for fitting, the samples are divided into blocks that follow one
    another, as frames side by side look alike; each block in turn is tested on the others.

    percent_mse, pck_0.05, pck_0.1: see the top of this file; the log has the protocol beside them.

    Args:
        num_folds: Blocks of samples, at least 2, if none is for fitting.

    Raises:
        ValueError: If there are fewer than two blocks. While testing: if a sample has no known
            points, or there are fewer samples than blocks.
    """

    default_prefix = 'regression'

    def __init__(self, *, num_folds: int = 5) -> None:
        super().__init__()
        if num_folds < 2:
            raise ValueError(f'num_folds must be at least 2, got num_folds={num_folds}')
        self.num_folds = num_folds

    def process(self, data_batch: Any, data_samples: Sequence[dict[str, Any]]) -> None:
        """Collect keypoints and known points.

        Args:
            data_batch: Not used.
            data_samples: With `keypoints` (K, 2) in [-1, 1], `gt_joints` (J, 2) in pixels of the
                frame, NaN where one is missing, its width and height `frame_size`, and perhaps
                `part`.
        """
        for sample in data_samples:
            if 'gt_joints' not in sample or 'frame_size' not in sample:
                raise ValueError(
                    'a sample must have gt_joints and frame_size to be measured, got the fields '
                    f'{", ".join(sample)}; test on FramePairsShapes or AnnotatedFrames'
                )
            points = torch.as_tensor(sample['gt_joints']).double().cpu().numpy()
            self.results.append(
                {
                    'keypoints': torch.as_tensor(sample['keypoints']).double().cpu().numpy(),
                    'points': to_unit(points, *sample['frame_size']),
                    'is_fitted': sample.get('part') == 'fitted',
                }
            )

    def compute_metrics(self, results: list[dict[str, Any]]) -> dict[str, float]:
        """Regress, and log the numbers with their protocol."""
        keypoints, points, is_fitted = (
            np.stack([result[key] for result in results])
            for key in ('keypoints', 'points', 'is_fitted')
        )
        names = name_points(self.dataset_meta or {}, points.shape[1])
        examples = Examples({TRAINED: keypoints}, points, names)
        if is_fitted.any():
            fitted = examples.take(np.flatnonzero(is_fitted))
            distances = evaluate_split(fitted, examples.take(np.flatnonzero(~is_fitted)))[TRAINED]
            how = f'fitted on {len(fitted.points):,} frames, tested on {len(distances):,} others'
        else:
            distances = evaluate_blocks(examples, self.num_folds)[TRAINED]
            how = f'{len(distances):,} frames, each of {self.num_folds} blocks tested on the others'
        protocol = f'{how}; {keypoints.shape[1]} keypoints to {len(names)} points, no bias'
        error, *shares = summarize(distances)
        numbers = {'%-MSE': f'{error:.2f}'}
        numbers |= {f'PCK@{a:g}': f'{s:.3f}' for a, s in zip(PCK_THRESHOLDS, shares, strict=True)}
        lines = ['linear regression from keypoints to known points']
        lines += [f'{name:>8}: {number:>6}   {protocol}' for name, number in numbers.items()]
        by_point = zip(names, measure_by_point(distances), strict=True)
        lines.append('%-MSE of ' + ', '.join(f'{name} {value:.2f}' for name, value in by_point))
        print_log('\n'.join(lines), logger='current')
        shares_by_name = zip((f'pck_{a:g}' for a in PCK_THRESHOLDS), shares, strict=True)
        return {'percent_mse': error, **dict(shares_by_name)}


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
            f'num_folds must be from 2 to the number of annotated frames, {num_frames}, got '
            f'num_folds={num_folds}'
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


def measure_by_point(distances: NDArray[np.float64]) -> list[float]:
    """%-MSE of each of J points, of distances (N, J) in sizes of the picture."""
    return (100 * np.nanmean(distances, axis=0)).tolist()


def name_points(metainfo: Mapping[str, Any], count: int) -> tuple[str, ...]:
    """Names of the known points of a data set: its `joints`, or numbers."""
    return tuple(metainfo.get('joints') or (f'joint_{j}' for j in range(count)))


def to_unit(points: NDArray[np.floating], width: int, height: int) -> Points:
    """Coordinates in [-1, 1], from the middle of the first pixel to that of the last."""
    return 2 * points.astype(np.float64) / [width - 1, height - 1] - 1


def find_centroid(first: Image, second: Image) -> NDArray[np.float64]:
    """Middle of what differs between two frames, in [-1, 1] (2,); the picture's if nothing does."""
    difference = np.abs(first.astype(np.float64) - second).mean(axis=2)
    weight = np.where(difference >= NOISE_SHARE * difference.max(), difference, 0)
    if not weight.any():
        return np.zeros(2)
    ys, xs = (np.linspace(-1, 1, side) for side in weight.shape)
    return np.array([weight.sum(0) @ xs, weight.sum(1) @ ys]) / weight.sum()


def collect_annotated(
    path: Path, video: Path | None, predictors: Mapping[str, Predictor], gap: int
) -> Examples:
    """Find keypoints in the frames of a file of annotations.

    Args:
        path: The file.
        video: Where its numbers of frames count, unless it has paths of images.
        predictors: By method.
        gap: Frames from a frame of a video to the one that it is compared with for the centroid.
    """
    annotations = read_annotations(path)
    width, height = 0, 0

    def read_pairs() -> Iterator[tuple[Image, Image]]:
        if video is None:
            return _pair_images(annotations.find_images())
        return _pair_frames(video, annotations.frames, gap)

    found = {}
    for method, predictor in predictors.items():
        # a frame a second, whatever it was: only the keypoints are used
        tracks = predictor.predict((first for first, _ in read_pairs()), fps=1.0)
        width, height = tracks.width, tracks.height
        found[method] = to_unit(tracks.keypoints, width, height)
    found[CENTROID] = np.array([[find_centroid(*pair)] for pair in read_pairs()])
    points = to_unit(annotations.points, width, height)
    return Examples(_add_constant(found), points, annotations.names)


def collect_known(
    dataset: Mapping[str, Any], predictors: Mapping[str, Predictor], max_frames: int
) -> Examples:
    """Find keypoints in a data set whose samples have `gt_joints`, evenly spread over it.

    Raises:
        ValueError: If they have none.
    """
    built = DATASETS.build(dict(dataset))
    found: dict[str, list[Points]] = {method: [] for method in (*predictors, CENTROID)}
    points = []
    for chunk in take_chunks(spread_evenly(len(built), max_frames), BATCH):
        samples = [built[place] for place in chunk]
        for sample in samples:
            if 'gt_joints' not in sample['data_samples']:
                raise ValueError(
                    f'{dataset["type"]} must know the joints of its samples, got none; give '
                    'annotations'
                )
            first, second = (frame.permute(1, 2, 0).numpy() for frame in sample['inputs'])
            # joints are in pixels of the frame as it was made, before it was resized
            known = sample['data_samples']
            points.append(to_unit(known.gt_joints.numpy(), *known.frame_size))
            found[CENTROID].append(find_centroid(first, second)[None])
        for method, predictor in predictors.items():
            found[method].extend(_find_keypoints(predictor, samples))
    arrays = {method: np.array(values) for method, values in found.items()}
    names = name_points(built.metainfo, len(points[0]))
    return Examples(_add_constant(arrays), np.array(points), names)


def load_predictors(
    config: Config, checkpoint: str | None, device: str | None
) -> dict[str, Predictor]:
    """The trained network, and the same as it was before training."""
    torch.manual_seed(0)
    untrained = load_model(config, RANDOM_WEIGHTS, device=device)
    return {TRAINED: load_model(config, checkpoint, device=device), UNTRAINED: untrained}


def _add_constant(found: dict[str, Points]) -> dict[str, Points]:
    """Add the methods with a keypoint that stays where it is."""
    constant = np.ones_like(found[CENTROID])
    both = np.concatenate([found[CENTROID], constant], axis=1)
    return {**found, BOTH: both, CONSTANT: constant}


def _find_keypoints(predictor: Predictor, samples: Sequence[dict[str, Any]]) -> list[Points]:
    """Keypoints (K, 2) of the first frame of each packed pair."""
    batch = [{**sample, 'inputs': sample['inputs'][:1]} for sample in samples]
    with torch.inference_mode():
        prepared = predictor.model.data_preprocessor(pseudo_collate(batch), training=False)
        results = predictor.model(**prepared, mode='predict')
    return [result.keypoints.double().cpu().numpy() for result in results]


def _pair_images(paths: Sequence[Path]) -> Iterator[tuple[Image, Image]]:
    """Each picture and the background."""
    chosen = paths[:: -(-len(paths) // MAX_BACKGROUND)]
    background = np.median([read_image(path) for path in chosen], axis=0).astype(np.uint8)
    for path in paths:
        yield read_image(path), background


def _pair_frames(
    video: Path, frames: Sequence[int | str], gap: int
) -> Iterator[tuple[Image, Image]]:
    """Each annotated frame and the one `gap` later, or earlier at the end."""
    num_frames = inspect_video(video).num_frames
    for frame in check_frame_numbers(frames, video):
        other = frame + gap if frame + gap < num_frames else max(frame - gap, 0)
        first, second = read_frames(video, [frame, other])
        yield first, second


def _flatten(points: Points) -> NDArray[np.float64]:
    return points.reshape(len(points), -1)
