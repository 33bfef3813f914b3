"""The analysis scripts, run as modules of their folder."""

import csv
import importlib
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

from mmotion.config import load_config
from mmotion.video import VideoWriter
from projects.repnet.results import RepetitionCount

ANALYSIS = Path(__file__).resolve().parents[2] / 'tools' / 'analysis'
OPTIONS = {'fps': 10.0, 'confidence': 0.75, 'stride': 2, 'strides': (1, 2)}


@pytest.fixture
def load_script(monkeypatch: pytest.MonkeyPatch):
    # where Python looks when a script is run
    monkeypatch.syspath_prepend(ANALYSIS)

    def load(name: str) -> ModuleType:
        return importlib.import_module(name)

    return load


def draw_bar(num_frames: int, period: float, height: int = 48) -> np.ndarray:
    """A bar that swings to and fro, (N, height, 48, 3)."""
    frames = np.full((num_frames, height, 48, 3), 30, np.uint8)
    for i, frame in enumerate(frames):
        left = int(20 + 15 * np.sin(2 * np.pi * i / period))
        frame[10:40, left : left + 8] = 220
    return frames


def write_video(path: Path, frames: np.ndarray) -> None:
    with VideoWriter(path, fps=10.0) as writer:
        for frame in frames:
            writer.write(frame)


@pytest.mark.parametrize('period', [6, 13, 30])
@pytest.mark.parametrize('height', [48, 96])
def test_baselines_find_the_period_of_a_moving_bar(load_script, period, height):
    script = load_script('repetition_baseline')
    rhythms = script.find_rhythms(draw_bar(150, period, height))
    assert list(rhythms) == ['PCA of frames', 'PCA of flow']
    for rhythm in rhythms.values():
        assert rhythm.period == pytest.approx(period, abs=0.3)
        assert rhythm.height > 0.5
        result = rhythm.count(fps=10.0)
        assert (result.count, result.num_frames) == (pytest.approx(150 / rhythm.period), 150)
        assert rhythm.count(fps=10.0, threshold=1.1).count == 0


@pytest.mark.parametrize('num_frames', [1, 4, 60])
def test_baselines_find_nothing_in_a_still_video(load_script, num_frames):
    script = load_script('repetition_baseline')
    for rhythm in script.find_rhythms(np.full((num_frames, 32, 32, 3), 90, np.uint8)).values():
        assert rhythm.count(fps=10.0).count == 0


def test_period_is_neither_too_short_nor_a_multiple(load_script):
    script = load_script('repetition_baseline')
    times = np.arange(200)
    curve = np.sin(2 * np.pi * times / 20) + 0.01 * times
    assert script.find_period(curve)[0] == pytest.approx(20, abs=0.2)
    assert script.find_period(curve, min_period=25)[0] == pytest.approx(40, abs=0.2)


def test_baselines_count_in_a_table(load_script, tmp_path, monkeypatch, capsys):
    write_video(tmp_path / 'a.mp4', draw_bar(60, 10))
    table = tmp_path / 'counts.csv'
    table.write_text('file,start_s,end_s,count\na.mp4,0,5,5\nmissing.mp4,0,1,3\n')
    monkeypatch.setattr(sys, 'argv', ['repetition_baseline', str(table)])
    load_script('repetition_baseline').main()
    printed = capsys.readouterr()
    assert 'a 0-5 s: true 5, PCA of frames 5.0, PCA of flow 5.' in printed.out
    assert printed.out.count('count/OBZ: 1.000') == 2
    assert 'missing 0-1 s: left out' in printed.err


class FivePredictor:
    """Counts five repetitions in everything."""

    config = load_config('repnet_shapes')

    def predict(self, video, *, start_s, end_s):
        if not video.is_file():
            raise FileNotFoundError(f'no file {video}')
        return RepetitionCount.from_rates(np.full(10, 0.5), np.ones(10), **OPTIONS)


def test_counts_of_a_table_are_compared(load_script, tmp_path, monkeypatch, capsys):
    write_video(tmp_path / 'a.mp4', draw_bar(60, 10))
    table, out = tmp_path / 'counts.csv', tmp_path / 'out'
    table.write_text(
        'file,start_s,end_s,count\na.mp4,0,2,2\na.mp4,2,6,3\nmissing.mp4,0,1,3\n', encoding='utf-8'
    )
    script = load_script('evaluate_counts')
    monkeypatch.setattr(script, 'load_model', lambda *args, **kwargs: FivePredictor())
    options = ['--untrimmed', '--baselines', '--draw', '--out', str(out)]
    monkeypatch.setattr(sys, 'argv', ['evaluate_counts', 'c.py', str(table), *options])
    assert script.main() == 1
    printed = capsys.readouterr().out
    report = (out / 'counts.md').read_text()
    assert report in printed
    assert '## trimmed: 2 of 3 clips' in report
    assert '## untrimmed: 1 of 2 clips' in report
    # errors of 3 of 2 and 2 of 3 in the parts, none in the whole
    assert '| c | 1.08 | 0.00 | 0.00 | multi_speed(1,2) |' in report
    assert '| c | 0.00 | 1.00 | 1.00 | multi_speed(1,2) |' in report
    assert '- trimmed, missing 0-1 s: no file' in report
    assert '- untrimmed, missing: no file' in report
    with (out / 'trimmed.csv').open() as file:
        first, second = csv.DictReader(file)
    assert first['clip'] == 'a 0-2 s'
    assert (second['true'], second['c'], second['stride']) == ('3', '5.0', '2')
    assert float(second['PCA of frames']) == pytest.approx(4, abs=0.3)
    assert (out / 'trimmed' / 'a_0-2_s.png').is_file()
    # a row of four tiles
    assert Image.open(out / 'untrimmed' / 'sheet.png').size == (4 * 540, 360)


