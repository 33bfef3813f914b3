"""Tutorials as notebooks: `make notebooks` writes docs/tutorials/*.ipynb from the pages there.

The pages are what is edited and tested. A block that begins with `# name.py` is a file of that
name, which a notebook has to write.
"""

import re
from pathlib import Path

import jupytext
from nbformat import NotebookNode

TUTORIALS = Path(__file__).resolve().parents[1] / 'tutorials'
# else it is guessed by which language has more blocks
HEAD = '---\njupytext:\n  main_language: python\n---\n\n'
KERNEL = {'name': 'python3', 'display_name': 'Python 3', 'language': 'python'}


def make_notebook(page: Path) -> NotebookNode:
    """Make the notebook of a page, without outputs."""
    notebook = jupytext.reads(HEAD + page.read_text(encoding='utf-8'), fmt='md')
    notebook.metadata = NotebookNode({'kernelspec': KERNEL})
    for number, cell in enumerate(notebook.cells):
        # the same each time, so that what has not changed stays as it is
        cell.id = f'{page.stem}-{number}'
        cell.metadata = NotebookNode()
        if named := re.match(r'# (\w+\.py)\n', cell.source):
            cell.source = f'%%writefile {named[1]}\n{cell.source}'
    return notebook


if __name__ == '__main__':
    for page in sorted(TUTORIALS.glob('*.md')):
        jupytext.write(make_notebook(page), page.with_suffix('.ipynb'))
