"""The folds of a cross-validation: how samples are split, and a run of each fold."""

import hashlib
import json
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from mmotion.atomic import write_atomically
from mmotion.registry import DATASETS
from mmotion.tables import read_table
from mmotion.training.runner import build_runner
from projects.pose_sequence.commands._fold_report import Prediction, Run


@dataclass(frozen=True)
class Samples:
    """What is known of the N samples of a data set.

    Args:
        names: Names (N,).
        labels: Classes (N,), numbers from 0 on.
        groups: What must not be parted (N,).
        classes: Names of the classes.
    """

    names: tuple[str, ...]
    labels: NDArray[np.int64]
    groups: tuple[str, ...]
    classes: tuple[str, ...]


@DATASETS.register_module(force=True)
def chosen_samples(*, dataset: dict[str, Any], indices: list[int]) -> Any:
    """Build a data set and keep the samples of these numbers; one may come several times."""
    built = DATASETS.build(dataset)
    built.get_subset_(indices)
    return built


def list_samples(dataset: dict[str, Any]) -> Samples:
    """Build a data set, and read names, labels and groups from its entries.

    Raises:
        ValueError: If its samples have no label.
    """
    built = DATASETS.build(dataset)
    entries = [built.get_data_info(i) for i in range(len(built))]
    missing = [i for i, entry in enumerate(entries) if not entry.get('label', -1) >= 0]
    if missing or not entries:
        raise ValueError(
            f'samples of the training data must have a label each, got {len(missing)} of '
            f'{len(entries)} without; choose a config that trains a classifier'
        )
    names = [str(entry.get('name', i)) for i, entry in enumerate(entries)]
    labels = np.array([entry['label'] for entry in entries])
    classes = built.metainfo.get('classes') or range(labels.max() + 1)
    # a sample without a group is a group of its own
    groups = [str(entry.get('group') or names[i]) for i, entry in enumerate(entries)]
    return Samples(tuple(names), labels, tuple(groups), tuple(map(str, classes)))


