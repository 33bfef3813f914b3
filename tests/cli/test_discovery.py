import subprocess
import sys
from pathlib import Path

import pytest

from mmotion.cli import discovery
from mmotion.cli.discovery import describe_commands, find_commands, pick_command

CHECKOUT = Path(__file__).resolve().parents[2]
TORCH = '"""Turn: a command."""\n\nimport {package}\n\n\ndef run(args):\n    return 0\n'


@pytest.fixture
def systems(tmp_path, monkeypatch):
    """A root with two systems, which cannot be imported, and a command each."""
    for system in ('left', 'right'):
        folder = tmp_path / 'projects' / system
        (folder / 'commands').mkdir(parents=True)
        (folder / '__init__.py').write_text('raise RuntimeError("imported")')
        (folder / 'commands' / '__init__.py').write_text('')
        (folder / 'commands' / f'turn_{system}.py').write_text(TORCH.format(package='argparse'))
    (tmp_path / 'projects' / 'right' / 'commands' / 'train.py').write_text('"""Another."""')
    monkeypatch.setattr(discovery, 'find_root', lambda: tmp_path)
    monkeypatch.setattr(discovery, 'enable_projects', lambda: tmp_path)
    return tmp_path


def test_commands_are_named_by_their_files(systems):
    commands = find_commands()
    assert commands['turn-left'].owner == 'left'
    assert commands['turn-left'].summary == 'Turn: a command'
    # what is there first counts
    assert commands['train'].owner == 'mmotion'


def test_commands_stand_under_their_owner(systems):
    text = describe_commands(find_commands())
    blocks = text.split('\n\n')
    assert blocks[0].startswith('commands:\n')
    headings = [block.split(':')[0] for block in blocks[1:]]
    assert headings == ['commands of left', 'commands of right']
    assert 'turn-right' in blocks[2]


def test_a_command_is_imported_without_its_system(systems):
    module = find_commands()['turn-right'].load()
    assert module.run(None) == 0
    assert sys.modules.pop('projects.right.commands.turn_right') is module


def test_a_command_that_cannot_be_imported_leaves_nothing_behind(systems):
    file = systems / 'projects' / 'left' / 'commands' / 'turn_left.py'
    file.write_text(TORCH.format(package='not_there'))
    with pytest.raises(ImportError, match='not_there'):
        find_commands()['turn-left'].load()
    assert 'projects.left.commands.turn_left' not in sys.modules


def test_an_unknown_command():
    with pytest.raises(ValueError, match="got 'trian'; did you mean 'train'"):
        pick_command('trian', find_commands())


def test_no_help_imports_anything_heavy():
    code = (
        'import sys\nfrom mmotion.cli.discovery import find_commands\n'
        'from mmotion.cli.parser import build_overview, build_parser\n'
        'build_overview(find_commands()).format_help()\n'
        'for command in find_commands().values():\n'
        '    build_parser(command, command.load(), ["--help"]).format_help()\n'
        "    heavy = {'torch', 'numpy', 'mmengine', 'cv2'} & set(sys.modules)\n"
        '    assert not heavy, (command, heavy)\n'
    )
    done = subprocess.run(
        [sys.executable, '-c', code], cwd=CHECKOUT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
