"""Sequences are grouped by place: those of one recording, those of others, real ones."""

import csv
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pytest

from mmotion.cli import main
from mmotion.keypoints.files import write_poses
from mmotion.keypoints.poses import Person, PoseVideo
from mmotion.keypoints.skeletons import FIGURE


def group(*arguments: object) -> int:
    return main(['group-sequences', *map(str, arguments)])


def stand(x: float, seed: int) -> PoseVideo:
    """A person of size about 60 around x who trembles and waves an arm."""
    rng = np.random.default_rng(seed)
    body = np.random.default_rng(7).uniform(0, 150, (15, 2)) + np.array([x, 0])
    frames = []
    for i in range(10):
        keypoints = body + rng.normal(0, 1, (15, 2))
        keypoints[7] += [0, 20 * i]
        keypoints[rng.random(15) < 0.1] = np.nan
        frames.append((Person(keypoints=keypoints, scores=np.ones(15), score=1.0),))
    return PoseVideo(
        source=f'{seed}.mp4',
        fps=10.0,
        width=640,
        height=480,
        num_frames=10,
        detector='test',
        skeleton=FIGURE,
        frame_indices=np.arange(10),
        frames=tuple(frames),
    )


def read_groups(path: Path) -> dict[str, str]:
    with path.open(newline='') as file:
        return {row['path']: row['group'] for row in csv.DictReader(file)}


def test_one_place_is_one_group(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    places = {'jump/a': 0, 'jump/b': 100, 'run/c': 1, 'run/d': 300, 'run/e': 102}
    for seed, (name, x) in enumerate(places.items()):
        write_poses(stand(x, seed), tmp_path / f'{name}.json')
    assert group(tmp_path, tmp_path / 'out.csv') == 0
    assert '5 sequences in 3 groups' in capsys.readouterr().out
    groups = [f'place_{number:03d}' for number in (0, 1, 0, 2, 1)]
    assert read_groups(tmp_path / 'out.csv') == {
        f'{name}.json': place for name, place in zip(places, groups, strict=True)
    }


def test_one_sequence_is_a_group(tmp_path: Path) -> None:
    write_poses(stand(0, 0), tmp_path / 'jump' / 'a.json')
    assert group(tmp_path, tmp_path / 'out.csv') == 0
    assert read_groups(tmp_path / 'out.csv') == {'jump/a.json': 'place_000'}


def test_wrong_use_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert group(tmp_path / 'none', tmp_path / 'out.csv') == 2
    assert 'data_root must be a folder' in capsys.readouterr().err
    write_poses(stand(0, 0), tmp_path / 'jump' / 'a.json')
    assert group(tmp_path, tmp_path / 'out.csv', '--distance', 0) == 2
    assert 'distance must be above 0, got distance=0.0' in capsys.readouterr().err


def test_real_sequences_of_consecutive_numbers_are_of_one_place(
    data_root: Path, tmp_path: Path
) -> None:
    root = data_root / 'poses' / 'pose_trainer'
    assert group(root, tmp_path / 'out.csv', '--skeleton', 'openpose18') == 0
    groups = read_groups(tmp_path / 'out.csv')
    assert len(groups) == 112 and len(set(groups.values())) == 21
    exercises = defaultdict(set)
    for name, place in groups.items():
        exercises[place].add(name.split('/')[0])
    # nobody did two exercises at one place, and each exercise was recorded at several
    assert all(len(names) == 1 for names in exercises.values())
    counts = Counter(name for names in exercises.values() for name in names)
    assert min(counts.values()) >= 2
    assert groups['bicep/bicep_bad_5.npy'] == groups['bicep/bicep_good_4.npy']
