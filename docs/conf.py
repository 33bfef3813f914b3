"""How the pages of docs/ become a site: `make docs` writes docs/_build/html."""

import sys
from pathlib import Path

DOCS = Path(__file__).resolve().parent
sys.path[:0] = [str(DOCS.parent), str(DOCS / '_ext')]

from mmotion import __version__  # noqa: E402  (needs the path)

project = 'mmotion'
author = 'mmotion contributors'
project_copyright = author
release = version = __version__
extensions = [
    'myst_parser',
    'sphinx_copybutton',
    'mermaid_picture',
    'repository_links',
]
exclude_patterns = ['_build', '_ext']
nitpicky = True

# anchors of headings as a forge makes them
myst_heading_anchors = 4
myst_fence_as_directive = ['mermaid']

html_theme = 'furo'
html_title = f'mmotion {release}'
html_static_path = ['_static']
html_css_files = ['mmotion.css']
html_copy_source = False
html_show_sphinx = False
