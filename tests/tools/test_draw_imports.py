import pytest

from tools.analysis import draw_imports
from tools.analysis.draw_imports import find_circle, join_rooms, read_imports, sort_rooms


@pytest.fixture
def root(tmp_path):
    files = {
        '__init__.py': '',
        'paths.py': 'import os',
        'video/__init__.py': 'from mmotion.video.scan import scan',
        'video/scan.py': 'from mmotion import paths',
        'cli.py': """
from typing import TYPE_CHECKING
from mmotion.video import scan, other
if TYPE_CHECKING:
    import mmotion.never
def run():
    import mmotion.paths
""",
    }
    for name, text in files.items():
        file = tmp_path / 'mmotion' / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return tmp_path


def test_imports_are_read(root):
    assert read_imports(root) == {
        'mmotion': set(),
        'mmotion.paths': set(),
        'mmotion.video': {'mmotion.video.scan'},
        'mmotion.video.scan': {'mmotion.paths'},
        'mmotion.cli': {'mmotion.video', 'mmotion.video.scan', 'mmotion.paths'},
    }


def test_rooms_come_after_what_they_import(root):
    rooms = join_rooms(read_imports(root))
    assert rooms == {'': set(), 'paths': set(), 'video': {'paths'}, 'cli': {'video', 'paths'}}
    order = sort_rooms(rooms)
    assert order.index('paths') < order.index('video') < order.index('cli')


def test_a_circle_is_found(root):
    assert not find_circle(read_imports(root))
    (root / 'mmotion' / 'paths.py').write_text('def late():\n    from mmotion.cli import run')
    circle = find_circle(read_imports(root))
    assert circle[0] == circle[-1]
    assert {'mmotion.paths', 'mmotion.cli'} <= set(circle)


def test_the_picture_in_the_docs_is_that_of_today(capsys, monkeypatch):
    monkeypatch.setattr('sys.argv', ['draw_imports.py', '--mermaid'])
    draw_imports.main()
    text = (draw_imports.ROOT / 'docs' / 'architecture.md').read_text()
    picture = text.split('```mermaid\n')[1].split('```')[0]
    assert picture == capsys.readouterr().out


def test_the_table_has_a_row_for_each_room(capsys, monkeypatch):
    monkeypatch.setattr('sys.argv', ['draw_imports.py'])
    draw_imports.main()
    assert '| `video` |' in capsys.readouterr().out
