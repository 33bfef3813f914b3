"""Reliability of an untrained model on generated videos."""

import csv

from mmotion import inference
from mmotion.cli import main


def test_reliability_of_a_config(tmp_path, monkeypatch, capsys):
    real = inference.load_model
    monkeypatch.setattr(
        inference, 'load_model', lambda config, weights, device: real(config, weights, device='cpu')
    )
    options = ['--checkpoint', 'random', '--split', 'test', '--bins', '2', '--out', str(tmp_path)]
    changes = ['--cfg-options', 'test_dataloader.dataset.num_videos=3']
    assert main(['reliability', 'repnet_shapes', *options, *changes]) == 0
    assert '3 videos, OBO ' in capsys.readouterr().out
    with (tmp_path / 'reliability.csv').open() as file:
        rows = list(csv.DictReader(file))
    assert [row['name'] for row in rows] == [f'test_{i:06d}' for i in range(3)]
    assert all(0 <= float(row['confidence']) <= 1 for row in rows)
    assert (tmp_path / 'reliability.png').is_file()
