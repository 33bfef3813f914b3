"""Which packages a wheel holds; everything else about the project is in pyproject.toml.

`projects/`, `configs/` and `tools/` lie beside `mmotion/` in a checkout. A wheel carries them as
`mmotion/bundle/projects` and so on, so that site-packages gets the single name `mmotion`;
`mmotion.paths` finds them in either place.
"""

from pathlib import Path

from setuptools import find_namespace_packages, find_packages, setup
from setuptools.command.build_py import build_py

BUNDLED = ('projects', 'configs', 'tools')


def list_bundled_packages(folder: str) -> list[str]:
    """Name the folder and its sub-folders as packages of `mmotion.bundle`."""
    subfolders = find_namespace_packages(folder, exclude=['*__pycache__*'])
    return [f'mmotion.bundle.{name}' for name in (folder, *(f'{folder}.{s}' for s in subfolders))]


class BuildPackages(build_py):
    """Let the stub of `load_model` name the systems where a wheel has them."""

    def run(self) -> None:
        super().run()
        stub = Path(self.build_lib, 'mmotion', 'inference', 'load.pyi')
        if stub.is_file() and not self.editable_mode:
            text = stub.read_text(encoding='utf-8')
            text = text.replace('from projects.', 'from mmotion.bundle.projects.')
            stub.write_text(text, encoding='utf-8')


bundled_packages = [name for folder in BUNDLED for name in list_bundled_packages(folder)]

setup(
    packages=find_packages(include=['mmotion', 'mmotion.*']) + bundled_packages,
    package_dir={f'mmotion.bundle.{folder}': folder for folder in BUNDLED},
    package_data={name: ['*'] for name in bundled_packages}
    | {'mmotion': ['py.typed'], 'mmotion.inference': ['*.pyi']},
    cmdclass={'build_py': BuildPackages},
)
