"""A tiny system for tests of the core: trains in seconds, and shows every source of randomness."""

import os
import random
import signal
from pathlib import Path

import cv2
import numpy as np
import torch
from mmengine.dist import get_rank
from mmengine.evaluator import BaseMetric
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.structures import BaseDataElement
from torch import nn
from torch.utils.data import Dataset

from mmotion.inference import Predictor
from mmotion.registry import DATASETS, HOOKS, METRICS, MODELS, PREDICTORS
from projects.repnet.results import RepetitionCount


@DATASETS.register_module(force=True)
class ToyVectors(Dataset):
    """Vectors whose sum is the count; `augment` adds noise from all three generators."""

    def __init__(self, *, num_samples, augment=False):
        self.num_samples = num_samples
        self.augment = augment

    def __len__(self):
        return self.num_samples

    def __getitem__(self, index):
        vector = torch.from_numpy(np.random.default_rng(index).random(8, np.float32))
        sample = BaseDataElement(
            metainfo={'name': f'clip {index}'}, gt_count=float(vector.sum()), gt_rate=vector
        )
        if self.augment:
            vector = vector + random.random() + float(np.random.random()) + torch.rand(8)
        return {'inputs': vector, 'data_samples': sample}


@MODELS.register_module(force=True)
class ToyCounter(BaseModel):
    """Guesses the count; `dropout` and `norm` make training depend on the random state."""

    def __init__(self, *, dropout=0.0, norm=False, width=16, data_preprocessor=None):
        super().__init__(data_preprocessor)
        self.body = nn.Linear(8, width)
        self.norm = nn.BatchNorm1d(width) if norm else nn.Identity()
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(width, 1)

    def forward(self, inputs, data_samples=None, mode='tensor'):
        hidden = self.norm(self.body(torch.stack(list(inputs))).relu())
        counts = self.head(self.dropout(hidden)).squeeze(1)
        if mode == 'tensor':
            return counts
        if mode == 'loss':
            truth = torch.tensor([s.gt_count for s in data_samples], device=counts.device)
            return {'loss': nn.functional.mse_loss(counts, truth)}
        for sample, count in zip(data_samples, counts, strict=True):
            sample.pred = count_evenly(float(count.clamp(min=0)), num_frames=10)
        return data_samples


@METRICS.register_module(force=True)
class ToyError(BaseMetric):
    """Mean absolute error of the count."""

    default_prefix = 'toy'

    def process(self, data_batch, data_samples):
        self.results += [abs(s['pred'].count - s['gt_count']) for s in data_samples]

    def compute_metrics(self, results):
        return {'mae_loss': sum(results) / len(results)}


@HOOKS.register_module(force=True)
class RecordRanks(Hook):
    """Writes the weights of each process, and its losses so far, after each epoch."""

    def __init__(self, *, out_dir):
        self.out_dir = Path(out_dir)
        self.losses = []

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.losses.append(outputs['loss'].item())

    def after_train_epoch(self, runner):
        self.out_dir.mkdir(parents=True, exist_ok=True)
        model = getattr(runner.model, 'module', runner.model)
        torch.save(model.state_dict(), self.out_dir / f'rank_{get_rank()}.pth')
        torch.save(self.losses, self.out_dir / f'losses_{get_rank()}.pth')


@HOOKS.register_module(force=True)
class DieOnce(Hook):
    """Ends a process after a step, `killed` or by an exception, unless it has left its `note`."""

    def __init__(self, *, note, rank, step, killed=True):
        self.note = Path(note)
        self.rank = rank
        self.step = step
        self.killed = killed

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if (get_rank(), runner.iter + 1) != (self.rank, self.step) or self.note.exists():
            return
        self.note.touch()
        if self.killed:
            os.kill(os.getpid(), signal.SIGKILL)
        raise RuntimeError('a kernel has failed')


@PREDICTORS.register_module(force=True)
class ToyPredictor(Predictor[RepetitionCount]):
    """Counts one repetition a frame."""

    def _predict_frames(self, frames, fps):
        num_frames = sum(1 for _ in frames)
        return count_evenly(num_frames, num_frames=num_frames, fps=fps)

    def _stream_frames(self, frames, fps):
        yield self._predict_frames(frames, fps)

    def draw(self, video, result, out_dir):
        path = Path(out_dir) / f'{Path(video).stem}.png'
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), np.zeros((8, 8, 3), np.uint8))
        return [path]


def count_evenly(count, *, num_frames, fps=10.0):
    """Spread a count over the frames of a video."""
    rate = np.full(num_frames, count / num_frames)
    return RepetitionCount.from_rates(rate, np.ones(num_frames), fps=fps, confidence=1.0, stride=1)
