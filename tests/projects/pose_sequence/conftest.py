"""What the tests share: a person who moves, as a sample of a data set and as a file."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mmotion.keypoints.files import write_poses
from mmotion.keypoints.skeletons import FIGURE
from mmotion.registry import TRANSFORMS
from tests.pose_videos import make_video

Sample = dict[str, Any]
Maker = Callable[..., Sample]


def apply(sample: Sample, type: str, **options: Any) -> Sample:
    """Pass a copy of a sample through a transform."""
    return TRANSFORMS.build({'type': type, **options})(dict(sample))


@pytest.fixture
def make_sample() -> Maker:
    """Make a sample (T, 15, 2) whose left hand is up and whose points move on waves of their own.

    The centre of the body is near (200, 100) and its size about 40 pixels.
    """

    def make(num_steps: int = 20, *, missing: float = 0.0, seed: int = 0) -> Sample:
        rng = np.random.default_rng(seed)
        y = {'head': -60, 'neck': -40, 'pelvis': 0, 'shoulder': -40, 'elbow': -20, 'wrist': -5}
        y |= {'hip': 0, 'knee': 30, 'ankle': 60}
        x = {'left': 15, 'right': -15}
        rest = []
        for point in FIGURE.points:
            side, _, part = point.rpartition('_')
            rest.append((200 + x.get(side, 0), 100 + y[part]))
        keypoints = np.array(rest, np.float32)[None].repeat(num_steps, axis=0)
        keypoints[:, FIGURE.points.index('left_wrist'), 1] -= 50
        phase = np.linspace(0, 3, num_steps)[:, None, None] + rng.uniform(0, 6, (1, 15, 2))
        keypoints += (5 * np.sin(phase)).astype(np.float32)
        scores = rng.uniform(0.4, 1, (num_steps, 15)).astype(np.float32)
        gone = rng.random((num_steps, 15)) < missing
        keypoints[gone], scores[gone] = np.nan, 0
        return {
            'keypoints': keypoints,
            'scores': scores,
            'fps': 10.0,
            'width': 400,
            'height': 300,
            'skeleton': FIGURE,
            'label': 1,
            'name': f'sample{seed}',
            'group': 'ann',
        }

    return make


@pytest.fixture
def pose_folder(tmp_path: Path) -> Path:
    """A folder of 3 activities by 4 persons, `<activity>/<person>_<take>.json`, 2 takes each."""
    for a, activity in enumerate(('jump', 'run', 'squat')):
        for p, person in enumerate(('ann', 'bob', 'cid', 'dan')):
            for take in range(2):
                name = f'{person}_{take}'
                video = make_video(
                    10, seed=100 * a + 10 * p + take, source=f'{activity}_{name}.mp4'
                )
                write_poses(video, tmp_path / 'poses' / activity / f'{name}.json')
    return tmp_path / 'poses'
