import json

import cv2
import pytest

from mmotion.cli import main
from tests.command_lines import TOY, check_wrong_use, run


def test_the_rates_are_those_of_a_training(folder, capsys):
    from mmengine.registry import init_default_scope

    from mmotion.cli.commands.plot_schedule import count_steps, list_ranges
    from mmotion.config import load_config

    schedule = ['train_cfg.max_epochs=2', 'param_scheduler.1.begin=1']
    assert main(['train', TOY, '--work-dir', 'run', '--cfg-options', *schedule]) == 0
    (log,) = (folder / 'run').glob('*/vis_data/scalars.json')
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    trained = [line['lr'] for line in lines if 'lr' in line]
    init_default_scope('mmotion')
    config = load_config(TOY, {'train_cfg.max_epochs': 2, 'param_scheduler.1.begin': 1})
    assert count_steps(config) == 8
    lows, highs = zip(*list_ranges(config, 8, 'lr'), strict=True)
    assert len(highs) == 16 and highs == lows
    assert list(highs) == pytest.approx(trained)


def test_a_picture(folder, capsys):
    code, out, _ = run(capsys, 'plot-schedule', TOY)
    assert code == 0
    assert 'lr of 16 steps, 8 an epoch: begins at 0.001, highest 0.009708' in out
    assert cv2.imread('toy_lr.png').std() > 5
    options = ['--parameter', 'momentum', '--epoch-length', '20', '--out', 'a/m.png']
    code, out, _ = run(capsys, 'plot-schedule', TOY, *options)
    assert code == 0 and 'momentum of 40 steps, 20 an epoch: begins at 0.9, highest 0.9' in out
    assert (folder / 'a' / 'm.png').is_file()


def test_layers_with_rates_of_their_own(folder, capsys):
    from mmengine.registry import init_default_scope

    from mmotion.cli.commands.plot_schedule import list_ranges
    from mmotion.config import load_config

    init_default_scope('mmotion')
    slow = {'optim_wrapper.paramwise_cfg.custom_keys': {'head': {'lr_mult': 0.1}}}
    config = load_config(TOY, {**slow, 'param_scheduler': []})
    assert list_ranges(config, 4, 'lr')[0] == pytest.approx((0.001, 0.01))


def test_data_that_are_not_there(folder, capsys):
    check_wrong_use(
        capsys,
        ['plot-schedule', 'timesformer_folder'],
        '--epoch-length must be given where the data are not there, got none and ',
    )
    check_wrong_use(
        capsys, ['plot-schedule', TOY, '--epoch-length', '0'], '--epoch-length must be at least 1'
    )
