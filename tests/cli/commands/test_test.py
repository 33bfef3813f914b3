import json

import pytest

from tests.command_lines import TOY, check_wrong_use, run

WRONG_USE = {
    'test without checkpoint': (['test', TOY], 'checkpoint must be given, as no weights ship with'),
    'test with a missing one': (['test', TOY, 'no.pth'], 'must be an existing file, got no.pth'),
    'test with a folder': (['test', TOY, 'empty'], 'must be a file, got the folder empty'),
    'test with other weights': (['test', TOY, 'other.pth'], '0 of 9 tensors fit ToyCounter'),
    'config without testing': (
        ['test', 'no_test.py', 'other.pth'],
        'got no_test.py without test_dataloader, test_cfg, test_evaluator',
    ),
    'dump to a table': (
        ['test', TOY, 'other.pth', '--dump', 'a.csv'],
        '--dump must end in one of .json, .pkl, .pickle, got --dump a.csv',
    ),
    'classes of what has none': (
        ['test', TOY, 'random', '--per-class'],
        '--per-class must be used with a metric of classes, ActionMetric, got ',
    ),
    'pictures of keypoints': (
        ['test', 'bkind_shapes', 'random', '--show-dir', 'show'],
        "of classes, got model.type='BKinD'",
    ),
    'pictures of errors': (
        ['test', 'anomaly_shapes', 'random', '--show-dir', 'show'],
        "of classes, got model.type='AnomalyDetector'",
    ),
}


@pytest.mark.parametrize(('arguments', 'message'), WRONG_USE.values(), ids=WRONG_USE)
def test_wrong_use_is_answered_in_one_line(folder, capsys, arguments, message):
    check_wrong_use(capsys, arguments, message)


def test_an_untrained_model_is_measured_by_name_alone(folder, capsys):
    # not the weights that the config would start training from
    options = ['--cfg-options', 'load_from=no.pth', 'log_level=ERROR']
    assert run(capsys, 'test', TOY, 'random', '--work-dir', 'run', *options)[0] == 0


def test_train_then_test(folder, capsys):
    options = ['--cfg-options', 'train_cfg.max_epochs=1', 'log_level=ERROR']
    assert run(capsys, 'train', TOY, '--work-dir', 'run', '--no-validate', *options)[0] == 0
    assert (folder / 'run' / 'epoch_1.pth').is_file()
    given = ['test', TOY, 'run/epoch_1.pth', '--work-dir', 'run']
    code, _, _ = run(
        capsys, *given, '--dump', 'out/results.json', '--show-dir', 'show', '--cfg-options',
        'test_dataloader.dataset.num_samples=3', 'log_level=ERROR',
    )  # fmt: skip
    assert code == 0
    results = json.loads((folder / 'out' / 'results.json').read_text())
    assert len(results['samples']) == len(list((folder / 'show').glob('*.png'))) == 3
    assert results['metrics'].keys() == {'toy/mae_loss'}
    assert run(capsys, *given, '--dump', 'results.pkl')[0] == 0
    assert (folder / 'results.pkl').is_file()
