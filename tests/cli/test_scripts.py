import sys

import pytest

from mmotion.cli.scripts import describe_scripts, find_scripts, pick_script, run_script


def test_scripts_are_named_by_where_they_are(tools):
    assert {*find_scripts()} == {
        'big-set-get', 'big-set-check', 'small-set-prepare', 'benchmark-one',
        'benchmark-two-ways', 'demo',
    }  # fmt: skip
    assert [*find_scripts('analysis/*.py')] == ['benchmark-one', 'benchmark-two-ways']


def test_a_line_says_what_a_script_does(tools):
    lines = describe_scripts(find_scripts('data/*/*.py')).splitlines()
    assert lines[0].split(maxsplit=1) == ['big-set-check', 'Do check.']


def test_a_script_runs_as_python_runs_it(tools, capsys):
    before = sys.argv, sys.path[:]
    file = find_scripts()['big-set-get']
    assert run_script(file, ['a', 'b'], prog='mmotion x') == 1
    assert capsys.readouterr().out == "['mmotion x', 'a', 'b'] big_set\n"
    assert (sys.argv, sys.path) == before
    assert run_script(file, ['a'], prog='x') == 0


def test_a_script_may_end_with_a_word(tools, capsys):
    assert run_script(find_scripts()['demo'], ['stop'], prog='x') == 1
    assert capsys.readouterr().err == 'no more\n'


def test_an_unknown_script(tools):
    with pytest.raises(ValueError, match=r"got 'dema'; did you mean 'demo'\?$"):
        pick_script('NAME', 'dema', find_scripts())


def test_what_there_is_in_the_project():
    names = find_scripts()
    assert 'demo' in names and 'ucf-sports-prepare' in names
    assert not {'train', 'test', 'print-config', 'analyze-logs', 'browse-dataset'} & {*names}
    assert all(describe_scripts({name: file}) for name, file in names.items())
