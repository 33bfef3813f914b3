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
    'sphinx.ext.autodoc',
    'sphinx.ext.napoleon',
    'sphinx_copybutton',
    'docstrings',
    'error_pages',
    'generated_pages',
    'mermaid_picture',
    'repository_links',
]
exclude_patterns = ['_build', '_ext']
nitpicky = True
# types of other packages, whose sites a build does not ask
nitpick_ignore_regex = [('py:.*', r'(?!mmotion|projects).*')]
# the letter for what a predictor answers
nitpick_ignore = [(role, 'mmotion.inference.predictor.R') for role in ('py:obj', 'py:class')]

autodoc_default_options = {'members': True}
autodoc_member_order = 'bysource'
# thousands of entries in the tree of pages, which each page would draw
toc_object_entries = False
# in the signature they would hide the names
autodoc_typehints = 'description'
autodoc_typehints_description_target = 'documented'
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True

# anchors of headings as a forge makes them
myst_heading_anchors = 4
myst_fence_as_directive = ['mermaid']
# anchors of single messages
myst_enable_extensions = ['attrs_inline']

html_theme = 'furo'
html_title = f'mmotion {release}'
html_static_path = ['_static']
html_css_files = ['mmotion.css']
html_copy_source = False
html_show_sphinx = False
