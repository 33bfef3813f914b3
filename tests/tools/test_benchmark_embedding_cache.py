"""Three tiny runs: the same losses, and the backbone at work once."""

import re
import sys

import pytest

from tests.embedded_clips import describe_run


@pytest.fixture
def script(import_script):
    return import_script('benchmark_embedding_cache')


def test_the_three_runs_have_the_same_losses(script, tmp_path):
    config = describe_run()
    found = script.compare(config, epochs=2, work_dir=tmp_path, seed=5)
    assert list(found) == ['published', 'cold', 'warm']
    for run in found.values():
        assert len(run.losses) == 4 and run.steps_per_epoch == 2 and len(run.epoch_means()) == 2
        assert run.losses == pytest.approx(found['published'].losses, rel=1e-5)
    assert len([*tmp_path.glob('embeddings/*/*.npy')]) == 10
    assert config.train_dataloader.dataset.cache_dir is None
    for name, lines in (
        ('published', []),
        ('cold', ['10 embeddings: 0 from']),
        ('warm', ['10 embeddings: 10 from']),
    ):
        log = next((tmp_path / name).glob('*/*.log')).read_text()
        assert re.findall('10 embeddings: [0-9]+ from', log) == lines


def test_the_report(script):
    found = {
        'published': script.Measured(80.0, [4.0, 2.0, 1.0, 1.0], 2),
        'cold': script.Measured(8.0, [4.0, 2.0, 1.5, 1.0], 2),
    }
    lines = script.describe(found)
    assert lines[3] == '| cold | 8.0 s | 10.0 x | 5.0e-01, of the loss 5.0e-01 |'
    assert lines[-2:] == ['| 1 | 3.000000 | 3.000000 |', '| 2 | 1.000000 | 1.250000 |']


def test_configs_without_embeddings_are_refused(script, tmp_path):
    config = describe_run()
    config.custom_hooks = []
    with pytest.raises(ValueError, match='and the EmbeddingHook, got EmbeddedClips and no hooks'):
        script.compare(config, epochs=1, work_dir=tmp_path)
    config = describe_run()
    config.train_cfg = dict(type='FitLoop')
    with pytest.raises(ValueError, match=r"must train in epochs, got train_cfg.type='FitLoop'"):
        script.compare(config, epochs=1, work_dir=tmp_path)


def test_a_wrong_number_of_epochs(script, monkeypatch, capsys):
    monkeypatch.setattr(sys, 'argv', ['benchmark_embedding_cache.py', 'x', '--epochs', '0'])
    with pytest.raises(SystemExit):
        script.main()
    assert '--epochs must be at least 1, got --epochs 0' in capsys.readouterr().err
