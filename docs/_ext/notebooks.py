"""Tutorials as notebooks: `make notebooks` writes docs/tutorials/*.ipynb from the pages there.

The pages are what is edited and tested. A block that begins with `# name.py` is a file of that
name, which a notebook has to write.
"""

import json
import re
from pathlib import Path

import jupytext
from nbformat import NotebookNode

TUTORIALS = Path(__file__).resolve().parents[1] / 'tutorials'
KERNEL = {'name': 'python3', 'display_name': 'Python 3', 'language': 'python'}
# else the language with most blocks is taken for that of the notebook
HEAD = f'---\njupyter:\n  kernelspec: {json.dumps(KERNEL)}\n---\n\n'


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
