"""Features of behaviour, labels, and a baseline, see `mmotion behavior-features`.

Shape letters in this file: N frames of a video, K keypoints, F features, C classes.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import average_precision_score, f1_score

from mmotion.atomic import write_atomically
from mmotion.tables import read_json, read_table, unify, write_table
from projects.bkind.results import KeypointTracks

OTHER = 'other'
VALUES = ('x', 'y', 'confidence', 'var_x', 'var_y', 'cov_xy')
# frames around a frame that the baseline sees too
OFFSETS = (-50, -25, -10, -5, 0, 5, 10, 25, 50)

Features = NDArray[np.float32]
Labels = NDArray[np.str_]


def make_features(tracks: KeypointTracks) -> Features:
    """Features (N, 6 K), see `mmotion behavior-features`."""
    size = np.array([tracks.width, tracks.height], np.float32)
    squares = np.array([size[0] ** 2, size[1] ** 2, size[0] * size[1]])
    parts = [tracks.keypoints / size, tracks.confidence[..., None], tracks.covariance / squares]
    return np.concatenate(parts, axis=2).reshape(tracks.num_frames, -1).astype(np.float32)


def name_features(tracks: KeypointTracks) -> list[str]:
    """Names (6 K) of the features, in their order."""
    return [f'{name}_{value}' for name in tracks.names for value in VALUES]


def read_tracks(path: Path) -> KeypointTracks:
    """Read a file of `mmotion predict`.

    Raises:
        ValueError: If it is another file.
    """
    try:
        return KeypointTracks.from_dict(read_json(path, what='keypoint tracks must be JSON'))
    except (TypeError, ValueError) as error:
        raise ValueError(f'{path} must hold keypoint tracks: {error}') from None


def write_features(tracks: KeypointTracks, path: Path) -> None:
    """Write the features of a video as .npz or .csv."""
    features, names = make_features(tracks), name_features(tracks)
    if path.suffix == '.npz':
        with write_atomically(path) as temporary:
            np.savez_compressed(temporary, features=features, frames=tracks.frames, names=names)
        return
    rows = (
        [frame, *(f'{value:.6g}' for value in row)]
        for frame, row in zip(tracks.frames.tolist(), features.tolist(), strict=True)
    )
    write_table(path, ['frame', *names], rows)


def read_labels(path: Path, tracks: Mapping[str, KeypointTracks]) -> dict[str, Labels]:
    """Read the behaviour in each frame of the videos that are labelled.

    Args:
        path: See `mmotion behavior-features`.
        tracks: By the stem of their video.

    Returns:
        Behaviours of the frames of the tracks (N,), by the stem of the video.

    Raises:
        ValueError: If the file is another one, or knows none of the videos.
    """
    try:
        found = _read_calms21(path) if path.suffix == '.json' else _read_bouts(path, tracks)
        labels = {stem: found[stem][tracks[stem].frames] for stem in tracks if stem in found}
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f'{path} must be a table with video, start, end and label, or a file of CalMS21, for '
            f'the frames of the tracks, got {error!r}'
        ) from None
    if not labels:
        raise ValueError(
            f'{path} must have labels of {", ".join(tracks)}, got {", ".join(sorted(found)[:3])}, '
            '...; name the videos as there'
        )
    return labels


def add_context(features: Features) -> Features:
    """Put the features of the frames around beside those of each (N, F), and the speeds.

    Returns:
        (N, (9 + 1) * F); beyond the ends the first and the last frame are repeated.
    """
    last = len(features) - 1
    around = [features[np.clip(np.arange(last + 1) + offset, 0, last)] for offset in OFFSETS]
    return np.hstack([*around, around[5] - around[3]])


def try_baseline(
    features: Mapping[str, Features], labels: Mapping[str, Labels], tested: Sequence[str]
) -> dict[str, tuple[float, float, int]]:
    """Train the baseline on all videos but the tested ones.

    Args:
        features: By video (N, F).
        labels: By video (N,).
        tested: Some of the videos.

    Returns:
        By behaviour without 'other': average precision, F1 and the number of its test frames.

    Raises:
        ValueError: If no video is left to train on, or no behaviour is in both parts.
    """
    fitted = [video for video in labels if video not in tested]
    if not fitted or not tested:
        raise ValueError(
            f'--test must leave videos to train and to test on, got {len(fitted)} and {len(tested)}'
        )
    inputs, truth = (
        [np.concatenate([of[video] for video in part]) for part in (fitted, tested)]
        for of in ({video: add_context(values) for video, values in features.items()}, labels)
    )
    classes = sorted({*truth[0].tolist()} & {*truth[1].tolist()} - {OTHER})
    if not classes:
        raise ValueError(
            f'a behaviour must be in training and test videos, got {", ".join(set(truth[0]))} and '
            f'{", ".join(set(truth[1]))}'
        )
    # its types know no False and no fitted classes
    classifier: Any = HistGradientBoostingClassifier
    classifier = classifier(random_state=0, early_stopping=False)
    classifier.fit(inputs[0], truth[0])
    scores, predicted = classifier.predict_proba(inputs[1]), classifier.predict(inputs[1])
    known = classifier.classes_.tolist()
    return {
        name: (
            float(average_precision_score(truth[1] == name, scores[:, known.index(name)])),
            float(f1_score(truth[1] == name, predicted == name)),
            int((truth[1] == name).sum()),
        )
        for name in classes
    }


def describe(results: Mapping[str, tuple[float, float, int]], num_frames: int) -> list[str]:
    """The lines of the report.

    Example:
        >>> print(describe({'attack': (0.5, 0.25, 10), 'mount': (0.7, 0.75, 30)}, 100)[-1])
        MAP                   0.600  0.500
    """
    lines = [f'{num_frames} frames tested', f'{"":20}    AP     F1  frames']
    lines += [f'{name:20}  {ap:.3f}  {f1:.3f}  {n:6}' for name, (ap, f1, n) in results.items()]
    mean_ap, mean_f1 = np.mean([values[:2] for values in results.values()], axis=0)
    return [*lines, f'{"MAP":20}  {mean_ap:.3f}  {mean_f1:.3f}']


def _read_bouts(path: Path, tracks: Mapping[str, KeypointTracks]) -> dict[str, Labels]:
    labels = {}
    for row in read_table(path, ['video', 'start', 'end', 'label'], what='labels must be JSON'):
        stem = unify(row.text('video'))
        if stem not in tracks:
            continue
        if stem not in labels:
            labels[stem] = np.full(int(tracks[stem].frames[-1]) + 1, OTHER, dtype=object)
        start, end = (row.whole(edge, at_least=0) for edge in ('start', 'end'))
        labels[stem][start:end] = row.text('label')
    return {stem: values.astype(str) for stem, values in labels.items()}


def _read_calms21(path: Path) -> dict[str, Labels]:
    labels = {}
    for sequences in read_json(path, what='labels').values():
        for name, sequence in sequences.items():
            words = {number: word for word, number in sequence['metadata']['vocab'].items()}
            numbers = sequence['annotations']
            labels[name.split('/')[-1]] = np.array([words[number] for number in numbers])
    return labels
