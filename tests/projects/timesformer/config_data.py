"""What the configs need to take a step in a test: tiny lists, class names and videos."""

from pathlib import Path

import pytest
from mmengine.config import Config

from tests.repetition_files import write_video

# data set, name of the list, folder of the videos
LISTS = (
    ('kinetics400', 'kinetics400_train_list_videos.txt', 'videos_train'),
    ('kinetics400', 'kinetics400_val_list_videos.txt', 'videos_val'),
    ('kinetics600', 'train_list_videos.txt', 'videos_train'),
    ('kinetics600', 'val_list_videos.txt', 'videos_val'),
    ('sthv2', 'sthv2_train_list_videos.txt', 'videos'),
    ('sthv2', 'sthv2_val_list_videos.txt', 'videos'),
    ('kinetics400_tiny', 'kinetics_tiny_train_video.txt', 'train'),
    ('kinetics400_tiny', 'kinetics_tiny_val_video.txt', 'val'),
)
# data set, name of the list of its classes, how many there are
CLASSES = (
    ('kinetics400', 'label_map_k400.txt', 400),
    ('kinetics600', 'label_map_k600.txt', 600),
    ('sthv2', 'label_map.txt', 174),
)


def prepare(config: Config, root: Path) -> None:
    """Write tiny data below `root`, and make a network for real videos small."""
    if config.model.backbone.type == 'TransformersBackbone':
        pytest.importorskip('transformers')
    if config.train_dataloader.dataset.type == 'ActionDataset':
        write_all(root)
        tiny = dict(patch_size=56, vit=dict(embed_dim=24, depth=2, num_heads=2), init=None)
        config.model.backbone.update(tiny)
        config.model.cls_head.in_channels = 24


def write_all(root: Path) -> None:
    """Write all of it below `root`/data."""
    video = write_video(root / 'video.mp4').read_bytes()
    data = root / 'data'
    for name, list_name, folder in LISTS:
        (data / name / folder).mkdir(parents=True, exist_ok=True)
        for i in range(2):
            (data / name / folder / f'{i}.mp4').write_bytes(video)
        (data / name / list_name).write_text('0.mp4 0\n1.mp4 1\n')
    for name, file, num_classes in CLASSES:
        names = [f'class {i}' for i in range(num_classes)]
        (data / name / file).write_text('\n'.join(names))
    for name in ('run', 'jump'):
        (data / 'videos' / name).mkdir(parents=True)
        for i in range(3):
            (data / 'videos' / name / f'{i}.mp4').write_bytes(video)
