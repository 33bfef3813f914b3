"""Doors for what a user types: values of a config, and command lines."""

import argparse
import functools
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from mmengine.config import Config

import mmotion
from mmotion.cli.discovery import find_commands
from mmotion.cli.parser import OUTPUTS, build_parser
from mmotion.config import load_config
from tests.command_lines import TOY
from tests.fuzz.doors import SYSTEMS, encode_good
from tests.fuzz.mutators import break_bytes, break_value, show
from tests.fuzz.verdict import Case, find_fault, run_command

CONFIGS = (*SYSTEMS.values(), 'example_project_dots')
# keys that predicting reads
KEYS = ('model', 'predictor', 'test_pipeline', 'custom_imports', 'test_dataloader')
# scripts that fetch or measure, and commands that train for minutes with any config that they take
_LONG = ('benchmark', 'prepare', 'tool', 'cross-validate', 'label-efficiency', 'leave-classes-out')
_ODD_WORDS = (
    '', ' ', '-1', '0', '1', '1e400', 'nan', 'x', 'no_such', '--', '-x', 'a=b', '=', 'é', '\udce9',
    '[', '{', '\x00', '*', '/', '/dev/null', '$HOME', '99999999999999999999', '1,2,3,4',
    'a=1,2,3,4', "{'a': 1}", 'a' * 5000,
)  # fmt: skip
_OPTIONS = (
    'model=None', 'model.type=X', 'predictor.type=X', 'predictor=x', 'test_pipeline=[]', 'x=1',
    'model.x.y=1', 'train_cfg.max_epochs=1', 'train_cfg.max_epochs=-1', 'train_cfg=1',
    'custom_imports=x', 'model=[(1', 'randomness.seed=x', 'optim_wrapper.optimizer.lr=x',
    'default_hooks=None', 'a..b=1', '_x=1',
)  # fmt: skip
_PLACES = (
    'out', 'out/a/b', 'out/x.json', 'out/x.csv', 'out/x.png', '/dev/null/x', 'out/' + 'a' * 300,
)  # fmt: skip


def config_door(rng: Random, folder: Path) -> Case:
    """A config with a value of another size or type: its model and its predictor.

    What can be built and does not fit together, such as a step of the pipeline that comes twice,
    fails on the frames in the words of torch or MMAction2: that much is let pass.
    """
    name = rng.choice(CONFIGS)
    config = load_config(name)
    part = rng.choice([key for key in (*KEYS[:3], *KEYS[:3], *KEYS) if key in config])
    value, words = break_value(config.to_dict()[part], rng)
    while 'in one another' in words:
        # mmengine itself holds no such config
        value, words = break_value(config.to_dict()[part], rng)
    config[part] = value
    frames = np.zeros((16, 48, 64, 3), np.uint8)

    def call() -> Any:
        predictor = mmotion.load_model(Config(config.to_dict()), 'random', device='cpu')
        try:
            return predictor.predict(frames, fps=30.0)
        except (KeyError, RuntimeError, TypeError) as error:
            return str(error)

    return Case(f'{name}, {part}: {words}', call, names=(part,))


def config_file_door(rng: Random, folder: Path) -> Case:
    """The text of a config, broken; nothing of it is run but assignments."""
    text = Path(TOY).read_text().replace('toy_motion', 'projects.example_project')
    content, words = break_bytes(text.encode(), rng)
    path = folder / f'x{rng.choice((".py", ".json", ".yaml", ".py"))}'
    path.write_bytes(content)
    return Case(f'{path.suffix} {words}', lambda: load_config(path), names=(path.name,))


def command_door(rng: Random, folder: Path) -> Case:
    """A command with words that fit more or less."""
    name = rng.choice([name for name in find_commands() if name not in _LONG] + ['predict'] * 4)
    _write_inputs(folder, rng)
    words = [name, *_choose_words(name, folder, rng)]

    def call() -> tuple[int, str, Exception | None]:
        code, error = run_command(words)
        raised = None
        if code == 2 and 'mmotion: error:' in error:
            try:
                run_command([*words, '--debug'])
            except Exception as problem:
                raised = problem
        return code, error, raised

    def check(result: tuple[int, str, Exception | None], warned: list[str]) -> str | None:
        code, error, raised = result
        if code not in (0, 1, 2):
            return f'exit code {code}'
        if 'Traceback' in error:
            return f'a traceback: {error[-200:]}'
        if code == 2 and error.count(': error: ') + ('usage:' in error[:6]) < 1:
            return f'no message: {error[-200:]!r}'
        if code == 1 and not error:
            return 'no message: exit code 1 and nothing on stderr'
        if raised is not None and (
            fault := find_fault(raised, tuple(w for w in words if len(w) > 1))
        ):
            return f'{fault[1]}: {fault[0]}, {type(raised).__name__}: {str(raised)[:200]}'
        return None

    said = ' '.join(show(word.replace(str(folder), '.'))[1:-1] for word in words)
    return Case(said, call, check)


def _write_inputs(folder: Path, rng: Random) -> None:
    (folder / 'clip.mp4').write_bytes(encode_good('mp4'))
    (folder / 'broken.avi').write_bytes(break_bytes(encode_good('avi'), rng)[0])
    (folder / 'text.txt').write_text('some words\n')
    (folder / 'table.csv').write_text('file,start_s,end_s,count\nclip.mp4,0,1,2\n')
    (folder / 'list.json').write_text('[]')
    (folder / 'weights.pth').write_bytes(b'PK\x03\x04 no weights')
    (folder / 'empty').mkdir()


@functools.cache
def _list_actions(name: str) -> list[argparse.Action]:
    command = find_commands()[name]
    actions = build_parser(command, command.load(), [])._actions
    return [action for action in actions if action.dest not in ('help', 'debug', 'compile')]


def _choose_words(name: str, folder: Path, rng: Random) -> Iterator[str]:
    for action in _list_actions(name):
        is_option = bool(action.option_strings)
        if rng.random() < (0.7 if is_option and not action.required else 0.05):
            continue
        if is_option:
            yield action.option_strings[0]
        if action.nargs == 0:
            continue
        number = action.nargs if isinstance(action.nargs, int) else 1
        number += action.nargs == '+' and rng.random() < 0.3
        for _ in range(number):
            yield _choose_word(name, action, folder, rng)
    if rng.random() < 0.1:
        yield rng.choice(_ODD_WORDS)


def _choose_word(name: str, action: argparse.Action, folder: Path, rng: Random) -> str:
    if action.dest in OUTPUTS:
        return str(Path.cwd() / rng.choice(_PLACES))
    if 'cfg_options' in action.dest or action.metavar == 'KEY=VALUE':
        return rng.choice(_OPTIONS)
    if rng.random() < 0.35:
        return rng.choice(_ODD_WORDS)
    if action.choices:
        return rng.choice([*map(str, action.choices)])
    if action.type in (int, float):
        return rng.choice(('0', '1', '2', '-3', '0.5', '1e9', 'nan'))
    if action.metavar and 'CONFIG' in str(action.metavar):
        return rng.choice((TOY,) if name in ('train', 'test') else (TOY, *CONFIGS))
    if action.dest in ('checkpoint', 'resume'):
        return rng.choice(('random', str(folder / 'weights.pth'), str(folder / 'text.txt')))
    return str(rng.choice([*folder.iterdir(), folder / 'not_there.mp4', folder]))
