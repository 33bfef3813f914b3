"""Make tiny copies of the data and backbones that the anomaly configs name."""

from pathlib import Path

from mmengine.config import Config

from tests.video_files import encode

ROOTS = ('ucf_sports', 'anomaly')
SUBSETS = ('train', 'val', 'test', 'anomaly')
SIZE = 64


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
