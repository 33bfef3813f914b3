"""The pages of the documentation, their fenced blocks, and how these are run.

A comment directly above a fence, invisible on a forge and on the site, says what is not plain:

    <!-- not run: downloads 486 MB -->            why a block is not run
    <!-- run by tests/test_docs_live.py -->       a test of its own does it, and names the page
    <!-- slow -->                                 more than about ten seconds: make test-slow
    <!-- shortened: train_cfg.max_epochs=1 -->    at the end of --cfg-options of its trainings
    <!-- needs: onnxruntime -->                   package or weights, or the page ends

All blocks of a page run in one folder, from the first to the last: shell by `bash -e`, Python in
one namespace. A Python block that begins with `# name.py` is that file. What a page names and does
not make is made before, see `docs_supplies.py`; tutorials make all of it themselves.
"""

import importlib.util
import os
import re
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from mmotion.checkpoint.released import find_released, read_table
from tests.docs_supplies import supply

ROOT = Path(__file__).resolve().parents[1]
SHELL, PYTHON = ('sh', 'bash', 'console'), 'python'
# shown, and nothing that could be run
SHOWN = {'text', 'json', 'bibtex', 'mermaid', 'yaml', 'ini', 'dockerfile', 'csv', 'html'}
MARKS = {'not run', 'run by', 'slow', 'shortened', 'needs'}
FENCE = re.compile(
    r'(?P<marks>(?:^ *<!--[^\n]*-->\n)*)^(?P<indent> *)```(?P<language>[^\n`]*)\n'
    r'(?P<code>.*?)^(?P=indent)```$',
    re.DOTALL | re.MULTILINE,
)
TIMEOUT_S = 900
# `mmotion` of a page: its trainings are shortened as the page says
COMMAND = """#!/bin/bash
set -f
if [[ -n "$SHORTENED" && "$1" =~ ^(train|test|cross-validate|label-efficiency)$ ]]; then
    [[ " $* " == *" --cfg-options "* ]] || set -- "$@" --cfg-options
    set -- "$@" $SHORTENED
fi
exec "{python}" -m mmotion.cli "$@"
"""


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Attributes:
        page: Its file.
        line: Of its fence, from 1.
        language: What is written behind the fence.
        code: What is in it.
        marks: What the comments above it say, by `MARKS`.
    """

    page: Path
    line: int
    language: str
    code: str
    marks: dict[str, str]

    def __str__(self) -> str:
        return f'{self.page.relative_to(ROOT)}:{self.line}'

    @property
    def is_command(self) -> bool:
        """Whether somebody would run it."""
        return self.language in (*SHELL, PYTHON)

    @property
    def is_run(self) -> bool:
        """Whether it is run here."""
        return self.is_command and not {'not run', 'run by'} & set(self.marks) and not self.quotes

    @property
    def names(self) -> str:
        """The file that it is, '' for none."""
        found = re.match(r'# (\S+\.py)\n', self.code) if self.language == PYTHON else None
        return found[1] if found else ''

    @property
    def quotes(self) -> bool:
        """Whether it shows a part of a file of the project."""
        return '/' in self.names


def list_pages() -> list[Path]:
    """All pages whose commands are run; those of docs/ that are links to others once."""
    found = [ROOT / 'README.md', ROOT / 'CONTRIBUTING.md', *ROOT.glob('docs/**/*.md')]
    found += ROOT.glob('projects/*/README.md')
    return sorted(p for p in found if not p.is_symlink() and '_build' not in p.parts)


def read_blocks(page: Path) -> list[Block]:
    """The fenced blocks of a page, without directives of the site."""
    text = page.read_text(encoding='utf-8')
    blocks = []
    for found in FENCE.finditer(text):
        comments = re.findall(r'<!-- *(.*?) *-->', found['marks'])
        marks = {}
        for comment in comments:
            # 'run by PATH' is said as it is read; the others are 'name: value'
            name, _, value = comment.partition(' tests/' if comment.startswith('run by') else ':')
            marks[name] = f'tests/{value}' if name == 'run by' else value.strip()
        line = text.count('\n', 0, found.start('language')) + 1
        code = textwrap.dedent(found['code'])
        if not found['language'].startswith('{'):
            blocks.append(Block(page, line, found['language'], code, marks))
    return blocks


def run_blocks(blocks: list[Block], folder: Path) -> None:
    """Run blocks of a page one after the other, in a folder that is the working directory.

    Raises:
        AssertionError: If one of them fails, with its place and the end of what it wrote.
    """
    blocks = [block for block in blocks if block.is_run]
    if 'tutorials' not in blocks[0].page.parts:
        supply('\n'.join(block.code for block in blocks), folder)
    bin_dir = folder.parent / f'{folder.name}.bin'
    bin_dir.mkdir()
    (bin_dir / 'mmotion').write_text(COMMAND.format(python=sys.executable))
    (bin_dir / 'mmotion').chmod(0o755)
    places = [str(bin_dir), str(Path(sys.executable).parent), os.environ['PATH']]
    environment = os.environ | {
        'PATH': os.pathsep.join(places),
        'PYTHONPATH': os.pathsep.join([str(ROOT), os.environ.get('PYTHONPATH', '')]),
        # what would be fetched is an error at once
        'HF_HUB_OFFLINE': '1',
    }
    namespace: dict[str, object] = {'__name__': '__main__'}
    for block in blocks:
        for package in block.marks.get('needs', '').split():
            if not _is_here(package):
                pytest.skip(f'{block} needs {package}, which is not installed')
        start = time.monotonic()
        if block.names:
            (folder / block.names).write_text(block.code)
        elif block.language == PYTHON:
            # empty lines, so that a traceback names the line of the page
            code = compile('\n' * block.line + block.code, str(block), 'exec')
            exec(code, namespace)
        else:
            _run_shell(block, environment | {'SHORTENED': block.marks.get('shortened', '')}, folder)
        print(f'{block}: {time.monotonic() - start:.1f} s')


def _is_here(name: str) -> bool:
    """Whether a package is installed, or released weights have been fetched."""
    if name in read_table():
        return find_released(name).path.is_file()
    return importlib.util.find_spec(name) is not None


def _run_shell(block: Block, environment: dict[str, str], folder: Path) -> None:
    with subprocess.Popen(
        ['bash', '-e', '-o', 'pipefail', '-c', block.code],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        # so that all that it has started ends with it
        start_new_session=True,
    ) as shell:
        try:
            output, _ = shell.communicate(timeout=TIMEOUT_S)
        except subprocess.TimeoutExpired:
            os.killpg(shell.pid, signal.SIGKILL)
            raise AssertionError(f'{block} took longer than {TIMEOUT_S} s') from None
    assert shell.returncode == 0, f'{block} ended with {shell.returncode}:\n{output[-4000:]}'
