"""What the configs need to take a step in a test: tiny copies of their data and backbones."""

from pathlib import Path

import torch
from mmengine.config import Config

from projects.anomaly.models import AnomalyDetector
from tests.video_files import encode

ROOTS = ('ucf_sports', 'anomaly')
SUBSETS = ('train', 'val', 'test', 'anomaly')
SIZE = 64


def prepare(config: Config, root: Path) -> None:
    """Write tiny data below `root`, and let the config take a small backbone without weights."""
    write_all(root)
    shrink(config)


def take_step(model: AnomalyDetector, batch: dict) -> None:
    """Fit a scorer that is not trained by steps."""
    embeddings = model.embed(model.data_preprocessor(batch)['inputs'])
    model.fit(embeddings, torch.zeros(len(embeddings), dtype=torch.long))
    assert torch.isfinite(model.scorer.error(embeddings)).all()


def write_all(root: Path) -> None:
    """Write tables and videos below `root`/data, two clips of two classes a subset."""
    video = encode(root / 'video.mp4').read_bytes()
    for name in ROOTS:
        folder = root / 'data' / name
        folder.mkdir(parents=True)
        for subset in SUBSETS:
            rows = ['PATH,LABEL,CLASS,VIDEO,AUGMENT']
            for label in range(2):
                path = f'{subset}_{label}.mp4'
                (folder / path).write_bytes(video)
                rows.append(f'{path},{label},class {label},,{"flip speed=1.2" * label}')
            (folder / f'{subset}.csv').write_text('\n'.join(rows))


def shrink(config: Config) -> None:
    """Make the backbone of a config small, without weights, and its clips too."""
    backbone = config.model.backbone
    if backbone.type == 'TimeSformer':
        backbone.update(init=None, image_size=SIZE, vit={**backbone.get('vit', {}), 'depth': 1})
    else:
        backbone.weights = None
    if backbone.type == 'SlowFast':
        # the windows of the other way are wider than the maps of small clips
        backbone.pooling = 'global'
    for step in config.train_dataloader.dataset.dataset.get('pipeline', []):
        if step.type == 'Resize':
            step.update(scale=(SIZE, SIZE), keep_ratio=False)
        if step.type == 'CenterCrop':
            step.crop_size = SIZE
