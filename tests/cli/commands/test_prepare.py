import pytest

from tests.command_lines import check_wrong_use, run


def test_data_sets_and_their_steps_are_listed(tools, capsys):
    code, out, _ = run(capsys, 'prepare')
    assert code == 0
    assert [line.split('  ')[0] for line in out.splitlines()] == [
        'big-set check', 'big-set get', 'small-set',
    ]  # fmt: skip


@pytest.mark.parametrize(
    ('words', 'prog'),
    [
        pytest.param(['big-set', 'get', 'x'], 'big-set get', id='a step'),
        pytest.param(['big_set', 'get', 'x'], 'big-set get', id='as the folder is called'),
        pytest.param(['small-set', 'x'], 'small-set', id='the only step'),
    ],
)
def test_a_step_is_run(tools, capsys, words, prog):
    code, out, _ = run(capsys, 'prepare', *words)
    assert code == 0
    assert out.startswith(f"['mmotion prepare {prog}', 'x']")


def test_the_help_of_a_data_set_lists_its_steps(tools, capsys):
    code, out, _ = run(capsys, 'prepare', 'big_set', '--help')
    assert code == 0
    assert out == 'big-set check  Do check.\nbig-set get    Do get.\n'


def test_wrong_use_is_answered_in_one_line(tools, capsys):
    message = "DATASET and step must be one of big-set check, big-set get, small-set, got 'big-set'"
    check_wrong_use(capsys, ['prepare', 'big-set'], message)
    check_wrong_use(capsys, ['prepare', 'big-set', 'gett'], "did you mean 'big-set get'?")
    check_wrong_use(capsys, ['prepare', 'smallset'], "did you mean 'small-set'?")


def test_steps_of_the_project_tell_their_arguments(capsys):
    code, out, _ = run(capsys, 'prepare', 'ucf-sports', '--help')
    assert code == 0
    assert out.startswith('usage: mmotion prepare ucf-sports ')
    # who has a folder of their own does not look for UCF Sports
    code, own, _ = run(capsys, 'prepare', 'folder', '--help')
    assert code == 0 and own.startswith('usage: mmotion prepare folder ')
