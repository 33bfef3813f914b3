"""The analysis scripts, imported from their files."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from mmotion.config import load_config
from mmotion.structures import RepetitionCount
from mmotion.video import VideoWriter

ANALYSIS = Path(__file__).resolve().parents[2] / 'tools' / 'analysis'


def load_script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ANALYSIS / f'{name}.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize('period', [6, 13, 30])
def test_baseline_finds_the_period_of_a_moving_bar(period):
    frames = np.full((150, 48, 48, 3), 30, np.uint8)
    for i, frame in enumerate(frames):
        left = int(20 + 15 * np.sin(2 * np.pi * i / period))
        frame[10:40, left : left + 8] = 220
    found, height = load_script('repetition_baseline').principal_period(frames)
    assert found == pytest.approx(period, abs=1)
    assert height > 0.5


def test_baseline_finds_nothing_in_a_still_video():
    frames = np.full((60, 32, 32, 3), 90, np.uint8)
    assert load_script('repetition_baseline').principal_period(frames)[1] < 0.3


def test_counts_of_a_table_are_compared(tmp_path, monkeypatch, capsys):
    with VideoWriter(tmp_path / 'a.mp4', fps=10.0) as writer:
        for _ in range(20):
            writer.write(np.zeros((32, 32, 3), np.uint8))
    (tmp_path / 'counts.csv').write_text(
        'file,start_s,end_s,count\na.mp4,0.0,1.0,4\nmissing.mp4,0,1,3\n'
    )

    class FivePredictor:
        config = load_config('repnet_shapes')

        def predict(self, video, *, start_s, end_s):
            if not video.is_file():
                raise FileNotFoundError(f'no file {video}')
            assert (start_s, end_s) == (0.0, 1.0)
            rate = np.full(10, 0.5)
            return RepetitionCount.from_rates(rate, np.ones(10), fps=10.0, confidence=1.0, stride=1)

    script = load_script('evaluate_counts')
    monkeypatch.setattr(script, 'load_model', lambda *args, **kwargs: FivePredictor())
    monkeypatch.setattr(
        sys, 'argv', ['evaluate_counts', 'c', 'w.pth', str(tmp_path / 'counts.csv')]
    )
    script.main()
    printed = capsys.readouterr().out
    assert 'a.mp4 0-1 s: 5.0, true 4' in printed
    assert 'missing.mp4 0-1 s: left out' in printed
