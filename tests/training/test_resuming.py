import threading

import pytest

from mmotion.training import resuming
from mmotion.training.resuming import find_work_dir, hold_work_dir
from mmotion.training.runner import build_runner
from tests.training.test_runner import toy
from tests.training_runs import train


def test_where_torchrun_restarts_processes_the_work_dir_says_where_to_go_on(tmp_path, monkeypatch):
    config = toy(train_cfg__max_epochs=1)
    train(config, work_dir=tmp_path / 'a')
    monkeypatch.setenv('TORCHELASTIC_MAX_RESTARTS', '1')
    given = tmp_path / 'a' / 'epoch_1.pth'
    # nothing is there yet, so it begins: anew, or where it is told
    for name, resume in (('new', None), ('told', given)):
        config = toy(train_cfg__max_epochs=1 if resume is None else 2)
        runner = train(config, work_dir=tmp_path / name, resume=resume)
        assert runner.cfg.load_from == (str(given) if resume else None)
        last = tmp_path / name / f'epoch_{runner.epoch}.pth'
        # killed at its end, it goes on from there
        runner = build_runner(config, work_dir=tmp_path / name, resume=resume)
        assert (runner.cfg.resume, runner.cfg.load_from) == (True, str(last))
    with pytest.raises(ValueError, match=r'no checkpoint in the work dir .* leave out its path'):
        build_runner(config, work_dir=tmp_path / 'a', resume=given)


def test_a_restarted_run_waits_for_what_the_dead_one_has_left(tmp_path, monkeypatch):
    monkeypatch.setattr(resuming, '_ORPHANS_S', 0.3)
    with hold_work_dir(tmp_path):
        with pytest.raises(ValueError, match='must not be in use'), hold_work_dir(tmp_path):
            pass
        monkeypatch.setenv('TORCHELASTIC_MAX_RESTARTS', '1')
        with pytest.raises(ValueError, match='must not be in use'), hold_work_dir(tmp_path):
            pass
    monkeypatch.setattr(resuming, '_ORPHANS_S', 60)
    held, free = threading.Event(), threading.Event()

    def hold():
        with hold_work_dir(tmp_path):
            held.set()
            free.wait(60)

    orphan = threading.Thread(target=hold)
    orphan.start()
    assert held.wait(60)
    threading.Timer(0.5, free.set).start()
    with hold_work_dir(tmp_path):
        assert free.is_set()
    orphan.join()


def test_a_work_dir_is_named_by_argument_config_and_file():
    config = toy()
    assert find_work_dir(config, None).as_posix() == 'work_dirs/toy'
    config.work_dir = 'b'
    assert find_work_dir(config, None).as_posix() == 'b'
    assert find_work_dir(config, 'a').as_posix() == 'a'
