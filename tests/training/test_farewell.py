from pathlib import Path
from types import SimpleNamespace

from mmengine.logging import HistoryBuffer

from mmotion.training.farewell import describe_end


def make_runner(work_dir, info, times=(), **config):
    """A runner after steps with these seconds of waiting for data, and in all."""
    scalars = {}
    if times:
        scalars = {
            f'train/{name}': HistoryBuffer([step[i] for step in times], [1] * len(times))
            for i, name in enumerate(('data_time', 'time'))
        }
    return SimpleNamespace(
        work_dir=str(work_dir),
        message_hub=SimpleNamespace(runtime_info=info, log_scalars=scalars),
        hooks=[SimpleNamespace(), SimpleNamespace(key_indicators=['acc/top1'])],
        cfg=config,
    )


def test_the_best_and_the_last_and_what_to_type(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = tmp_path / 'my run'
    run.mkdir()
    for name in ('epoch_3.pth', 'best_acc_top1_epoch_2.pth'):
        (run / name).write_bytes(b'')
    info = {'best_score': 0.91234, 'best_ckpt': str(run / 'best_acc_top1_epoch_2.pth'), 'iter': 3}
    runner = make_runner(run, info, test_evaluator={'type': 'A'}, predictor={'type': 'B'})
    assert describe_end(runner, 'a b.py').splitlines() == [
        f'training is done: {run}',
        'best acc/top1 0.9123: my run/best_acc_top1_epoch_2.pth',
        'last checkpoint: my run/epoch_3.pth',
        "next: mmotion test 'a b.py' 'my run/best_acc_top1_epoch_2.pth'",
        "next: mmotion predict 'a b.py' VIDEO --checkpoint 'my run/best_acc_top1_epoch_2.pth'",
    ]


def test_several_metrics_have_their_names():
    info = {
        'best_score_OBO': 0.5, 'best_ckpt_OBO': '/x/a.pth', 'best_score_MAE': 2,
        'best_ckpt_MAE': '/x/b.pth',
    }  # fmt: skip
    lines = describe_end(make_runner(Path('/x'), info), 'c').splitlines()
    assert lines[1:] == ['best OBO 0.5: /x/a.pth', 'best MAE 2: /x/b.pth']


def test_without_validation_the_last_is_the_one_to_go_on_with(tmp_path):
    (tmp_path / 'epoch_1.pth').write_bytes(b'')
    lines = describe_end(make_runner(tmp_path, {}, test_evaluator=[{}]), 'c').splitlines()
    last = tmp_path / 'epoch_1.pth'
    assert lines[1:] == [f'last checkpoint: {last}', f'next: mmotion test c {last}']
    assert (
        describe_end(make_runner(tmp_path / 'none', {}), 'c')
        == f'training is done: {tmp_path}/none'
    )


def test_the_share_of_the_time_that_was_waited_for_data(tmp_path):
    runner = make_runner(tmp_path, {}, times=[(0.5, 1.0), (0.1, 1.0), (0.0, 0.5)])
    assert 'waited for data 24% of the time of the steps' in describe_end(runner, 'c').splitlines()
