"""What the documentation names is there: modules, files, links, commands and their options."""

import importlib
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from mmotion.cli.discovery import find_commands, pick_command
from mmotion.cli.parser import build_parser
from mmotion.paths import enable_projects

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted(path for pattern in ('*.md', 'docs/**/*.md', 'projects/**/*.md', 'tools/**/*.md')
               for path in ROOT.glob(pattern)
               # what is made with the site
               if not {'_build', 'generated'} & {*path.parts})  # fmt: skip
CODE = sorted(path for folder in ('mmotion', 'projects', 'tools', 'configs')
              for path in ROOT.glob(f'{folder}/**/*.py'))  # fmt: skip
DOCS_AND_CODE = pytest.mark.parametrize(
    'file', PAGES + CODE, ids=lambda path: path.relative_to(ROOT).as_posix()
)
# where the projects are in a wheel, and a folder that must not have one
NOT_HERE = ('mmotion.bundle', 'mmotion/bundle', 'projects/__init__.py')
FOLDERS = 'mmotion|projects|tools|configs|docs|tests|requirements'


def can_be_found(name: str) -> bool:
    """Whether a dotted name is a module, or something in one."""
    parts = name.split('.')
    for length in range(len(parts), 0, -1):
        place = ROOT.joinpath(*parts[:length])
        if place.is_dir() and length == len(parts):
            return True
        if place.with_suffix('.py').is_file() or (place / '__init__.py').is_file():
            try:
                found = importlib.import_module('.'.join(parts[:length]))
            except ImportError:
                # of an extra that is not installed: the text has the name
                files = place.with_suffix('.py'), place / '__init__.py'
                text = next(file for file in files if file.is_file()).read_text()
                return bool(re.search(rf'\b{parts[-1]}\b', text))
            for part in parts[length:]:
                # an attribute of an instance is named in the docstring of its class
                if isinstance(found, type) and re.search(rf'\b{part}\b', found.__doc__ or ''):
                    return True
                found = getattr(found, part, None)
            return found is not None
    return False


def command_lines() -> Iterator[tuple[str, str]]:
    """Give what is typed after `mmotion` in blocks of shell, and as examples of commands."""
    for page in PAGES:
        for block in re.findall(r'```sh\n(.*?)```', page.read_text(), re.DOTALL):
            for line in block.replace('\\\n', ' ').splitlines():
                if line.startswith('mmotion '):
                    yield page.relative_to(ROOT).as_posix(), line.removeprefix('mmotion ')
    # whole commands beside those of other programs, and not names of commands in a sentence
    page = ROOT / 'docs' / 'coming_from_others.md'
    for line in re.findall(r'`mmotion ([^`]+)`', page.read_text()):
        yield page.relative_to(ROOT).as_posix(), line
    for command in find_commands().values():
        examples = (command.load().__doc__ or '').partition('Example:\n')[2]
        for line in re.sub(r'\\?\n {6,}', ' ', examples).splitlines():
            if line.strip().startswith('mmotion '):
                yield command.name, line.strip().removeprefix('mmotion ')


@DOCS_AND_CODE
def test_names_lead_somewhere(file):
    enable_projects()
    text = file.read_text()
    names = set(re.findall(r'`((?:mmotion|projects)(?:\.\w+)+)', text))
    assert not [n for n in names if not n.startswith(NOT_HERE) and not can_be_found(n)]
    paths = set(re.findall(rf'`((?:{FOLDERS})/[\w/.-]+)`', text))
    assert not [p for p in paths if not p.startswith(NOT_HERE) and not (ROOT / p).exists()]
    if file.suffix == '.md':
        links = [link for link in re.findall(r'\]\(([^)#]+)', text) if '://' not in link]
        assert not [link for link in links if not (file.parent / link).exists()]


@pytest.mark.parametrize(('place', 'line'), [*command_lines()])
def test_commands_are_typed_as_they_are(place, line):
    commands = find_commands()
    words = shlex.split(re.split(r' [|>] ', line)[0], comments=True)
    command = pick_command(words[0], commands)
    if '--help' not in words:
        build_parser(command, command.load(), words[1:]).parse_args(words[1:])


def test_each_tool_of_mmaction_is_told_where_it_is():
    mmaction = importlib.import_module('mmaction')
    tools = Path(str(mmaction.__file__)).parent / '.mim' / 'tools'
    page = (ROOT / 'docs' / 'coming_from_mmaction2.md').read_text()
    files = [*tools.glob('*.*'), *tools.glob('*/*.py'), *tools.glob('*/*.sh')]
    assert len(files) > 30
    assert not [file.name for file in files if f'{file.name}`' not in page]


def test_dicts_of_configs_are_merged_as_is_told(tmp_path):
    from mmotion.config import load_config

    page = (ROOT / 'docs' / 'coming_from_mmaction2.md').read_text()
    merged = []
    for number, block in enumerate(re.findall(r'```python\n(.*?)```', page, re.DOTALL)):
        file = tmp_path / f'config_{number}.py'
        file.write_text(block)
        merged.append(load_config(file).optim_wrapper.optimizer)
    assert merged[0]['type'] == 'SGD' and merged[0]['lr'] == 1e-4 and merged[0]['nesterov']
    assert merged[1] == {'type': 'AdamW', 'lr': 1e-4}
