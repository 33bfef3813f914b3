"""What there is to fetch, and what is said of one."""

import dataclasses

from mmotion.checkpoint.released import read_table
from tests.command_lines import run


def test_every_entry_is_listed_with_its_licence(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv('MMOTION_HOME', str(tmp_path))
    code, out, _ = run(capsys, 'models')
    assert code == 0
    for entry in read_table().values():
        line = next(line for line in out.splitlines() if line.split()[:1] == [entry.name])
        assert entry.licence in line
        assert entry.answers in line
    path = read_table()['timesformer_base_k400'].path
    path.parent.mkdir()
    path.write_bytes(b'')
    path.with_name(f'{path.name}.sha256').write_text('0  name')
    line = next(x for x in run(capsys, 'models')[1].splitlines() if 'timesformer_base_k400' in x)
    assert line.split()[1] == 'here'


def test_all_that_is_known_of_one(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv('MMOTION_HOME', str(tmp_path))
    code, out, _ = run(capsys, 'models', 'repnet_released')
    assert code == 0
    entry = read_table()['repnet_released']
    assert entry.sha256 in out
    assert entry.sources[0] in out
    assert 'none stated; commercial use: ask the authors' in ' '.join(out.split())
    assert len(dataclasses.fields(entry)) == 13


def test_a_name_that_is_not_known(capsys):
    code, _, error = run(capsys, 'models', 'repnet_releasd')
    assert code == 2
    assert 'did you mean repnet_released' in error


def test_what_ships_is_a_model_too(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv('MMOTION_HOME', str(tmp_path))
    code, out, _ = run(capsys, 'models', 'repnet_small')
    assert code == 0 and out.startswith('repnet_small\n')
    assert 'mmotion predict repnet_small VIDEO' in ' '.join(out.split())
    assert 'repnet_small.pth' in out and 'repnet_small.md' in out
    line = next(x for x in run(capsys, 'models')[1].splitlines() if 'repnet_small ' in x)
    assert line.split()[1] == 'here'
