"""Scorers, each measured on videos of a class that they were not fitted to."""

import copy
import logging
import re
import warnings
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from mmengine.config import Config
from mmengine.logging import print_log
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedGroupKFold
from torch import Tensor

from mmotion.registry import DATASETS, MODELS, OPTIMIZERS
from mmotion.tables import write_table
from mmotion.video.files import list_classes

AUTOENCODER = 'autoencoder'
# backbones that are no networks
CONTROLS = ('MeanPixels', 'MotionPlaces')
# 'autoencoder' is that of the config
SCORERS: dict[str, dict[str, Any]] = {
    'pca': {'type': 'PCAReconstruction', 'share': 0.95},
    'knn': {'type': 'NearestNeighbors', 'k': 2},
    'mahalanobis': {'type': 'Mahalanobis'},
    'centroids': {'type': 'ClassCentroids'},
}


class Videos(NamedTuple):
    """What is known of the N videos of a folder.

    Attributes:
        paths: Below the folder (N,).
        classes: Names of their classes (N,).
        groups: What must not be parted (N,).
    """

    paths: list[str]
    classes: NDArray[np.str_]
    groups: NDArray[np.str_]

    def take(self, places: NDArray[np.integer]) -> 'Videos':
        """Keep some of them."""
        paths = [self.paths[i] for i in places.tolist()]
        return Videos(paths, self.classes[places], self.groups[places])


class Split(NamedTuple):
    """Which videos a measurement needs, by their numbers."""

    train: NDArray[np.int64]
    normal: NDArray[np.int64]
    anomalies: NDArray[np.int64]


def find_videos(root: Path, group_pattern: str | None) -> Videos:
    """List the videos of a folder of classes.

    Args:
        root: Folder with a folder for each class.
        group_pattern: Regular expression that finds the group in a file name, its first group in
            parentheses or the whole match; None makes each video a group.

    Raises:
        ValueError: If there are fewer than three classes, or a name does not match.
    """
    try:
        re.compile(group_pattern or '')
    except re.error as error:
        raise ValueError(
            f'--group-pattern must be a regular expression, got {group_pattern!r}: {error}'
        ) from error
    by_class = list_classes(root) if root.is_dir() else {}
    if len(by_class) < 3:
        raise ValueError(
            f'ROOT must hold videos of at least three classes, ROOT/class/*.mp4, got {root} with '
            f'{len(by_class)}'
        )
    paths = [path for files in by_class.values() for path in files]
    classes = [name for name, files in by_class.items() for _ in files]
    names = [path.relative_to(root).as_posix() for path in paths]
    groups = names
    if group_pattern is not None:
        matches = [re.search(group_pattern, path.name) for path in paths]
        strangers = [n for n, match in zip(names, matches, strict=True) if match is None]
        if strangers:
            raise ValueError(
                f'--group-pattern must match all file names, got {group_pattern!r}, which '
                f'{len(strangers)} do not match, such as {strangers[0]}'
            )
        groups = [match[min(match.re.groups, 1)] for match in matches if match]
    return Videos(names, np.array(classes), np.array(groups))


def make_splits(
    classes: NDArray[np.str_], groups: NDArray[np.str_], left_out: str, *, num_folds: int, seed: int
) -> list[Split]:
    """Divide videos for the measurements of one class, see `mmotion leave-classes-out`.

    Args:
        classes: Names (N,).
        groups: What must not be parted (N,).
        left_out: The class that is the anomaly.
        num_folds: Folds of the normal videos; fewer if there are fewer groups.
        seed: Of the shuffling.

    Returns:
        A split a fold; folds in which there is nothing to fit to or to measure on are left out.
    """
    normal = np.flatnonzero(classes != left_out)
    anomalies = np.flatnonzero(classes == left_out)
    single = [
        name for name in set(classes[normal]) if len(set(groups[classes == name].tolist())) == 1
    ]
    bound = set(groups[np.isin(classes, single) & (classes != left_out)].tolist())
    movable = np.array([i for i in normal.tolist() if groups[i] not in bound], dtype=np.int64)
    num_groups = len(set(groups[movable].tolist()))
    if num_groups < 2:
        return []
    folds = StratifiedGroupKFold(min(num_folds, num_groups), shuffle=True, random_state=seed)
    splits = []
    with warnings.catch_warnings():
        # a class with fewer groups than folds is absent from some
        warnings.simplefilter('ignore', UserWarning)
        for _, fold in folds.split(movable, classes[movable], groups[movable]):
            test = movable[fold]
            train = np.setdiff1d(normal, test)
            test = test[np.isin(classes[test], classes[train])]
            unseen = anomalies[~np.isin(groups[anomalies], groups[train])]
            if len(train) and len(test) and len(unseen):
                splits.append(Split(train, test, unseen))
    return splits