def split_folds(
    samples: Samples, *, num_folds: int, plain: bool, seed: int
) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Divide samples into folds with the classes alike.

    Args:
        samples: What to divide.
        num_folds: How many, from 2 on.
        plain: Whether a group may be parted.
        seed: Of the shuffling.

    Returns:
        Sample numbers to train on and to test on, for each fold.

    Raises:
        ValueError: If there are fewer groups, or samples, than folds.
    """
    parts = len(samples.names) if plain else len(set(samples.groups))
    if not 2 <= num_folds <= parts:
        raise ValueError(
            f'--folds must be from 2 to the number of {"samples" if plain else "groups"}, {parts}, '
            f'got --folds {num_folds}'
        )
    splitter = StratifiedKFold if plain else StratifiedGroupKFold
    folds = splitter(num_folds, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        # a class with fewer samples than folds is absent from some test folds
        warnings.simplefilter('ignore', UserWarning)
        return list(folds.split(np.zeros(len(samples.names)), samples.labels, samples.groups))


def oversample(
    indices: NDArray[np.int64], labels: NDArray[np.int64], *, minimum: int, seed: int
) -> NDArray[np.int64]:
    """Repeat random samples of the classes that have few.

    Args:
        indices: Sample numbers of a training fold (M,).
        labels: Classes of all samples (N,).
        minimum: How many each class shall have at least; one that has more keeps what it has.
        seed: Of the choice.

    Returns:
        The sample numbers, with repetitions.

    Raises:
        ImportError: If imbalanced-learn is not installed.
    """
    try:
        from imblearn.over_sampling import RandomOverSampler
    except ImportError as error:
        raise ImportError(
            f'--oversample must have the package imbalanced-learn, got {error}; '
            'pip install imbalanced-learn, or leave out --oversample'
        ) from error
    counts = dict(zip(*np.unique(labels[indices], return_counts=True), strict=True))
    # of a single class there is nothing to balance, and the package refuses it
    if len(counts) < 2:
        return indices
    # typed as a str there, though it may be a dictionary
    wanted: Any = {label: max(int(count), minimum) for label, count in counts.items()}
    sampler = RandomOverSampler(sampling_strategy=wanted, random_state=seed)
    # typed as what pandas has too, where that is installed
    taken: Any = sampler.fit_resample(indices[:, None], labels[indices])[0]
    return taken[:, 0]


def make_fold_config(
    config: Config, train: NDArray[np.int64], test: NDArray[np.int64], run_dir: Path
) -> Config:
    """Let a config train and test on samples of its training data, the latter as in testing."""
    config = Config(config.to_dict(), filename=config.filename)
    training = whole_training_data(config)
    testing = {**training, 'pipeline': config.test_dataloader.dataset.pipeline}
    for loader, dataset, indices in (
        (config.train_dataloader, training, train),
        (config.test_dataloader, testing, test),
    ):
        loader.dataset = {
            'type': 'chosen_samples',
            'dataset': dataset,
            'indices': indices.tolist(),
        }
    config.test_evaluator = {'type': 'ActionMetric', 'out_dir': str(run_dir)}
    return config


def whole_training_data(config: Config) -> dict[str, Any]:
    """The config of the training data, not split into training and validation."""
    dataset = dict(config.train_dataloader.dataset)
    if 'subset' in dataset:
        return {**dataset, 'subset': {**dataset['subset'], 'split': None}}
    return {**dataset, 'split': None} if 'split' in dataset else dataset


def run_fold(config: Config, samples: Samples, run: Run, run_dir: Path) -> list[Prediction]:
    """Train and test on a fold, or go on with that, or read what an earlier start has written.

    Raises:
        ValueError: If the folder holds a run of another config or other data.
    """
    identity = {
        'config': hashlib.sha256(repr(config.to_dict()).encode()).hexdigest(),
        'train': [samples.names[i] for i in run.train],
        'test': [samples.names[i] for i in run.test],
    }
    note = run_dir / 'fold.json'
    if note.is_file() and json.loads(note.read_text()) != identity:
        raise ValueError(
            f'--work-dir must be of the same config, data and options, got {run_dir} of others; '
            'choose another --work-dir'
        )
    scores = run_dir / 'scores.csv'
    if not scores.is_file():
        with write_atomically(note) as temporary:
            temporary.write_text(json.dumps(identity))
        fold_config = make_fold_config(config, run.train, run.test, run_dir)
        runner = build_runner(
            fold_config, work_dir=run_dir, resume='auto', seed=run.seed, validate=False
        )
        runner.train()
        runner.test()
    return list(_read_predictions(scores, samples, run))


def cross_validate(
    config: Config,
    samples: Samples,
    work_dir: Path,
    *,
    num_folds: int,
    repeats: int = 1,
    minimum: int = 0,
    plain: bool = False,
) -> list[Run]:
    """Run all folds of all repeats.

    Args:
        config: Of a classifier.
        samples: Its training data.
        work_dir: Folder of the runs.
        num_folds: Folds of a split.
        repeats: Splits, each shuffled in another way.
        minimum: Samples that each class shall have in a training fold, see `oversample`.
        plain: Whether to run the plain split as well.

    Returns:
        The runs with their predictions.
    """
    first_seed = int((config.get('randomness') or {}).get('seed') or 0)
    runs = []
    for protocol in ('group', 'plain') if plain else ('group',):
        for repeat in range(1, repeats + 1):
            seed = first_seed + repeat - 1
            folds = split_folds(samples, num_folds=num_folds, plain=protocol == 'plain', seed=seed)
            for fold, (train, test) in enumerate(folds, start=1):
                if minimum:
                    train = oversample(train, samples.labels, minimum=minimum, seed=seed)
                run = Run(protocol, repeat, fold, seed, train, test)
                run_dir = work_dir / protocol / f'repeat_{repeat}' / f'fold_{fold}'
                print(f'{run.name}: {len(train)} samples to train, {len(test)} to test', flush=True)
                run.predictions += run_fold(config, samples, run, run_dir)
                runs.append(run)
    return runs


def _read_predictions(path: Path, samples: Samples, run: Run) -> Iterator[Prediction]:
    """Read what the metric has written: a row a sample, in the order of the test fold."""
    rows = read_table(path, ['video', 'class', 'predicted'], what='scores')
    if [row.text('video') for row in rows] != [samples.names[i] for i in run.test]:
        raise ValueError(f'{path} must have the rows of its test fold; delete it to test again')
    for index, row in zip(run.test.tolist(), rows, strict=True):
        yield Prediction(
            name=samples.names[index],
            group=samples.groups[index],
            label=row.text('class'),
            predicted=row.text('predicted'),
            score=float(row.text(row.text('class')) or 0),
        )
