"""A tiny detector and clips that are painted when they are asked for, to see what is computed."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmaction.structures import ActionDataSample
from mmengine.config import Config
from mmengine.dataset import BaseDataset
from mmengine.evaluator import BaseMetric
from torch import Tensor, nn
from torch.utils.data import Dataset

import projects.anomaly.cache
import projects.anomaly.hooks
import projects.anomaly.models  # noqa: F401  (importing registers)
from mmotion.config import load_config
from mmotion.registry import DATASETS, METRICS, MODELS

TOY = Path(__file__).parent / 'toy' / 'toy.py'
WIDTH = 6
# grey level that the backbone cannot embed
POISON = 255


@MODELS.register_module(force=True)
class ToyBackbone(nn.Module):
    """Embeds the colors of a clip; NaN if a frame is white.

    `passes` counts clips; dropout and norm would make a difference if they were not in eval mode.
    """

    def __init__(self, *, order: str = 'rgb') -> None:
        super().__init__()
        self.order = order
        self.stem = nn.Linear(3, 8)
        self.norm = nn.BatchNorm1d(8)
        self.dropout = nn.Dropout(0.5)
        self.last = nn.Linear(8, WIDTH)
        # not a number, which would be taken for an option
        self._seen: Counter[str] = Counter()

    @property
    def passes(self) -> int:
        return self._seen['clips']

    def forward(self, clips: Tensor) -> Tensor:
        self._seen['clips'] += len(clips)
        colors = clips.mean((2, 3, 4))
        is_poison = (clips.amax((1, 2, 3, 4)) > 2)[:, None]
        hidden = self.dropout(self.norm(self.stem(colors)).tanh())
        return self.last(hidden).masked_fill(is_poison, torch.nan)


@DATASETS.register_module(force=True)
class PaintedClips(BaseDataset):
    """Clips (1, 3, 2, 4, 4) of two classes; `broken` cannot be read, `poisoned` embed as NaN."""

    METAINFO = {'classes': ('dark', 'light')}

    def __init__(
        self,
        *,
        num_clips: int = 10,
        subset: str = 'train',
        broken: tuple[int, ...] = (),
        poisoned: tuple[int, ...] = (),
        test_mode: bool = False,
        version: int = 1,
        label_shift: int = 0,
    ) -> None:
        self.num_clips = num_clips
        self.subset = subset
        self.broken = broken
        self.poisoned = poisoned
        self.version = version
        self.label_shift = label_shift
        self.reads: list[int] = []
        keys = ('name', 'subset', 'excluded')
        pack = dict(type='PackActionInputs', meta_keys=keys)
        super().__init__(pipeline=[pack], test_mode=test_mode)

    def load_data_list(self) -> list[dict[str, Any]]:
        return [
            {
                'name': f'{self.subset}_{i}',
                'number': i,
                'label': (i + self.label_shift) % 2,
                'subset': self.subset,
                'excluded': False,
            }
            for i in range(self.num_clips)
        ]

    def prepare_data(self, idx: int) -> Any:
        self.reads.append(idx)
        info = self.get_data_info(idx)
        if idx in self.broken:
            if not self.test_mode:
                return None
            info['excluded'] = True
        clip = paint(self.subset, idx) if idx not in self.poisoned else np.full_like(SHAPE, POISON)
        return self.pipeline({**info, 'imgs': clip})

    def embedding_key(self, index: int) -> str | None:
        return None if index in self.broken else f'{self.subset} {index} {self.version}'


SHAPE = np.zeros((1, 3, 2, 4, 4), np.uint8)


def paint(subset: str, index: int) -> np.ndarray:
    """A clip of noise around a color."""
    rng = np.random.default_rng([*subset.encode(), index])
    color = 60 * (index % 2) + rng.integers(20, 120, (1, 3, 1, 1, 1))
    return (color + rng.integers(0, 20, SHAPE.shape)).astype(np.uint8)


@DATASETS.register_module(force=True)
class UnnamedClips(Dataset):
    """Clips that cannot be told from each other without reading them, as generated ones."""

    metainfo = {'classes': ('dark', 'light')}

    def __init__(self, *, num_clips: int = 4) -> None:
        self.num_clips = num_clips
        self.reads: list[int] = []

    def __len__(self) -> int:
        return self.num_clips

    def __getitem__(self, index: int) -> dict[str, Any]:
        self.reads.append(index)
        sample = ActionDataSample(metainfo={'name': f'drawn {index}', 'subset': 'train'})
        sample.set_gt_label(index % 2)
        return {'inputs': torch.from_numpy(paint('drawn', index)), 'data_samples': sample}


@METRICS.register_module(force=True)
class ToyErrors(BaseMetric):
    """Mean error of the clips that count."""

    default_prefix = 'toy'

    def process(self, data_batch: Any, data_samples: Any) -> None:
        self.results += [float(s['error']) for s in data_samples if not s.get('excluded')]

    def compute_metrics(self, results: list[float]) -> dict[str, float]:
        return {'error': sum(results) / len(results), 'num_clips': len(results)}


def make_detector(*, order: str = 'rgb', mean: float = 127.5, **options: Any) -> Any:
    """Build a detector, always with the same weights."""
    torch.manual_seed(7)
    return MODELS.build(describe_detector(order=order, mean=mean, **options)).eval()


def describe_detector(
    *, order: str = 'rgb', mean: float = 127.5, scorer: dict | None = None, **options: Any
) -> dict[str, Any]:
    """Config of a detector."""
    return dict(
        type='AnomalyDetector',
        backbone=dict(type='ToyBackbone', order=order),
        scorer=scorer or dict(type='EmbeddingAutoencoder', dims=(WIDTH, 5, 2), dropout=0.3),
        data_preprocessor=dict(
            type='EmbeddingPreprocessor',
            mean=[mean] * 3,
            std=[60.0] * 3,
            format_shape='NCTHW',
        ),
        **options,
    )


def describe_run(
    *,
    cache_dir: Path | None = None,
    train: dict | None = None,
    max_epochs: int = 3,
    **model: Any,
) -> Config:
    """Config of a training run on 10 clips, validated on 25 and tested on 6."""
    config = load_config(TOY, {'log_level': 'INFO', 'train_cfg.max_epochs': max_epochs})
    config.model = describe_detector(**model)
    for name, subset, options in (
        ('train', 'train', train or {}),
        ('val', 'val', dict(num_clips=25, test_mode=True)),
        ('test', 'test', dict(num_clips=6, test_mode=True)),
    ):
        clips = dict(type='PaintedClips', subset=subset, **options)
        folder = None if cache_dir is None else str(cache_dir)
        loader = config[f'{name}_dataloader']
        loader.dataset = dict(type='EmbeddedClips', dataset=clips, cache_dir=folder, batch_size=4)
        loader.batch_size = 5
    config.val_evaluator = config.test_evaluator = dict(type='ToyErrors')
    config.custom_hooks = [
        dict(type='EmbeddingHook'),
        dict(type='CalibrationHook'),
        dict(type='CollapseHook'),
    ]
    config.optim_wrapper.paramwise_cfg = dict(custom_keys={'backbone': dict(lr_mult=0.1)})
    config.default_hooks.checkpoint.update(max_keep_ckpts=-1, save_best=None)
    return config
