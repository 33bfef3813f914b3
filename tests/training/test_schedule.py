import logging

import pytest

from mmotion.training.runner import build_runner
from tests.training.test_runner import toy
from tests.training_runs import read_losses, train

SCHEDULE = [
    {'type': 'LinearLR', 'start_factor': 0.1, 'end': 1, 'convert_to_iter_based': True},
    {'type': 'CosineAnnealingLR', 'begin': 1, 'eta_min': 1e-6, 'convert_to_iter_based': True},
]


def run(work_dir, *, epochs, caplog=None, schedule=SCHEDULE, lr=0.01, **options):
    """Train, and give the learning rates of all steps, and what was said of the schedule."""
    config = toy(train_cfg__max_epochs=epochs, log_level='INFO', optim_wrapper__optimizer__lr=lr)
    config.param_scheduler = [dict(part) for part in schedule]
    said = []
    handler = logging.Handler()
    handler.emit = lambda record: said.append(record.getMessage())
    runner = build_runner(config, work_dir=work_dir, validate=False, **options)
    runner.logger.addHandler(handler)
    runner.train()
    rates = {step: rate for step, (_, rate) in read_losses(work_dir).items()}
    return rates, [line for line in said if 'schedule of the' in line]


EPOCHS_ALONE = [{'type': 'MultiStepLR', 'milestones': [3], 'gamma': 0.1}]
BOTH = [
    {'type': 'LinearLR', 'start_factor': 0.1, 'end': 4, 'by_epoch': False},
    {'type': 'CosineAnnealingLR', 'T_max': None, 'eta_min': 1e-6},
]


def test_more_epochs_are_said_and_can_stretch_the_schedule(tmp_path):
    unbroken, said = run(tmp_path / 'unbroken', epochs=4)
    assert said == []
    for name in ('old', 'stretched'):
        run(tmp_path / name, epochs=2)
    old, said = run(tmp_path / 'old', epochs=4, resume='auto')
    assert 'T_max 8 (here 24)' in said[0] and 'it is 0.000382 now. stretch_schedule' in said[0]
    assert max(old[step] for step in range(17, 33)) < 4e-4 < 0.005 < unbroken[17]

    stretched, said = run(tmp_path / 'stretched', epochs=4, resume='auto', stretch_schedule=True)
    assert 'is stretched to that of this config' in said[0]
    for step in range(17, 33):
        assert stretched[step] == pytest.approx(unbroken[step], rel=1e-6)


@pytest.mark.parametrize('schedule', [EPOCHS_ALONE, BOTH], ids=['epochs', 'steps and epochs'])
def test_schedules_that_count_epochs_are_stretched_too(tmp_path, schedule):
    def schedule_of(epochs):
        return [{**part, **({'T_max': epochs} if 'T_max' in part else {})} for part in schedule]

    unbroken, _ = run(tmp_path / 'a', epochs=4, schedule=schedule_of(4))
    first = [
        {**part, **({'milestones': [1]} if 'milestones' in part else {})} for part in schedule_of(2)
    ]
    run(tmp_path / 'b', epochs=2, schedule=first)
    rates, _ = run(
        tmp_path / 'b', epochs=4, schedule=schedule_of(4), resume='auto', stretch_schedule=True
    )
    for step in range(17, 33):
        assert rates[step] == pytest.approx(unbroken[step], rel=1e-6)


def test_another_learning_rate_is_said_and_can_be_taken(tmp_path):
    run(tmp_path, epochs=1, lr=0.01, schedule=EPOCHS_ALONE)
    _, said = run(tmp_path, epochs=2, lr=0.03, resume='auto', schedule=EPOCHS_ALONE)
    assert 'base_values 0.01 (here 0.03)' in said[0]


def test_the_same_config_says_nothing(tmp_path):
    config = toy(train_cfg__max_epochs=2)
    train(config, work_dir=tmp_path)
    _, said = run(tmp_path / 'a', epochs=2)
    _, said = run(tmp_path / 'a', epochs=2, resume='auto')
    assert said == []
