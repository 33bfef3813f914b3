"""Each tutorial is there as a notebook too, and says the same; `make notebooks` writes them."""

import json
import sys
from pathlib import Path

import pytest

pytest.importorskip('jupytext', reason='reads the notebooks; pip install -r requirements/docs.txt')
DOCS = Path(__file__).resolve().parents[2] / 'docs'
sys.path.insert(0, str(DOCS / '_ext'))

from notebooks import TUTORIALS, make_notebook  # noqa: E402  (needs the path)

PAGES = sorted(TUTORIALS.glob('*.md'))


@pytest.mark.parametrize('page', PAGES, ids=lambda page: page.stem)
def test_the_notebook_says_what_the_page_says(page: Path):
    cells = json.loads(page.with_suffix('.ipynb').read_text())['cells']
    there = [(cell['cell_type'], ''.join(cell['source'])) for cell in cells]
    wanted = [(cell.cell_type, cell.source) for cell in make_notebook(page).cells]
    assert there == wanted, 'run "make notebooks"'
    assert not any(cell.get('outputs') for cell in cells)


def test_there_are_five():
    assert len(PAGES) == 5


def test_a_file_is_written_and_shell_is_run():
    cells = [cell.source for cell in make_notebook(TUTORIALS / 'researcher.md').cells]
    assert any(source.startswith('%%writefile belt.py\n# belt.py\n') for source in cells)
    assert any(source.startswith('%%sh\nmmotion train belt.py') for source in cells)
