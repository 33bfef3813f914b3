"""What there is to choose from: bundled configs, systems, and the names that a config can use."""

import ast
import difflib

from mmotion.cli.registered import find_registries, list_registered
from mmotion.paths import enable_projects


def list_entries(kind: str) -> list[tuple[str, str]]:
    """List everything of one kind.

    Args:
        kind: 'configs', 'systems', or the name of a registry in small letters, such as 'models'.

    Returns:
        Names, each with a description: the first comment of a config, what a system says of
        itself, or the module that a registered name comes from (ours first).

    Raises:
        ValueError: If there is no such kind.
    """
    root = enable_projects()
    if kind == 'configs':
        files = sorted((root / 'configs').glob('*.py'))
        return [(f.stem, f.read_text(encoding='utf-8').split('\n')[0].lstrip('# ')) for f in files]
    if kind == 'systems':
        systems = find_systems()
        files = [root / 'projects' / name / '__init__.py' for name in systems]
        docs = [ast.get_docstring(ast.parse(file.read_text(encoding='utf-8'))) for file in files]
        return [(name, (doc or '').split('\n')[0]) for name, doc in zip(systems, docs, strict=True)]
    registries = {name.lower(): name for name in find_registries()}
    kinds = ['configs', 'systems', *registries]
    if kind not in kinds:
        near = difflib.get_close_matches(kind, kinds, n=1)
        raise ValueError(
            f'kind must be one of {", ".join(kinds)}, got {kind!r}'
            + (f'; did you mean {near[0]!r}?' if near else '')
        )
    return list(list_registered(registries[kind]).items())


def find_systems() -> list[str]:
    """Name the systems: the packages in `projects/`, in alphabetical order."""
    return sorted(p.parent.name for p in enable_projects().glob('projects/*/__init__.py'))
