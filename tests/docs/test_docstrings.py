import pytest

pytest.importorskip('sphinx', reason='pip install -r requirements/docs.txt')
from docstrings import translate


@pytest.mark.parametrize(
    ('text', 'translated'),
    [
        pytest.param('of `a_b` and *.mp4', r'of ``a_b`` and \*.mp4', id='code_and_star'),
        pytest.param('ends in CollectedData_.', r'ends in CollectedData\_.', id='underscore'),
        pytest.param('all `Frame`s', 'all ``Frame``\\ s', id='plural'),
        pytest.param('code `over\ntwo` lines', 'code ``over two`` lines', id='two_lines'),
        pytest.param('a: share of b\n    c.\nd: e', '- a: share of b\n  c.\n- d: e', id='list'),
        pytest.param('Args:\n    x: a * b', 'Args:\n    x: a \\* b', id='section'),
        pytest.param('Note: one line', 'Note: one line', id='no_list'),
        pytest.param('E:\n\n    >>> a * b\n    `x`', 'E:\n\n    >>> a * b\n    `x`', id='doctest'),
    ],
)  # fmt: skip
def test_docstrings_are_read_as_they_are_written(text: str, translated: str):
    assert translate(text.split('\n')) == translated.split('\n')
