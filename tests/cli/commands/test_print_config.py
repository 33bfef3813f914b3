import pytest

from mmotion.config import load_config
from tests.command_lines import TOY, check_wrong_use, run

WRONG_USE = {
    'no config': (['print-config'], 'the following arguments are required: CONFIG'),
    'unknown key': (['print-config', TOY, '--keys', 'modle'], 'toy.py without modle'),
    'not a config': (['print-config', TOY, '--out', 'a.json'], '--out must end in .py, as a conf'),
}


@pytest.mark.parametrize(('arguments', 'message'), WRONG_USE.values(), ids=WRONG_USE)
def test_wrong_use_is_answered_in_one_line(folder, capsys, arguments, message):
    check_wrong_use(capsys, arguments, message)


def test_bases_and_options_are_in_it(capsys):
    code, out, _ = run(capsys, 'print-config', TOY, '--cfg-options', 'train_cfg.max_epochs=77')
    assert code == 0
    assert 'max_epochs=77' in out
    # of the base
    assert 'default_hooks = dict(' in out
    assert '_base_' not in out


def test_a_part_of_it(capsys):
    code, out, _ = run(capsys, 'print-config', TOY, '--keys', 'train_cfg', 'predictor')
    assert code == 0
    assert [line.split(' = ')[0] for line in out.splitlines()] == ['predictor', 'train_cfg']


def test_what_is_written_is_the_same_config(folder, capsys):
    given = ['--cfg-options', 'model.dropout=0.25', '--out', 'new/mine.py']
    assert run(capsys, 'print-config', TOY, *given)[0] == 0
    expected = load_config(TOY, {'model.dropout': 0.25})
    assert load_config('new/mine.py').pretty_text == expected.pretty_text
