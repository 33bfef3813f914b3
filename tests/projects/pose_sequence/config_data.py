"""What the configs need to take a step in a test: keypoint files."""

from pathlib import Path

from mmengine.config import Config

from mmotion.keypoints.files import write_poses
from tests.pose_videos import make_video


def prepare(config: Config, root: Path) -> None:
    """Write keypoint files of two activities by three persons."""
    if config.train_dataloader.dataset.type == 'KeypointSequenceDataset':
        for label in ('squat', 'jump'):
            for i in range(3):
                write_poses(make_video(20, seed=i), root / 'data' / 'poses' / label / f'{i}.json')
