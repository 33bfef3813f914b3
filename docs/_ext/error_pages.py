"""Every message of an error that the code can raise, with what to do, found by its words.

The messages are read from the `raise` statements, without running them. As they are written, what
stands behind the last semicolon is what to do; what depends on the case is in braces.
"""

import ast
import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.util.typing import ExtensionMetadata

from mmotion.paths import find_root

# what is longer is no name that a reader could make sense of
MAX_NAME = 28


@dataclass(frozen=True)
class Message:
    """What an error says.

    Args:
        part: Where it comes from: 'mmotion.video', 'projects.repnet', 'tools'.
        place: Dotted name in that part of the module and of the function in it.
        kind: Class of the error.
        text: What it says, with placeholders in braces.
        remedy: What to do, '' where the message leaves it at what must be.
    """

    part: str
    place: str
    kind: str
    text: str
    remedy: str

    @property
    def anchor(self) -> str:
        """Where it stands on its page."""
        return f'm{hashlib.sha256(self.text.encode()).hexdigest()[:8]}'


def make_pages() -> dict[str, str]:
    """Give the pages by their place in docs/generated: one for each part that raises errors."""
    parts: dict[str, list[Message]] = {}
    for message in find_messages():
        parts.setdefault(message.part, []).append(message)
    return {f'errors/{part}.md': describe_part(part, found) for part, found in parts.items()}


def find_messages() -> Iterator[Message]:
    """Give the messages of the core, the systems and the tools, each once a part."""
    root = find_root()
    files = [file for folder in ('mmotion', 'projects', 'tools')
             for file in sorted((root / folder).rglob('*.py'))
             if not {'bundle', 'example_project'} & {*file.parts}]  # fmt: skip
    trees = {file: ast.parse(file.read_text(encoding='utf-8')) for file in files}
    words = {name: text for tree in trees.values() for name, text in find_words(tree)}
    seen = set()
    for file, tree in trees.items():
        for message in read_messages(tree, file.relative_to(root), words):
            if (message.part, message.text) not in seen:
                seen.add((message.part, message.text))
                yield message


def find_words(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Give the constants of a module that are text, which several messages share."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            name, value = node.targets[0].id, node.value
            if name.isupper() and isinstance(value, ast.Constant) and isinstance(value.value, str):
                yield name, value.value


def read_messages(tree: ast.Module, file: Path, words: dict[str, str]) -> Iterator[Message]:
    """Give the messages of a module, in the order in which they stand there."""
    names = file.with_suffix('').parts
    part = '.'.join(names[:2]) if names[0] != 'tools' else 'tools'
    for function, node in walk(tree, ''):
        if isinstance(node.exc, ast.Call) and node.exc.args:
            text = re.sub(r'\{(\w+)\}', lambda m: words.get(m[1], m[0]), show(node.exc.args[0]))
            text, remedy = split_remedy(text)
            # one that only hands on what another one says has no words of its own
            if sum(map(str.isalpha, text.partition('{')[0])) > 3 or ' must ' in text:
                kind = ast.unparse(node.exc.func).rpartition('.')[2]
                place = '.'.join([*names, function]).rstrip('.').removeprefix(f'{part}.')
                yield Message(part, place, kind, text, remedy)


def walk(node: ast.AST, name: str) -> Iterator[tuple[str, ast.Raise]]:
    """Give each raise statement with the dotted name of the function that it is in."""
    for child in ast.iter_child_nodes(node):
        inner = name
        if isinstance(child, ast.ClassDef | ast.FunctionDef):
            inner = f'{name}.{child.name}'.lstrip('.')
        if isinstance(child, ast.Raise):
            yield name, child
        yield from walk(child, inner)


def show(node: ast.expr) -> str:
    """Write what an expression makes as text, with placeholders for what is known when it runs.

    Example:
        >>> show(ast.parse("f'fps must be above 0, got {fps!r}'", mode='eval').body)
        'fps must be above 0, got {fps}'
    """
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return ''.join(map(show, node.values))
    if isinstance(node, ast.FormattedValue):
        name = ast.unparse(node.value)
        return f'{{{name}}}' if len(name) <= MAX_NAME and '(' not in name else '{...}'
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return show(node.left) + show(node.right)
    return '{...}'


def split_remedy(text: str) -> tuple[str, str]:
    """Split a message before what to do.

    Example:
        >>> split_remedy('out must be a folder, got {out}; name another')
        ('out must be a folder, got {out}', 'name another')
    """
    text = ' '.join(text.split())
    said, found, remedy = text.rpartition('; ')
    return (said, remedy) if found else (text, '')


def describe_part(part: str, messages: list[Message]) -> str:
    """Give the page of a part."""
    rows = [
        f'| `{cell(m.text)}`{{#{m.anchor}}} | {code_free(m.remedy)} | {m.kind}, `{m.place}` |'
        for m in messages
    ]
    return '\n\n'.join([
        f'# Errors of {part}',
        'What stands in braces depends on the case. Where nothing is said of what to do, the '
        'message says what must be.',
        '\n'.join(['| message | what to do | raised by |', '|---|---|---|', *rows]),
    ]) + '\n'  # fmt: skip


def cell(text: str) -> str:
    """Text of code in a cell of a table."""
    return text.replace('|', r'\|').replace('`', "'")


def code_free(text: str) -> str:
    """Text in a cell, nothing of which is markup."""
    return ''.join(f'\\{letter}' if letter in '|*_`<>[]#' else letter for letter in text)


def write_list(app: Sphinx, error: Exception | None) -> None:
    """Write the messages beside the site, for `find_errors.js`."""
    if app.builder.format != 'html' or error:
        return
    entries = [
        {
            'text': m.text,
            'page': f'generated/errors/{m.part}.html#{m.anchor}',
            'remedy': m.remedy,
        }
        for m in find_messages()
    ]
    text = f'window.mmotionErrors = {json.dumps(entries, indent=0)}\n'
    (app.outdir / '_static' / 'errors.js').write_text(text, encoding='utf-8')


def find_in_search(app: Sphinx, pagename: str, *_: object) -> None:
    """Let the page of search results look through them."""
    if pagename == 'search':
        app.add_js_file('errors.js')
        app.add_js_file('find_errors.js')


def setup(app: Sphinx) -> ExtensionMetadata:
    """Tell Sphinx."""
    app.connect('html-page-context', find_in_search)
    app.connect('build-finished', write_list)
    return {'parallel_read_safe': True, 'parallel_write_safe': True}
