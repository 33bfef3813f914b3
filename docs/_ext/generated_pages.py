"""Write the pages that are made from the code, into docs/generated, when the site is built.

So they cannot say anything else than the code. What is in that folder is in no repository.
"""

from pathlib import Path

import api_pages
import command_pages
import config_pages
import error_pages
import result_pages
import zoo_pages
from sphinx.application import Sphinx
from sphinx.util.typing import ExtensionMetadata

from mmotion.paths import enable_projects

WRITERS = (api_pages, command_pages, config_pages, error_pages, result_pages, zoo_pages)


def write_pages(app: Sphinx) -> None:
    """Write what has changed, and take away what is not made any more."""
    enable_projects()
    folder = Path(app.srcdir) / 'generated'
    pages = {name: text for writer in WRITERS for name, text in writer.make_pages().items()}
    for file in sorted(folder.rglob('*.*')):
        if file.relative_to(folder).as_posix() not in pages:
            file.unlink()
    for name, text in pages.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        # what stays as it was is not read again
        if not file.is_file() or file.read_text(encoding='utf-8') != text:
            file.write_text(text, encoding='utf-8')


def setup(app: Sphinx) -> ExtensionMetadata:
    """Tell Sphinx."""
    app.connect('builder-inited', write_pages)
    return {'parallel_read_safe': True, 'parallel_write_safe': True}