def embed_videos(
    config: Config, videos: Videos, root: Path, work_dir: Path, *, device: str, seed: int
) -> tuple[Tensor, NDArray[np.int64], str]:
    """Run the backbone of a config on all videos, or read what an earlier start has stored.

    Returns:
        Embeddings (M, D) of those that can be used, their numbers (M,), and what the weights are.
    """
    torch.manual_seed(seed)
    model = MODELS.build(config.model)
    backbone: Any = model.backbone
    weights = config.model.backbone.get('weights') or config.model.backbone.get('init')
    without = 'random' if any(True for _ in backbone.parameters()) else 'none'
    try:
        if weights:
            backbone.init_weights()
    except (OSError, ValueError) as error:
        print_log(f'the backbone has random weights: {error}', 'current', logging.WARNING)
        weights = None
    model.to(device).eval()
    table = work_dir / 'clips.csv'
    numbers = {name: i for i, name in enumerate(sorted(set(videos.classes.tolist())))}
    rows = ((p, numbers[name], name) for p, name in zip(videos.paths, videos.classes, strict=True))
    write_table(table, ('PATH', 'LABEL', 'CLASS'), rows)
    dataset = DATASETS.build(
        {
            'type': 'EmbeddedClips',
            'cache_dir': str(work_dir / 'embeddings'),
            'batch_size': 4,
            'dataset': {
                'type': 'AnomalyClipDataset',
                'ann_files': {'test': str(table)},
                'data_root': str(root),
                'pipeline': config.test_pipeline,
                'test_mode': True,
            },
        }
    )
    dataset.embed(model)
    items = [dataset[i] for i in range(len(dataset))]
    usable = [i for i, item in enumerate(items) if not item['data_samples'].get('excluded')]
    embeddings = torch.stack([items[i]['inputs'] for i in usable])
    return embeddings, np.array(usable), Path(weights).name if weights else without


def fit_scorer(
    config: Config, name: str, embeddings: Tensor, labels: Tensor, *, seed: int
) -> torch.nn.Module:
    """Fit a scorer to normal clips, or train the autoencoder of a config as the config says.

    Args:
        config: Its `model.scorer`, `optim_wrapper`, batch size and number of epochs.
        name: Of the scorer, one of `SCORERS` or 'autoencoder'.
        embeddings: (N, D).
        labels: Classes (N,).
        seed: Of weights and order.
    """
    torch.manual_seed(seed)
    if name != AUTOENCODER:
        scorer = MODELS.build(SCORERS[name])
        scorer.fit(embeddings, labels)
        return scorer.eval()
    scorer = MODELS.build(config.model.scorer)
    optimizer = OPTIMIZERS.build(
        {**config.optim_wrapper.optimizer, 'params': list(scorer.parameters())}
    )
    scorer.train()
    for _ in range(config.train_cfg.max_epochs):
        order = torch.randperm(len(embeddings))
        for batch in order.split(config.train_dataloader.batch_size):
            loss = scorer.error(embeddings[batch]).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return scorer.eval()


def measure(
    config: Config,
    name: str,
    embeddings: Tensor,
    classes: NDArray[np.str_],
    split: Split,
    *,
    seed: int,
) -> float:
    """AUROC of a scorer that is fitted to the training videos of a split."""
    names = sorted(set(classes[split.train].tolist()))
    labels = torch.tensor([names.index(name) for name in classes[split.train].tolist()])
    scorer: Any = fit_scorer(config, name, embeddings[split.train], labels, seed=seed)
    with torch.no_grad():
        errors = scorer.error(embeddings[np.concatenate([split.normal, split.anomalies])])
    truth = np.repeat([0, 1], [len(split.normal), len(split.anomalies)])
    return float(roc_auc_score(truth, errors.double().numpy()))


