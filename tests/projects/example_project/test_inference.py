"""The predictor: clips that follow one another, and that it is right once it has learned."""

from pathlib import Path

import numpy as np
import pytest
import torch

from mmotion.cli.parser import main
from mmotion.inference import load_model
from mmotion.video import VideoWriter
from projects.example_project.data import MovingDots


@pytest.fixture
def predictor():
    return load_model('example_project_dots', 'random', device='cpu')


def make_frames(seed, num_frames):
    """Frames (N, 16, 16, 3), and the index of the direction."""
    sample = MovingDots(num_clips=1, seed=seed, num_frames=num_frames)[0]
    return sample['inputs'].permute(1, 2, 3, 0).numpy(), sample['data_samples'].gt_label


def test_scores_are_the_mean_over_frames(predictor, monkeypatch):
    lengths = []

    def forward(clips):
        lengths.append(clips.shape[2])
        # a full clip says left for sure, the rest right
        return torch.tensor([[50.0, 0.0]] if clips.shape[2] == 8 else [[0.0, 50.0]])

    monkeypatch.setattr(predictor.model, 'forward', forward)
    frames, _ = make_frames(0, 20)
    results = list(predictor.stream(iter(frames), fps=10.0))
    assert lengths == [8, 8, 4]
    assert [result.num_frames for result in results] == [8, 16, 20]
    assert results[-1].label == 'left'
    assert results[-1].score == pytest.approx(16 / 20)
    assert predictor.predict(frames, fps=10.0) == results[-1]


def test_the_time_of_the_first_frame(predictor):
    frames, _ = make_frames(0, 20)
    result = predictor.predict(frames, fps=10.0, start_s=1.2)
    assert (result.start_s, result.num_frames) == (pytest.approx(1.2), 8)


def test_large_videos_are_scaled_and_the_direction_is_found(predictor):
    dataset = MovingDots(num_clips=256, seed=0)
    model = predictor.model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    for start in range(0, 256, 16):
        samples = [dataset[index] for index in range(start, start + 16)]
        batch = {key: [sample[key] for sample in samples] for key in samples[0]}
        for _ in range(4):
            loss = model(**model.data_preprocessor(batch, training=True), mode='loss')['loss']
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    model.eval()
    right = []
    for seed in range(20):
        frames, label = make_frames(100 + seed, 16)
        large = np.kron(frames, np.ones((1, 3, 3, 1), np.uint8))
        right.append(predictor.predict(large, fps=10.0).label == ('left', 'right')[label])
    assert np.mean(right) > 0.9


def test_draw_takes_kinds_of_pictures(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with VideoWriter('clip.mp4', fps=10.0) as writer:
        for level in range(6):
            writer.write(np.full((32, 32, 3), 20 * level, np.uint8))
    command = ['predict', 'example_project_dots', '--checkpoint', 'random', '--out']
    assert main([*command, 'd', 'clip.mp4', '--draw', 'gif', '--draw', 'sheet']) == 0
    drawn = {'clip_overlay.mp4', 'clip_overlay.gif', 'clip_sheet.png', 'clip_direction.png'}
    assert {file.name for file in Path('d').iterdir()} == {'clip.json', *drawn}
    # in a folder, none of them is a video
    Path('clip.mp4').rename('d/other.mp4')
    assert main([*command, 'e', 'd']) == 0
    assert [file.name for file in Path('e').iterdir()] == ['other.json']
