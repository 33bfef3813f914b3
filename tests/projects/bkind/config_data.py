"""What the configs need to take a step in a test: tiny videos, and networks that are quick."""

from pathlib import Path

from mmengine.config import Config

from tests.moving_boxes import write_pictures, write_video

CAMERA = 'Walking-1/imageSequence/54138969'
SIZE = 64


def prepare(config: Config, root: Path) -> None:
    """Write tiny data below `root`, and make a network for real videos small."""
    if config.train_dataloader.dataset.type == 'FramePairs':
        write_all(root)
        shrink(config)


def write_all(root: Path) -> None:
    """Write `data/videos`, `data/calms21` and `data/h36m` below a folder."""
    for name in 'ab':
        write_video(root / 'data' / 'videos' / f'{name}.mp4', 32)
    write_pictures(root / 'data' / 'calms21' / 'train' / 'mouse001_task1', 24)
    write_pictures(root / 'data' / 'calms21' / 'test' / 'mouse071_task1', 24)
    for subject in ('S1', 'S9'):
        write_pictures(root / 'data' / 'h36m' / subject / CAMERA, 44)


def shrink(config: Config) -> None:
    """Let a config of real videos take a small network of random weights and small frames."""
    config.model.encoder = dict(name='resnet18')
    config.model.losses = dict(kind='mse')
    config.model.image_size = SIZE
    dataset = config.train_dataloader.dataset
    for step in dataset.pipeline:
        if step.type == 'ResizePair':
            step.size = SIZE
    if dataset.get('boxes'):
        # joints are in HDF5, which needs h5py
        dataset.boxes = {f'S1/{CAMERA}': [10, 10, 60, 60]}
