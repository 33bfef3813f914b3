"""Which packages a wheel holds; everything else about the project is in pyproject.toml.

`projects/`, `configs/` and `tools/` lie beside `mmotion/` in a checkout. A wheel carries them as
`mmotion/bundle/projects` and so on, so that site-packages gets the single name `mmotion`;
`mmotion.paths` finds them in either place.
"""

from setuptools import find_namespace_packages, find_packages, setup

BUNDLED = ('projects', 'configs', 'tools')


def list_bundled_packages(folder: str) -> list[str]:
    """Name the folder and its sub-folders as packages of `mmotion.bundle`."""
    subfolders = find_namespace_packages(folder, exclude=['*__pycache__*'])
    return [f'mmotion.bundle.{name}' for name in (folder, *(f'{folder}.{s}' for s in subfolders))]


bundled_packages = [name for folder in BUNDLED for name in list_bundled_packages(folder)]

setup(
    packages=find_packages(include=['mmotion', 'mmotion.*']) + bundled_packages,
    package_dir={f'mmotion.bundle.{folder}': folder for folder in BUNDLED},
    package_data={name: ['*'] for name in bundled_packages},
)
