"""Counts of a model beside those of a table."""

import csv

import numpy as np
import pytest
from PIL import Image

from mmotion import inference
from mmotion.cli import main
from mmotion.config import load_config
from projects.repnet.results import RepetitionCount

OPTIONS = {'fps': 10.0, 'confidence': 0.75, 'stride': 2, 'strides': (1, 2)}


class FivePredictor:
    """Counts five repetitions in everything."""

    config = load_config('repnet_shapes')

    def predict(self, video, *, start_s, end_s):
        if not video.is_file():
            raise FileNotFoundError(f'no file {video}')
        return RepetitionCount.from_rates(np.full(10, 0.5), np.ones(10), **OPTIONS)


def test_counts_of_a_table_are_compared(video, tmp_path, monkeypatch, capsys):
    table, out = tmp_path / 'counts.csv', tmp_path / 'out'
    table.write_text(
        'file,start_s,end_s,count\na.mp4,0,2,2\na.mp4,2,6,3\nmissing.mp4,0,1,3\n', encoding='utf-8'
    )
    monkeypatch.setattr(inference, 'load_model', lambda *args, **kwargs: FivePredictor())
    options = ['--untrimmed', '--baselines', '--draw', '--out', str(out)]
    (tmp_path / 'c.py').write_text('')
    assert main(['evaluate-counts', str(tmp_path / 'c.py'), str(table), *options]) == 1
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


def test_plots_need_a_folder(capsys):
    assert main(['evaluate-counts', 'c', 't.csv', '--draw']) == 2
    assert '--draw must come with --out' in capsys.readouterr().err
