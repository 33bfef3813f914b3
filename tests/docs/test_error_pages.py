import ast
from pathlib import Path

import pytest

pytest.importorskip('sphinx', reason='pip install -r requirements/docs.txt')
from error_pages import find_messages, make_pages, read_messages

SOURCE = """
class Reader:
    def read(self, path):
        if not path:
            raise ValueError(f'path must be a file, got {path!r} of {describe(path)}; {AGAIN}')
        raise TypeError(self.reason)
"""


def test_a_message_is_read_with_its_place_and_what_to_do():
    file = Path('mmotion', 'video', 'reading.py')
    (message,) = read_messages(ast.parse(SOURCE), file, {'AGAIN': 'copy it again'})
    assert (message.part, message.place) == ('mmotion.video', 'reading.Reader.read')
    assert message.kind == 'ValueError'
    assert message.text == 'path must be a file, got {path} of {...}'
    assert message.remedy == 'copy it again'


def test_all_of_the_code_is_there():
    messages = [*find_messages()]
    assert len(messages) > 500
    assert {m.part for m in messages} >= {'mmotion.video', 'projects.bkind', 'tools'}
    found = {m.text: m.remedy for m in messages}
    assert found['a video must not be empty, got path={path} of 0 bytes'] == 'copy it again'


def test_a_table_is_not_broken_by_what_a_message_holds():
    for page in make_pages().values():
        rows = [row for row in page.split('\n') if row.startswith('|')]
        assert all(row.replace('\\|', '').count('|') == 4 for row in rows)
