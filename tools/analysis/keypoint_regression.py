"""Measure discovered keypoints against annotated points, by linear regression to them.

The protocol, with %-MSE and PCK, is described in regression_protocol.py.

Annotations: DeepLabCut's CollectedData_*.csv or .h5, COCO, or a CSV table, see
projects/bkind/export.py. Their frames are divided into blocks that follow one another, as frames
side by side look alike; each block in turn is tested on the others. With --test-annotations the
first file is fitted and the second one tested. Without annotations the points that the data sets of
the config know themselves are taken: fitted on the training set, tested on the test set.

Beside the trained network: the same network untrained; the centroid of the difference of frames t
and t + gap as the only keypoint, or, of images, which do not follow one another, of an image and
the median of all; the same and a keypoint that stays where it is, which gives the map a bias; and
the latter alone, which leaves the mean of the points.

Example:
    python tools/analysis/keypoint_regression.py bkind_custom --checkpoint CKPT
        --annotations labeled-data/m4s1/CollectedData_me.csv --video m4s1.mp4
"""

import argparse
import csv
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import cv2
import numpy as np
import torch
from mmengine.config import Config, DictAction
from mmengine.dataset import pseudo_collate
from numpy.typing import NDArray

# the checkout, so that nothing needs to be installed
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from regression_protocol import (
    PCK_THRESHOLDS,
    Examples,
    Points,
    evaluate_blocks,
    evaluate_split,
    summarize,
)

from mmotion.atomic import write_atomically
from mmotion.config import load_config
from mmotion.inference import Predictor, load_model
from mmotion.registry import DATASETS
from mmotion.video import inspect_video, read_frames
from mmotion.video.frames import take_chunks
from projects.bkind.export import read_annotations

TRAINED, UNTRAINED = 'trained', 'untrained'
CENTROID, CONSTANT = 'centroid of the difference', 'constant'
BOTH = 'centroid and constant'
# differences below this share of the largest one are noise to the centroid
NOISE_SHARE = 0.2
# of a data set with joints, which may be endless
MAX_FRAMES = 1000
BATCH = 32

# images from which the background is taken
MAX_BACKGROUND = 50

Image: TypeAlias = NDArray[np.uint8]


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
        found[method] = _to_unit(tracks.keypoints, width, height)
    found[CENTROID] = np.array([[find_centroid(*pair)] for pair in read_pairs()])
    points = _to_unit(annotations.points, width, height)
    return Examples(_add_constant(found), points, annotations.names)


def collect_known(
    dataset: Mapping[str, Any], predictors: Mapping[str, Predictor], max_frames: int
) -> Examples:
    """Find keypoints in a data set whose samples have `gt_joints`, evenly spread over it.

    Raises:
        ValueError: If they have none.
    """
    built = DATASETS.build(dict(dataset))
    places = np.unique(np.linspace(0, len(built) - 1, max_frames).round().astype(int))
    found: dict[str, list[Points]] = {method: [] for method in (*predictors, CENTROID)}
    points = []
    for chunk in take_chunks(places.tolist(), BATCH):
        samples = [built[place] for place in chunk]
        for sample in samples:
            if 'gt_joints' not in sample['data_samples']:
                raise ValueError(
                    f'{dataset["type"]} must know the joints of its samples, got none; name '
                    '--annotations'
                )
            first, second = (frame.permute(1, 2, 0).numpy() for frame in sample['inputs'])
            # joints are in pixels of the frame as it was made, before it was resized
            side = getattr(built, 'size', first.shape[0])
            points.append(_to_unit(sample['data_samples'].gt_joints.numpy(), side, side))
            found[CENTROID].append(find_centroid(first, second)[None])
        for method, predictor in predictors.items():
            found[method].extend(_find_keypoints(predictor, samples))
    arrays = {method: np.array(values) for method, values in found.items()}
    names = built.metainfo.get('joints') or (f'joint_{j}' for j in range(len(points[0])))
    return Examples(_add_constant(arrays), np.array(points), tuple(names))


def describe(
    distances: Mapping[str, NDArray[np.float64]], examples: Examples, num_fitted: int
) -> list[str]:
    """The lines of the report."""
    num_frames = len(next(iter(distances.values())))
    lines = [
        f'{len(examples.names)} annotated points; {num_frames} frames tested, about {num_fitted} '
        'fitted, without bias',
        f'{"":28} keypoints  %-MSE  ' + '  '.join(f'PCK@{a:g}' for a in PCK_THRESHOLDS),
    ]
    for method, values in distances.items():
        error, *shares = summarize(values)
        counts = examples.found[method].shape[1]
        cells = '  '.join(
            f'{share:{len(f"PCK@{a:g}")}.3f}'
            for share, a in zip(shares, PCK_THRESHOLDS, strict=True)
        )
        lines.append(f'{method:28} {counts:9}  {error:5.2f}  {cells}')
    lines.append(f'{TRAINED}, %-MSE by point:')
    by_point = 100 * np.nanmean(distances[TRAINED], axis=0)
    lines += [
        f'  {name:26} {error:5.2f}' for name, error in zip(examples.names, by_point, strict=True)
    ]
    return lines


