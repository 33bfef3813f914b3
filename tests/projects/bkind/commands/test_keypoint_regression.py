"""The command on small data."""

import numpy as np

from mmotion.cli import main
from mmotion.video.writer import VideoWriter
from projects.bkind import labeled_data, metrics
from projects.bkind.commands import keypoint_regression
from projects.bkind.metrics import Examples, evaluate_split
from tests.projects.bkind.test_metrics import Tracker, draw_frame, write_annotations


def test_the_report_has_a_line_a_method():
    places = np.random.default_rng(0).uniform(-1, 1, (12, 2, 2))
    methods = ('trained', 'centroid', 'centroid and constant', 'constant')
    examples = Examples(dict.fromkeys(methods, places), places, ('nose', 'tail'))
    distances = evaluate_split(examples, examples)
    lines = keypoint_regression.describe(distances, examples, 12)
    assert lines[0].startswith('2 annotated points; 12 frames tested, about 12 fitted')
    assert [line.split()[0] for line in lines[2:6]] == [
        'trained', 'centroid', 'centroid', 'constant',
    ]  # fmt: skip


def test_command_prints_the_report_and_writes_the_table(tmp_path, monkeypatch, capsys):
    places = [(10 + 2 * n, 20 + n % 7) for n in range(30)]
    with VideoWriter(tmp_path / 'clip.mp4', fps=10.0) as writer:
        for place in places:
            writer.write(draw_frame(*place))
    write_annotations(tmp_path / 'a.csv', range(30), places)
    monkeypatch.setattr(
        metrics, 'load_predictors', lambda *args: {'trained': Tracker(), 'untrained': Tracker()}
    )
    command = ['keypoint-regression', 'bkind_shapes', '--annotations', str(tmp_path / 'a.csv')]
    options = [
        '--video',
        str(tmp_path / 'clip.mp4'),
        '--gap',
        '2',
        '--out',
        str(tmp_path / 't.csv'),
    ]
    assert main([*command, *options]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == '2 annotated points; 30 frames tested, about 24 fitted, without bias'
    assert printed[2].split()[:2] == ['trained', '2']
    rows = (tmp_path / 't.csv').read_text().splitlines()
    assert rows[0] == 'method,percent_mse,pck_0.05,pck_0.1'
    assert [row.split(',')[0] for row in rows[1:]] == [
        'trained', 'untrained', 'centroid of the difference', 'centroid and constant', 'constant',
    ]  # fmt: skip
    assert float(rows[1].split(',')[1]) < 1


def test_help_tells_how_many_frames_the_metric_takes():
    assert keypoint_regression.MAX_FRAMES == labeled_data.MAX_FRAMES
