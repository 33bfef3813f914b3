"""Let a link mean the same on a forge and in the site.

A page of docs/ links to files of the repository as plain Markdown does, by relative paths. In the
site, a file that is a page is reached as one, a picture is shown, any other file is downloaded,
and what leads to a folder is left as text.

A page that is nothing but a link to a Markdown file elsewhere in the repository is that file, so
that the README of a system is read in both places and written once.
"""

import os
import re
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx
from sphinx.util.typing import ExtensionMetadata

ONLY_A_LINK = re.compile(r'\s*\[[^\]]*\]\(([^)#\s]+\.md)\)\s*')
FENCED = re.compile(r'(^ *(`{3,}|~{3,}).*?^ *\2 *$)', re.MULTILINE | re.DOTALL)
LINK = re.compile(r'(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)#\s]*)(#[^)\s]*)?\)')


def find_text(page: Path) -> Path:
    """The file that holds the text of a page: itself, or what it is nothing but a link to."""
    only = ONLY_A_LINK.fullmatch(page.read_text(encoding='utf-8'))
    return (page.parent / only[1]).resolve() if only else page


def find_pages(docs: Path) -> dict[Path, Path]:
    """Give for each text, in docs/ or elsewhere, the page that shows it."""
    pages = [page for page in docs.rglob('*.md') if '_build' not in page.parts]
    return {page: page for page in pages} | {find_text(page): page for page in pages}


def move_links(text: str, source: Path, page: Path, pages: dict[Path, Path]) -> str:
    """Turn the links of a file into those of the page that shows it.

    Args:
        text: Markdown.
        source: The file, from which its links lead.
        page: The page, from which they shall lead.
        pages: As `find_pages` gives them.

    Example:
        >>> docs = Path('/repository/docs')
        >>> moved = {Path('/repository/README.md'): docs / 'start.md'}
        >>> move_links('[x](../README.md#try)', docs / 'a.md', docs / 'b' / 'c.md', moved)
        '[x](../start.md#try)'
    """

    def move(link: re.Match[str]) -> str:
        shown, name, path, anchor = link[1], link[2], link[3], link[4] or ''
        if not path or re.match(r'[a-z]+:', path):
            return link[0]
        target = Path(os.path.normpath(source.parent / path))
        if target.is_dir():
            return name
        target = pages.get(target, target)
        name = move_each(name)
        return f'{shown}[{name}]({Path(os.path.relpath(target, page.parent)).as_posix()}{anchor})'

    def move_each(part: str) -> str:
        return LINK.sub(move, part)

    # of each fenced block the split gives the block and its fence
    parts = FENCED.split(text)
    return ''.join(
        part if number % 3 == 1 else move_each(part)
        for number, part in enumerate(parts)
        if number % 3 != 2
    )


def read_page(app: Sphinx, docname: str, content: list[str]) -> None:
    """Give Sphinx the text of a page, with its links as they are in the site."""
    page = Path(app.env.doc2path(docname)).resolve()
    if page.suffix != '.md':
        return
    source = find_text(page)
    text = content[0]
    if source != page:
        text = source.read_text(encoding='utf-8')
        dependencies: Any = app.env.dependencies
        dependencies.setdefault(docname, set()).add(str(source))
    content[0] = move_links(text, source, page, app.config.values_of_pages)


def prepare(app: Sphinx) -> None:
    """Look once which file is on which page."""
    app.config.values_of_pages = find_pages(Path(app.srcdir).resolve())


def setup(app: Sphinx) -> ExtensionMetadata:
    """Tell Sphinx."""
    app.connect('builder-inited', prepare, priority=900)
    app.connect('source-read', read_page)
    return {'parallel_read_safe': True, 'parallel_write_safe': True}