def make_control(config: Config, name: str) -> Config:
    """A config that sees the same clips by a control, which its autoencoder is not made for."""
    config = copy.deepcopy(config)
    config.model.backbone = dict(type=name)
    config.model.scorer = dict(type='NearestNeighbors')
    return config


def measure_config(
    config: Config,
    name: str,
    videos: Videos,
    root: Path,
    work_dir: Path,
    *,
    scorers: Sequence[str],
    num_folds: int,
    device: str,
    seed: int,
) -> list[dict[str, Any]]:
    """Measure scorers by the backbone of a config, with each class left out in turn.

    Args:
        config: An autoencoder is measured only if it has one.
        name: What the backbone is called in the rows and below the work dir.
        videos: See `find_videos`.
        root: See `find_videos`.
        work_dir: Where embeddings are kept.
        scorers: Names of `SCORERS`, or 'autoencoder'.
        num_folds: See `make_splits`.
        device: Where the backbone runs.
        seed: Of random weights, shuffling and training.

    Returns:
        Rows of `leave_classes_out.csv`.

    Raises:
        ValueError: If no class can be left out.
    """
    if config.model.scorer.type != 'EmbeddingAutoencoder':
        scorers = [scorer for scorer in scorers if scorer != AUTOENCODER]
    embeddings, usable, weights = embed_videos(
        config, videos, root, work_dir / name, device=device, seed=seed
    )
    known = videos.take(usable)
    jobs = [
        (left_out, fold, split)
        for left_out in sorted(set(known.classes.tolist()))
        for fold, split in enumerate(
            make_splits(known.classes, known.groups, left_out, num_folds=num_folds, seed=seed),
            start=1,
        )
    ]
    if not jobs:
        raise ValueError(
            'a class at least must have two groups, so that some of it is new, got none; change '
            '--group-pattern'
        )
    return [
        {
            'config': name,
            'weights': weights,
            'scorer': scorer,
            'left_out': left_out,
            'fold': fold,
            'trained_on': len(split.train),
            'normal': len(split.normal),
            'anomalies': len(split.anomalies),
            'auroc': measure(config, scorer, embeddings, known.classes, split, seed=seed + fold),
        }
        for left_out, fold, split in track(jobs, name, console=Console(stderr=True))
        for scorer in scorers
    ]


def summarize(rows: Sequence[dict[str, Any]]) -> str:
    """A table of the means, with a row for each backbone and scorer, and what they rest on."""
    by_scorer: dict[tuple[str, str, str], dict[str, list[float]]] = defaultdict(
        lambda: defaultdict(list)
    )
    for row in rows:
        key = (row['config'], row['weights'], row['scorer'])
        by_scorer[key][row['left_out']].append(row['auroc'])
    classes = sorted({row['left_out'] for row in rows})
    header = ['backbone', 'weights', 'scorer', 'AUROC', 'sd over classes', *classes]
    lines = [header, ['---'] * len(header)]
    for key, values in by_scorer.items():
        means = {name: float(np.mean(values[name])) for name in classes if values[name]}
        spread = float(np.std([*means.values()], ddof=1)) if len(means) > 1 else float('nan')
        cells = [f'{means[name]:.3f}' if name in means else '' for name in classes]
        lines.append([*key, f'{np.mean([*means.values()]):.3f}', f'{spread:.3f}', *cells])
    table = '\n'.join(f'| {" | ".join(cells)} |' for cells in lines)
    numbers = ', '.join(
        f'{min(row[key] for row in rows)} to {max(row[key] for row in rows)} {what}'
        for key, what in (
            ('trained_on', 'clips to fit to'),
            ('normal', 'new normal clips'),
            ('anomalies', 'anomalies'),
        )
    )
    return f'{table}\n\nEach AUROC is the mean of its folds; in a fold there are {numbers}.'
