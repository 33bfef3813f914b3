"""Find the folders that come with mmotion: `projects/` (the systems) and `configs/`.

Both lie beside the package in a checkout and in `pip install -e .`, and inside the package, under
`mmotion/bundle/`, in an installed wheel. Everything else asks this file and never builds such a
path itself, so the same command runs in all three.
"""

import difflib
import importlib.util
import sys
from pathlib import Path

PACKAGE_DIR = Path(__file__).resolve().parent
# of the registries, and the default scope of configs: mmengine imports `<scope>.registry`
SCOPE = 'mmotion'


def find_root() -> Path:
    """Find the folder that holds `projects/` and `configs/`.

    Returns:
        The absolute path of `mmotion/bundle` in a wheel, else of the checkout.

    Raises:
        FileNotFoundError: If neither folder holds both.
    """
    candidates = (PACKAGE_DIR / 'bundle', PACKAGE_DIR.parent)
    for root in candidates:
        if (root / 'projects').is_dir() and (root / 'configs').is_dir():
            return root
    raise FileNotFoundError(
        'mmotion must come with the folders projects/ and configs/, got neither in '
        f'{" nor in ".join(map(str, candidates))}; install mmotion again'
    )


def enable_projects() -> Path:
    """Make `import projects.<system>` work, without hiding anything that is already importable.

    The root is appended to `sys.path`, never put first. `projects` is a namespace package (it has
    no `__init__.py`), so folders of that name elsewhere on the path add to it.

    Returns:
        The root, as from `find_root`.

    Raises:
        ImportError: If a regular package or module named `projects` hides the folder.
    """
    root = find_root()
    if str(root) not in sys.path:
        sys.path.append(str(root))
    spec = importlib.util.find_spec('projects')
    if spec is None or str(root / 'projects') not in list(spec.submodule_search_locations or []):
        origin = spec.origin if spec else None
        raise ImportError(
            f"'projects' must be the folder {root / 'projects'}, got projects={origin}; "
            'rename that package, or remove its __init__.py so that both can be imported'
        )
    return root


def find_config(name_or_path: str | Path) -> Path:
    """Find a config file by its path or by the bare name of a bundled config.

    Args:
        name_or_path: A path (`configs/repnet_shapes.py`, from the working directory or else from
            the root), or a name in `configs/` (`repnet_shapes` or `repnet_shapes.py`).

    Returns:
        The path of a file that exists.

    Raises:
        FileNotFoundError: If there is no such file; the message has the nearest bundled names.
    """
    path = Path(name_or_path).expanduser()
    configs = find_root() / 'configs'
    candidates = [path, configs.parent / path, configs / path, configs / f'{path}.py']
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    names = sorted(file.stem for file in configs.glob('*.py'))
    nearest = difflib.get_close_matches(path.stem, names, n=3)
    raise FileNotFoundError(
        f'config must be a file or the name of a bundled config, got config={str(name_or_path)!r}; '
        + (f'did you mean {" or ".join(nearest)}?' if nearest else '"mmotion list" shows them')
    )
