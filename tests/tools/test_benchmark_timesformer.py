"""The comparison with other implementations, on tiny ones."""

import sys

import pytest

from tests.tools.test_measuring import read_rows


@pytest.fixture
def script(import_script):
    return import_script('benchmark_timesformer')


def make_options(**changes):
    import measuring

    return measuring.Options(**{'tiny': True, 'memory': False, 'rounds': 1, **changes})


def test_implementations_agree_and_who_is_missing_is_named(script, monkeypatch):
    monkeypatch.setitem(sys.modules, 'transformers', None)
    (table,) = script.compare_timesformers(make_options())
    rows = read_rows(table)
    assert list(rows) == ['ours', 'MMAction2', 'ours, bf16', 'MMAction2, bf16']
    assert float(rows['MMAction2'][-1]) < 1e-4
    assert 1e-4 < float(rows['ours, bf16'][-1]) < 0.5
    assert 1e-4 < float(rows['MMAction2, bf16'][-1]) < 0.5
    assert 'Hugging Face: not measured' in table


def test_hugging_face_agrees(script):
    pytest.importorskip('transformers')
    clips = script.draw_clips(script.TINY, 1)
    other = script.build('Hugging Face', script.TINY)
    assert script.find_difference(other, script.TINY, clips) < 1e-4
