"""The demo: what it runs, what it shows of it, and how `make demo` hands a video on."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tools import demo

ROOT = Path(__file__).resolve().parents[2]
TRAIN = (
    '11/28 05:14:03 - mmengine - INFO - Epoch(train) [1][ 40/300]  lr: 1.7391e-04  eta: 1:20:22  '
    'time: 1.5330  data_time: 0.0874  grad_norm: 11.4545  loss: 6.5863  loss_period: 3.3008\n'
)
VALIDATE = '05:20 - mmengine - INFO - Epoch(val) [3][ 50/100]    eta: 0:00:07  time: 0.1\n'
TEST = 'INFO - Epoch(test) [100/100]    count/MAE: 0.1811  count/OBO: 0.8100  count/OBZ: 0.5\n'


@pytest.fixture
def asked(monkeypatch, tmp_path):
    """The command lines that are run in this process; the demo has another working directory."""
    lines = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(demo, 'mmotion', lambda words: lines.append(words) or 0)
    return lines


def run_demo(monkeypatch, *words):
    monkeypatch.setattr('sys.argv', ['demo', *words])
    demo.main()


def test_a_video_is_counted_by_the_shipped_model_and_nothing_is_trained(monkeypatch, capsys, asked):
    run_demo(monkeypatch, '--video', "my video's $b.mp4")
    assert [line[:3] for line in asked] == [['predict', 'repnet_small', "my video's $b.mp4"]]
    assert 'true count' not in capsys.readouterr().out


def test_without_a_video_a_generated_one_is_counted_against_the_truth(monkeypatch, capsys, asked):
    run_demo(monkeypatch)
    assert Path(asked[0][2]).stat().st_size > 10_000
    out = capsys.readouterr().out
    assert 'true count: 19' in out
    # the second step, and all of it on one screen
    assert 'make demo TRAIN=1' in out
    assert len(out.splitlines()) < 20


def test_a_command_that_fails_ends_the_demo_with_its_code(monkeypatch, asked):
    monkeypatch.setattr(demo, 'mmotion', lambda words: 2)
    with pytest.raises(SystemExit, match='2'):
        run_demo(monkeypatch, '--video', 'none.mp4')


@pytest.mark.parametrize(
    ('line', 'shown'),
    [
        pytest.param(
            TRAIN, '  train: epoch 1, step 40 of 300, loss 6.5863, 1:20:22 left\n', id='train'
        ),
        pytest.param(VALIDATE, '  val: epoch 3, step 50 of 100, 0:00:07 left\n', id='val'),
        pytest.param(TEST, '  right or off by one in 81% of the videos\n', id='metrics'),
        pytest.param('gcc -pthread -O3\n', '', id='anything else'),
    ],
)
def test_what_is_shown_of_a_run_whose_output_goes_to_a_file(
    monkeypatch, capsys, tmp_path, line, shown
):
    monkeypatch.setattr(demo, 'COMMAND', ['echo', '-n', line])
    log = tmp_path / 'run.log'
    demo.run_logged(log, 'test', 'config')
    assert capsys.readouterr().out.removeprefix('\n$ mmotion test config\n') == shown
    assert log.read_text() == f'{line} test config'


def test_a_run_that_fails_is_told_with_its_reason(tmp_path):
    log = tmp_path / 'run.log'
    with pytest.raises(SystemExit, match=r"error: COMMAND must .* 'tset'") as stop:
        demo.run_logged(log, 'tset')
    assert f'{log} has all that mmotion tset wrote' in str(stop.value)


@pytest.mark.skipif(shutil.which('make') is None, reason='needs make')
@pytest.mark.parametrize('name', ['none.mp4', "it's $(shell false) $b \\ no.mp4"])
def test_make_refuses_a_video_that_is_not_there_before_it_installs(name):
    done = subprocess.run(
        ['make', 'demo', f'VIDEO={name}', 'BIN=/not/there', 'INSTALLED=/not/there/installed'],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode
    assert f'got {name!r}, which is not there' in done.stderr
    assert done.stdout == ''
