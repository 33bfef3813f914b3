"""Pretraining, probes and training from scratch on tiny generated sequences."""

import json
from pathlib import Path

import pytest

from mmotion.cli import main
from mmotion.training import runner
from projects.pose_sequence.commands import label_efficiency as script

TINY = {
    'train_cfg.max_epochs': 2,
    'model.encoder.n_steps': 2,
    'model.encoder.n_length': 4,
    'model.encoder.num_conv_filter': 8,
    'train_dataloader.num_workers': 0,
    'train_dataloader.dataset.num_sequences': 32,
}
CLASSIFIER = {
    **TINY,
    'train_dataloader.dataset.pipeline.6.max_seq_length': 8,
    'train_dataloader.batch_size': 16,
    'test_dataloader.num_workers': 0,
    'test_dataloader.dataset.num_sequences': 16,
    'test_dataloader.dataset.pipeline.4.max_seq_length': 8,
}
SIMCLR = {
    **TINY,
    'train_dataloader.dataset.pipeline.1.transforms.7.max_seq_length': 8,
    'train_dataloader.batch_size': 16,
    'custom_hooks': [],
}
CONFIGS = ('pose_simclr_shapes', 'pose_probe_shapes', 'pose_convlstm_shapes')


def test_all_runs_are_done_once(tmp_path, monkeypatch, capsys):
    def compare():
        return script.compare(
            *CONFIGS,
            share=0.5,
            seeds=[0, 1],
            work_dir=tmp_path,
            options=CLASSIFIER,
            pretrain_options=SIMCLR,
        )

    found = compare()
    assert {method: len(values) for method, values in found.items()} == {'probe': 2, 'scratch': 2}
    assert all(0 <= value <= 1 for values in found.values() for value in values)
    result = json.loads((tmp_path / 'probe_seed_1' / 'result.json').read_text())
    options = result['settings']['options']
    assert options['train_dataloader.dataset.label_seed'] == 1
    assert Path(options['load_from']).parent == tmp_path / 'pretrain'

    monkeypatch.setattr(runner, 'build_runner', lambda *args, **kwargs: pytest.fail('run again'))
    assert compare() == found


def test_a_run_with_other_options_is_refused(tmp_path):
    settings = {'config': 'pose_lstm_shapes', 'options': {}, 'seed': 0}
    (tmp_path / 'result.json').write_text(json.dumps({'settings': settings, 'metrics': {}}))
    with pytest.raises(ValueError, match='work_dir must hold a run with the same options'):
        script.run_once('pose_lstm_shapes', {}, tmp_path, seed=1, metric='acc/top1')


def test_report_has_means_spreads_and_what_is_gained():
    lines = script.describe(
        {'probe': [0.9, 0.8, 0.7], 'scratch': [0.6, 0.8, 0.75]}, share=0.05, metric='acc/top1'
    )
    assert lines[0] == 'acc/top1 with 5.0% of the labels, 3 seeds'
    assert lines[1] == '   probe: 0.8000 +- 0.1000  0.9000 0.8000 0.7000'
    assert lines[3] == 'the probe is better by 8.3 +- 18.9 points, in 1 of 3 seeds'
    assert (
        '+- 0.0000'
        in script.describe({'probe': [0.9], 'scratch': [0.6]}, share=0.05, metric='acc/top1')[1]
    )


def test_command_prints_the_report_and_writes_the_table(tmp_path, monkeypatch, capsys):
    def compare(pretrain, probe, scratch, *, seeds, **options):
        assert (pretrain, probe, scratch) == CONFIGS
        assert options['options'] == {'train_cfg.max_epochs': 1}
        return {'probe': [0.75] * len(seeds), 'scratch': [0.5] * len(seeds)}

    monkeypatch.setattr(script, 'compare', compare)
    command = ['label-efficiency', CONFIGS[0], '--probe', CONFIGS[1], '--scratch', CONFIGS[2]]
    options = ['--seeds', '2', '--work-dir', str(tmp_path), '--cfg-options']
    assert main([*command, *options, 'train_cfg.max_epochs=1']) == 0
    assert 'the probe is better by 25.0 +- 0.0 points, in 2 of 2 seeds' in capsys.readouterr().out
    rows = (tmp_path / 'label_efficiency.csv').read_text().splitlines()
    assert rows == ['method,seed,acc/top1', *(f'probe,{i},0.75000' for i in range(2))] + [
        f'scratch,{i},0.50000' for i in range(2)
    ]


@pytest.mark.parametrize('wrong', [['--seeds', '0'], ['--share', '0'], ['--share', '2']])
def test_wrong_numbers_are_refused(capsys, wrong):
    command = ['label-efficiency', 'a', '--probe', 'b', '--scratch', 'c', *wrong]
    assert main(command) == 2
    assert '--seeds must be at least 1 and --share in (0, 1]' in capsys.readouterr().err
