"""Command-line options of a part that a config can swap, read from its constructor.

A predictor, say, has other arguments for each config: their names, types and defaults are those of
the signature, their descriptions those under `Args:` of the docstring.
"""

import argparse
import inspect
import re
import types
import typing
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Union

# how a user writes None, and a truth value
NONE = 'none'
TRUTH = {'true': True, 'yes': True, '1': True, 'false': False, 'no': False, '0': False}


@dataclass(frozen=True)
class PartOption:
    """An argument of a constructor.

    Args:
        name: As the constructor calls it.
        annotation: Its type.
        default: Its default; `inspect.Parameter.empty` if it must be given.
        description: What the docstring says.
    """

    name: str
    annotation: Any
    default: Any
    description: str


def find_options(kind: type, *, without: Collection[str] = ()) -> list[PartOption]:
    """Find the arguments of a class that are given by name.

    Args:
        kind: The class; where it hands `**options` on, those of its base are read as well.
        without: Names to leave out.
    """
    found: dict[str, PartOption] = {}
    for cls in kind.__mro__:
        if '__init__' not in vars(cls):
            continue
        parameters = inspect.signature(vars(cls)['__init__']).parameters.values()
        descriptions = read_descriptions(cls.__doc__ or '')
        try:
            hints = typing.get_type_hints(vars(cls)['__init__'])
        except NameError:
            # a name that is imported for type checkers alone
            hints = {}
        for parameter in parameters:
            name = parameter.name
            if parameter.kind is parameter.KEYWORD_ONLY and name not in without:
                annotation = hints.get(name, parameter.annotation)
                text = descriptions.get(name, '')
                found.setdefault(name, PartOption(name, annotation, parameter.default, text))
        if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
            break
    return list(found.values())


def read_descriptions(docstring: str) -> dict[str, str]:
    """Read what stands under `Args:` of a docstring in Google style.

    Example:
        >>> read_descriptions('''Count.
        ...
        ...     Args:
        ...         size: Of a window,
        ...             in frames.
        ...         hop: From one to the next.
        ...     ''')
        {'size': 'Of a window, in frames.', 'hop': 'From one to the next.'}
    """
    section = re.search(r'^Args:\n((?:[ ]+.*\n?|\n)*)', inspect.cleandoc(docstring), re.MULTILINE)
    entries = re.split(r'^ {4}(\w+): ', section.group(1) if section else '', flags=re.MULTILINE)
    # the text before the first name, then name and text in turn
    return {
        name: ' '.join(text.split())
        for name, text in zip(entries[1::2], entries[2::2], strict=True)
    }


def add_part_options(
    parser: argparse.ArgumentParser,
    prefix: str,
    kind: type,
    given: Mapping[str, Any],
    *,
    without: Collection[str] = (),
) -> None:
    """Add the arguments of a class as options `--<prefix>.<name>`.

    Args:
        parser: Gets a group of options, and values only for those that a user sets.
        prefix: Key of the part in a config, such as 'predictor'.
        kind: The class.
        given: What the config sets.
        without: Names that are no options.
    """
    group = parser.add_argument_group(f'options of {kind.__name__}, set by --{prefix}.NAME VALUE')
    for option in find_options(kind, without=without):
        read, how = make_reader(option, prefix)
        default = given.get(option.name, option.default)
        known = '' if default is inspect.Parameter.empty else f' Default: {default}'
        known += ', by the config' if option.name in given else ''
        text = f'{option.description}{known}'.strip().replace('%', '%%')
        # as a command line writes it, and as the config does
        for name in dict.fromkeys([option.name.replace('_', '-'), option.name]):
            group.add_argument(
                f'--{prefix}.{name}',
                dest=f'{prefix}.{option.name}',
                type=read,
                metavar=how,
                default=argparse.SUPPRESS,
                help=text,
            )
            text = argparse.SUPPRESS


def pop_part_options(args: argparse.Namespace, prefix: str) -> dict[str, Any]:
    """Take what a user has set of the options of `add_part_options`, by name."""
    keys = [key for key in vars(args) if key.startswith(f'{prefix}.')]
    values = {key.removeprefix(f'{prefix}.'): getattr(args, key) for key in keys}
    for key in keys:
        delattr(args, key)
    return values


def make_reader(option: PartOption, prefix: str) -> tuple[Callable[[str], Any], str]:
    """Make what turns the word of a user into the value of an argument.

    Args:
        option: The argument.
        prefix: Key of its part, for the message where a word cannot say it.

    Returns:
        The reader, and what the help calls its word.
    """
    kinds = [option.annotation]
    if typing.get_origin(option.annotation) in (Union, types.UnionType):
        kinds = [*typing.get_args(option.annotation)]
    readers = [_read_kind(kind) for kind in kinds if kind is not type(None)]
    optional = type(None) in kinds

    def read(text: str) -> Any:
        if optional and text.lower() == NONE:
            return None
        for reader, _ in readers:
            if reader is not None:
                try:
                    return reader(text)
                except ValueError:
                    continue
        if not any(reader for reader, _ in readers):
            key = f'{prefix}.{option.name}'
            raise argparse.ArgumentTypeError(
                f'{option.name} cannot be said in a word; set it in a config, or by '
                f'--cfg-options {key}.KEY=VALUE'
            )
        raise argparse.ArgumentTypeError(f'must be {how}, got {text!r}')

    how = '|'.join([*(name for _, name in readers), *([NONE] if optional else [])])
    return read, how


def _read_kind(kind: Any) -> tuple[Callable[[str], Any] | None, str]:
    """Give what reads a type from a word, None if nothing does, and what the help calls it."""
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if kind is bool:
        return _read_truth, 'true|false'
    if kind in (int, float, str):
        return kind, {int: 'INT', float: 'NUMBER', str: 'TEXT'}[kind]
    if origin is Literal:
        return lambda text: _read_choice(text, inner), '|'.join(map(str, inner))
    if origin in (tuple, list, Sequence) and inner:
        reader, name = _read_kind(inner[0])
        make = list if origin is list else tuple
        size = None if origin is not tuple or inner[-1] is Ellipsis else len(inner)
        if reader is not None:
            names = ','.join([name] * size) if size else f'{name},...'
            return lambda text: make(_read_several(text, reader, size)), names
    return None, 'VALUE'


def _read_truth(text: str) -> bool:
    if text.lower() not in TRUTH:
        raise ValueError(text)
    return TRUTH[text.lower()]


def _read_choice(text: str, choices: Sequence[Any]) -> Any:
    for choice in choices:
        if str(choice) == text:
            return choice
    raise ValueError(text)


def _read_several(text: str, reader: Callable[[str], Any], size: int | None) -> list[Any]:
    parts = text.split(',')
    if size not in (None, len(parts)):
        raise ValueError(text)
    return [reader(part) for part in parts]
