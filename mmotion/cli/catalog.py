"""What there is to choose from: bundled configs, systems, and the names that a config can use."""

import ast
import difflib
import importlib
import sys

from mmotion.paths import PACKAGE_DIR, enable_projects


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
    systems = find_systems()
    if kind == 'systems':
        files = [root / 'projects' / name / '__init__.py' for name in systems]
        docs = [ast.get_docstring(ast.parse(file.read_text(encoding='utf-8'))) for file in files]
        return [(name, (doc or '').split('\n')[0]) for name, doc in zip(systems, docs, strict=True)]
    kinds = ['configs', 'systems', *find_registries()]
    if kind not in kinds:
        near = difflib.get_close_matches(kind, kinds, n=1)
        raise ValueError(
            f'kind must be one of {", ".join(kinds)}, got {kind!r}'
            + (f'; did you mean {near[0]!r}?' if near else '')
        )
    # slow to import, and neither configs nor systems need it, nor does a wrong word
    from mmotion import registry

    for system in systems:
        try:
            importlib.import_module(f'projects.{system}')
        except Exception as error:
            print(f'mmotion: projects.{system} cannot be imported: {error}', file=sys.stderr)
    found: dict[str, str] = {}
    current = getattr(registry, kind.upper())
    while current is not None:
        current.import_from_location()
        for name, value in sorted(current.module_dict.items()):
            found.setdefault(name, getattr(value, '__module__', ''))
        current = current.parent
    return list(found.items())


def find_systems() -> list[str]:
    """Name the systems: the packages in `projects/`, in alphabetical order."""
    return sorted(p.parent.name for p in enable_projects().glob('projects/*/__init__.py'))


def find_registries() -> list[str]:
    """Name the registries in small letters, in alphabetical order, without importing them."""
    module = ast.parse((PACKAGE_DIR / 'registry.py').read_text(encoding='utf-8'))
    return sorted(
        node.targets[0].id.lower()
        for node in module.body
        if isinstance(node, ast.Assign) and ast.unparse(node.value).startswith('Registry(')
        if isinstance(node.targets[0], ast.Name)
    )
