"""Let docstrings be read as they are written: plain text with `code`, not reStructuredText.

`name` is code, also in the plural, as in `VideoFrame`s; a star or a bar is a star or a bar; and a
paragraph of lines as `OBO: share of videos ...` is a list.
"""

import re
from typing import Any

from sphinx.application import Sphinx
from sphinx.util.typing import ExtensionMetadata

CODE = re.compile(r'(`+[^`]+`+)')
# a paragraph that begins so is a list, though not one of a section, as `Args:`
ENTRY = re.compile(r'[\w<>.][\w<>., ]*: \S')


def translate(lines: list[str]) -> list[str]:
    r"""Translate a docstring, sections and all, which napoleon reads next.

    Example:
        >>> translate(['Two `VideoFrame`s by *.mp4.'])
        ['Two ``VideoFrame``\\ s by \\*.mp4.']
        >>> translate(['MAE: mean of |x|.', 'OBO: share', '    of videos.'])
        ['- MAE: mean of \\|x\\|.', '- OBO: share', '  of videos.']
    """
    translated: list[str] = []
    for block in split_blocks(lines):
        if block[0].lstrip().startswith('>>>'):
            translated += block
            continue
        is_list = ENTRY.match(block[0]) and any(
            ENTRY.match(line) or line.startswith('    ') for line in block[1:]
        )
        # code may begin in one line and end in the next
        text = translate_text('\n'.join(block))
        for line in text.split('\n'):
            if is_list:
                line = f'  {line.lstrip()}' if line.startswith('  ') else f'- {line}'
            translated.append(line)
    return translated


def split_blocks(lines: list[str]) -> list[list[str]]:
    """Split lines at empty ones, which are blocks of one line."""
    blocks: list[list[str]] = []
    for line in lines:
        starts = not blocks or not line.strip() or not blocks[-1][0].strip()
        if starts or (line.lstrip().startswith('>>>') and '>>>' not in blocks[-1][0]):
            blocks.append([line])
        else:
            blocks[-1].append(line)
    return blocks


def translate_text(text: str) -> str:
    """Translate what is no doctest."""
    parts = CODE.split(text)
    for number, part in enumerate(parts):
        if number % 2:
            inner = ' '.join(part.strip('`').split('\n')) if '\n' in part else part.strip('`')
            parts[number] = f'``{inner}``'
            if re.match(r'\w', parts[number + 1]):
                parts[number] += r'\ '
        else:
            # stars, bars, and the underscore at the end of a word, which would be a link
            parts[number] = re.sub(r'(?<!\\)([*|]|(?<=\w)_(?!\w))', r'\\\1', part)
    return ''.join(parts)


def process(app: Sphinx, what: str, name: str, thing: Any, options: Any, lines: list[str]) -> None:
    """Translate a docstring in place."""
    lines[:] = translate(lines)


def setup(app: Sphinx) -> ExtensionMetadata:
    """Tell Sphinx; napoleon, which listens to the same, comes after."""
    app.connect('autodoc-process-docstring', process, priority=400)
    return {'parallel_read_safe': True, 'parallel_write_safe': True}