def write_table(distances: Mapping[str, NDArray[np.float64]], path: Path) -> None:
    """Write a row a method: %-MSE and PCK."""
    with (
        write_atomically(path) as temporary,
        temporary.open('w', encoding='utf-8', newline='') as file,
    ):
        writer = csv.writer(file, lineterminator='\n')
        writer.writerow(['method', 'percent_mse', *(f'pck_{a:g}' for a in PCK_THRESHOLDS)])
        for method, values in distances.items():
            writer.writerow([method, *(f'{value:.5f}' for value in summarize(values))])


def load_predictors(
    config: Config, checkpoint: str | None, device: str | None
) -> dict[str, Predictor]:
    """The trained network, and the same as it was before training."""
    torch.manual_seed(0)
    untrained = load_model(Config({**config.to_dict(), 'shipped_weights': None}), device=device)
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
    background = np.median([_read_image(path) for path in chosen], axis=0).astype(np.uint8)
    for path in paths:
        yield _read_image(path), background


def _read_image(path: Path) -> Image:
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise ValueError(f'an annotated image must be a picture, got {path}; copy it again')
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB).astype(np.uint8)


def _pair_frames(
    video: Path, frames: Iterable[int | str], gap: int
) -> Iterator[tuple[Image, Image]]:
    """Each annotated frame and the one `gap` later, or earlier at the end."""
    num_frames = inspect_video(video).num_frames
    for frame in frames:
        if not isinstance(frame, int):
            raise ValueError(
                f'annotations of {video} must have numbers of frames, got {frame!r}; leave out '
                '--video'
            )
        other = frame + gap if frame + gap < num_frames else max(frame - gap, 0)
        first, second = read_frames(video, [frame, other])
        yield first, second


def _to_unit(points: NDArray[np.floating], width: int, height: int) -> Points:
    """Coordinates in [-1, 1], from the middle of the first pixel to that of the last."""
    return 2 * points.astype(np.float64) / [width - 1, height - 1] - 1


def main() -> None:
    """Print the report, and write the table if wanted."""
    parser = argparse.ArgumentParser(
        description='Regress discovered keypoints to annotated points.'
    )
    parser.add_argument('config', metavar='CONFIG')
    parser.add_argument('--checkpoint', metavar='CKPT', help='if no weights ship with the config')
    parser.add_argument(
        '--annotations', type=Path, metavar='FILE', help='fitted, and tested by folds'
    )
    parser.add_argument('--video', type=Path, help='of --annotations with numbers of frames')
    parser.add_argument('--test-annotations', type=Path, metavar='FILE', help='tested instead')
    parser.add_argument('--test-video', type=Path, metavar='VIDEO', help='of these')
    parser.add_argument('--folds', type=int, default=5, help='blocks of frames; default: 5')
    parser.add_argument('--gap', type=int, default=20, help='frames, for the centroid; default: 20')
    parser.add_argument(
        '--max-frames', type=int, default=MAX_FRAMES, help=f'of a data set; default: {MAX_FRAMES}'
    )
    parser.add_argument('--out', type=Path, metavar='FILE', help='a .csv for the table')
    parser.add_argument('--device', metavar='D')
    parser.add_argument(
        '--cfg-options', nargs='+', action=DictAction, default={}, metavar='KEY=VALUE'
    )
    args = parser.parse_args()
    config = load_config(args.config, args.cfg_options)
    predictors = load_predictors(config, args.checkpoint, args.device)
    if args.annotations is None:
        fitted, tested = (
            collect_known(config[f'{part}_dataloader'].dataset, predictors, args.max_frames)
            for part in ('train', 'test')
        )
    else:
        fitted = collect_annotated(args.annotations, args.video, predictors, args.gap)
        tested = None
        if args.test_annotations is not None:
            tested = collect_annotated(args.test_annotations, args.test_video, predictors, args.gap)
    num_fitted = len(fitted.points)
    if tested is None:
        distances = evaluate_blocks(fitted, args.folds)
        num_fitted -= num_fitted // args.folds
    else:
        distances = evaluate_split(fitted, tested)
    print('\n'.join(describe(distances, fitted, num_fitted)))
    if args.out:
        write_table(distances, args.out)


if __name__ == '__main__':
    main()
