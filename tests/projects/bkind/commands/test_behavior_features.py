"""The baseline on behaviours that are plain to see."""

import json

import numpy as np
import pytest

from mmotion.cli import main
from projects.bkind.results import KeypointTracks


def make_tracks(num_frames=200, seed=0):
    """A keypoint that is on the left in frames 50 to 99, runs from 120 to 159, and rests else."""
    rng = np.random.default_rng(seed)
    x = np.full(num_frames, 400.0)
    x[50:100] = 100
    x[120:160] += 40 * (np.arange(40) % 4)
    x = x + rng.normal(0, 3, num_frames)
    return KeypointTracks(
        fps=25.0,
        width=640,
        height=480,
        frames=np.arange(num_frames),
        keypoints=np.stack([x, np.full(num_frames, 240.0)], axis=1)[:, None],
        confidence=np.full((num_frames, 1), 0.5),
        covariance=np.tile([640.0**2, 480.0**2 / 4, 640.0 * 480 / 8], (num_frames, 1, 1)),
        names=('nose',),
    )


@pytest.fixture
def videos(tmp_path):
    paths = []
    for seed in range(4):
        path = tmp_path / f'mouse{seed}.json'
        path.write_text(json.dumps(make_tracks(seed=seed).to_dict()))
        paths.append(path)
    rows = [f'mouse{seed},50,100,left\nmouse{seed},120,160,run\n' for seed in range(4)]
    (tmp_path / 'labels.csv').write_text('video,start,end,label\n' + ''.join(rows))
    return paths


def test_command_writes_features_and_finds_behaviours(videos, tmp_path, capsys):
    command = ['behavior-features', *map(str, videos), '--out', str(tmp_path / 'out')]
    labels = ['--labels', str(tmp_path / 'labels.csv'), '--test', 'mouse3', 'mouse[2]']
    assert main([*command, *labels]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == '400 frames tested'
    assert lines[-1].startswith('MAP')
    assert float(lines[-1].split()[1]) > 0.9
    with np.load(tmp_path / 'out' / 'mouse1.npz') as content:
        assert content['features'].shape == (200, 6)
        assert content['frames'].tolist() == list(range(200))
        assert content['names'][0] == 'nose_x'
    assert main([*command, '--csv']) == 0
    rows = (tmp_path / 'out' / 'mouse0.csv').read_text().splitlines()
    assert len(rows) == 201 and rows[0].startswith('frame,nose_x,nose_y,')
