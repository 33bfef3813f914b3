import json

import pytest

from mmotion.cli.commands.analyze_logs import Run, draw_curves, make_table
from tests.command_lines import check_wrong_use, run

WRONG_USE = {
    'no run': (['analyze-logs'], 'the following arguments are required: RUN'),
    'a folder without logs': (['analyze-logs', '.'], 'RUN must be a work dir with */vis_data'),
    'a log without lines': (['analyze-logs', 'text.pth'], 'a log with JSON lines, got none in'),
    'no smoothing': (['analyze-logs', '.', '--smooth', '0'], 'at least 1, got --smooth 0'),
}


@pytest.mark.parametrize(('arguments', 'message'), WRONG_USE.values(), ids=WRONG_USE)
def test_wrong_use_is_answered_in_one_line(folder, capsys, arguments, message):
    check_wrong_use(capsys, arguments, message)


def write_log(work_dir, losses, *, first=1, name='20260101', metrics=()):
    """Write a log of two iterations an epoch, and the metric of each epoch."""
    lines = [
        {'loss': loss, 'lr': 0.1, 'time': 0.1 * step, 'data_time': 0.01, 'epoch': (step + 1) // 2}
        | {'iter': step, 'step': step}
        for step, loss in enumerate(losses, start=first)
    ]
    lines += [
        {'mae': value, 'time': 9.0, 'data_time': 9.0, 'step': epoch}
        for epoch, value in enumerate(metrics, start=1)
    ]
    file = work_dir / name / 'vis_data' / 'scalars.json'
    file.parent.mkdir(parents=True)
    file.write_text(''.join(json.dumps(line) + '\n' for line in lines) + '{"loss": 3')
    return work_dir


def test_the_best_values_stand_in_a_table(tmp_path, capsys):
    one = write_log(tmp_path / 'one', [4, 2, 3, 2.5], metrics=[0.5, 0.25])
    two = write_log(tmp_path / 'two', [8, 6, 7, float('nan')])
    code, out, _ = run(capsys, 'analyze-logs', one, two)
    assert code == 0
    rows = [line.split() for line in out.splitlines()]
    assert rows[0] == ['key', 'run', 'last', 'lowest', 'at', 'highest', 'at']
    assert rows[1] == ['loss', 'one', '2.5', '2', 'iter', '2', '4', 'iter', '1']
    assert rows[2] == ['loss', 'two', '7', '6', 'iter', '2', '8', 'iter', '1']
    assert rows[3] == ['mae', 'one', '0.25', '0.25', 'epoch', '2', '0.5', 'epoch', '1']
    # the times of training alone: the mean of 0.1 to 0.4, and of the two epochs
    assert 'one: 0.2500 s an iteration, 0.0100 s of them for data' in out
    assert 'epoch 2 slowest, 0.3500; epoch 1 fastest, 0.1500' in out


def test_of_a_run_that_went_on_the_later_part_counts(tmp_path):
    write_log(tmp_path, [4, 3, 2, 1], name='20260101')
    write_log(tmp_path, [2.5, 1.5], first=3, name='20260102')
    found = Run(tmp_path)
    assert found.curves['loss'] == {1: 4, 2: 3, 3: 2.5, 4: 1.5}
    assert [line['step'] for line in found.lines] == [1, 2, 3, 4]


def test_keys_can_be_chosen(tmp_path, capsys):
    one = write_log(tmp_path / 'one', [4, 2], metrics=[0.5])
    code, out, _ = run(capsys, 'analyze-logs', one, '--keys', 'lr')
    assert code == 0
    assert 'lr' in out and 'mae' not in out
    code, _, error = run(capsys, 'analyze-logs', one, '--keys', 'mea')
    assert code == 2
    assert "got 'mea'; did you mean 'mae'?" in error


def test_curves_are_drawn(tmp_path, capsys):
    one = write_log(tmp_path / 'one', [4, 2, 3, 2.5], metrics=[0.5, 0.25])
    code, _, _ = run(capsys, 'analyze-logs', one, one, '--out', tmp_path / 'new' / 'c.png')
    assert code == 0
    assert (tmp_path / 'new' / 'c.png').read_bytes().startswith(b'\x89PNG')
    with pytest.raises(ValueError, match='Format'):
        draw_curves([Run(one)], ['loss'], tmp_path / 'c.tab', smooth=2)


def test_a_single_file_is_a_run(tmp_path):
    one = write_log(tmp_path / 'one', [4, 2])
    found = Run(one / '20260101' / 'vis_data' / 'scalars.json')
    assert make_table([found], ['loss'])[1].split()[2] == '2'


def test_what_is_no_log_is_named(tmp_path, capsys):
    (tmp_path / 'clip.avi').write_bytes(bytes(range(256)))
    code, _, error = run(capsys, 'analyze-logs', tmp_path / 'clip.avi')
    assert code == 2
    assert 'clip.avi' in error and 'codec' not in error