def test_plots_need_a_folder(load_script, monkeypatch, capsys):
    monkeypatch.setattr(sys, 'argv', ['evaluate_counts', 'c', 't.csv', '--draw'])
    with pytest.raises(SystemExit):
        load_script('evaluate_counts').main()
    assert '--draw must come with --out' in capsys.readouterr().err


def make_answers(script: ModuleType, num_videos: int = 400):
    """Certainty c is right with probability 2 c - 1; a quarter repeats nothing."""
    rng = np.random.default_rng(0)
    certainty = rng.uniform(0.5, 1, num_videos)
    true_count = np.where(np.arange(num_videos) % 4, 8.0, 0.0)
    is_right = rng.random(num_videos) < 2 * certainty - 1
    return script.Answers(
        name=np.array([f'video {i}' for i in range(num_videos)]),
        true_count=true_count,
        count=true_count + np.where(is_right, 1.0, 2.0),
        confidence=np.full(num_videos, 0.9),
        periodicity=np.where(true_count > 0, 0.8, 0.2),
        certainty=certainty,
    )


def test_calibration_error_is_the_mean_distance(load_script):
    script = load_script('reliability')
    confidence = np.array([0.2, 0.4, 0.7, 0.9])
    bins = script.bin_equally(confidence, np.array([True, False, True, True]), 2)
    assert bins == [(pytest.approx(0.3), 0.5, 2), (pytest.approx(0.8), 1.0, 2)]
    assert script.calibration_error(bins) == pytest.approx(0.2)


def test_scaling_makes_a_probability_of_certainty(load_script):
    script = load_script('reliability')
    answers = make_answers(script)
    slope, offset, scaled = script.fit_platt(answers.certainty, answers.is_right)
    assert slope > 5
    # right half the time in the middle
    assert -offset / slope == pytest.approx(0.75, abs=0.03)
    assert script.calibration_error(script.bin_equally(scaled, answers.is_right, 10)) < 0.07


def test_scaling_of_answers_that_are_all_right_is_constant(load_script):
    slope, offset, scaled = load_script('reliability').fit_platt(np.ones(8), np.ones(8, bool))
    assert slope == 0
    np.testing.assert_allclose(scaled, 0.9)
    assert 1 / (1 + np.exp(-offset)) == pytest.approx(0.9)


def test_report_of_reliability(load_script, tmp_path):
    script = load_script('reliability')
    answers = make_answers(script)
    report = '\n'.join(script.describe(answers, 10))
    share = answers.is_right.mean()
    assert f'400 videos, OBO {share:.3f}, 100 repeat nothing' in report
    assert f'confidence: ECE {0.9 - share:.3f}' in report
    assert 'AUROC 1.000, average precision of nothing 1.000' in report
    assert "'nothing repeats' is said of 0 videos, 0 of them rightly; 100 are so" in report
    script.draw_reliability(answers, tmp_path / 'r.png', num_bins=10, title='test')
    assert Image.open(tmp_path / 'r.png').size == (1500, 500)


def test_reliability_of_a_config(load_script, tmp_path, monkeypatch, capsys):
    script = load_script('reliability')
    real = script.load_model
    monkeypatch.setattr(script, 'load_model', lambda config, _, device: real(config, device='cpu'))
    options = ['--split', 'test', '--bins', '2', '--out', str(tmp_path)]
    changes = ['--cfg-options', 'test_dataloader.dataset.num_videos=3']
    monkeypatch.setattr(sys, 'argv', ['reliability', 'repnet_shapes', *options, *changes])
    script.main()
    assert '3 videos, OBO ' in capsys.readouterr().out
    with (tmp_path / 'reliability.csv').open() as file:
        rows = list(csv.DictReader(file))
    assert [row['name'] for row in rows] == [f'test_{i:06d}' for i in range(3)]
    assert all(0 <= float(row['confidence']) <= 1 for row in rows)
    assert (tmp_path / 'reliability.png').is_file()
