from pathlib import Path

import pytest

pytest.importorskip('sphinx', reason='pip install -r requirements/docs.txt')
from repository_links import find_pages, find_text, move_links


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    """A docs/ with a page of its own, and one that is a README elsewhere."""
    folder = tmp_path / 'docs'
    (folder / 'systems').mkdir(parents=True)
    (tmp_path / 'projects' / 'toy').mkdir(parents=True)
    (tmp_path / 'projects' / 'toy' / 'README.md').write_text('# Toy')
    (folder / 'live.md').write_text('# Live')
    (folder / 'systems' / 'toy.md').write_text('[t](../../projects/toy/README.md)\n')
    return folder


@pytest.mark.parametrize(
    ('link', 'moved'),
    [
        pytest.param('[a](../../docs/live.md#x)', '[a](../live.md#x)', id='page'),
        pytest.param('[a](README.md)', '[a](toy.md)', id='itself'),
        pytest.param('![a](b.png)', '![a](../../projects/toy/b.png)', id='picture'),
        pytest.param('[![a](b.png)](c.py)',
                     '[![a](../../projects/toy/b.png)](../../projects/toy/c.py)', id='nested'),
        pytest.param('[a](../toy)', 'a', id='folder'),
        pytest.param('[a](#here)', '[a](#here)', id='anchor'),
        pytest.param('[a](https://b.c/d.md)', '[a](https://b.c/d.md)', id='elsewhere'),
        pytest.param('```\n[a](b.md)\n```\n', '```\n[a](b.md)\n```\n', id='code'),
        pytest.param('~~~\n```\n~~~\n[a](../../docs/live.md)', '~~~\n```\n~~~\n[a](../live.md)',
                     id='after_code'),
    ],
)  # fmt: skip
def test_links_lead_to_the_same_from_the_page(docs: Path, link: str, moved: str):
    page = docs / 'systems' / 'toy.md'
    assert move_links(link, find_text(page), page, find_pages(docs)) == moved


def test_a_page_that_says_more_is_itself(docs: Path):
    page = docs / 'more.md'
    page.write_text('[t](../projects/toy/README.md) and more')
    assert find_text(page) == page
    assert find_text(docs / 'systems' / 'toy.md').name == 'README.md'
