"""Check this installation, and say how to mend what does not work.

What is compiled is run: torch, torchvision, OpenCV and PyAV. Of other packages the versions are
read, and of systems and configs the files; --full imports and reads them all, which takes as long
as three starts of torch more.
"""

import argparse
import ast
import importlib
import importlib.util
import os
import platform
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from mmotion.cli.catalog import find_systems, list_entries
from mmotion.paths import enable_projects

INSTALL_AGAIN = 'pip install --force-reinstall mmotion'
MMACTION_AGAIN = 'pip install --no-deps mmaction2==1.2.0 importlib_metadata'
# each fills the folder cv2
OPENCVS = (
    'opencv-python',
    'opencv-contrib-python',
    'opencv-python-headless',
    'opencv-contrib-python-headless',
)
# each fills the folder mmcv
MMCVS = ('mmcv', 'mmcv-lite')
KEEP_ONE_OPENCV = (
    f'pip uninstall --yes {" ".join(OPENCVS)} && '
    'pip install "opencv-contrib-python-headless>=4.7,<5.1"'
)


@dataclass(frozen=True)
class Check:
    """What one check found.

    Args:
        name: What was checked.
        finding: Its version, or what is wrong with it.
        remedy: What to do about it; None if nothing is wrong.
    """

    name: str
    finding: str
    remedy: str | None = None

    def __str__(self) -> str:
        if self.remedy is None:
            return f'ok      {self.name:<12} {self.finding}'
        return f'BROKEN  {self.name:<12} {self.finding}\n{"":<20} remedy: {self.remedy}'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `mmotion doctor`."""
    parser.add_argument(
        '--full', action='store_true', help='import all systems, and read all configs'
    )


def run(args: argparse.Namespace) -> int:
    """Print what each check has found, as soon as it has."""
    broken = 0
    for check in check_installation(full=args.full):
        print(check, flush=True)
        broken += check.remedy is not None
    return 1 if broken else 0


def check_installation(*, full: bool = False) -> Iterator[Check]:
    """Run all checks; a failing one does not stop the others.

    Args:
        full: Whether to import what is slow to import too.

    Yields:
        The findings, in the order in which to mend them.
    """
    checks = [
        ('python', _python, 'use Python 3.10 to 3.13'),
        ('torch', _torch, 'pip install "torch>=2.4"'),
        (
            'torchvision',
            _torchvision,
            'install torch and torchvision of one release: pip install --upgrade torch torchvision',
        ),
        ('opencv', _opencv, KEEP_ONE_OPENCV),
        (
            'mmengine',
            lambda: metadata.version('mmengine'),
            'pip install --no-deps "mmengine>=0.10.7"',
        ),
        ('mmcv', _mmcv, 'pip uninstall --yes mmcv && pip install --no-deps mmcv-lite==2.1.0'),
        ('mmaction', lambda: metadata.version('mmaction2'), MMACTION_AGAIN),
        ('timm', lambda: metadata.version('timm'), 'pip install timm'),
        ('av', _av, 'pip install --force-reinstall av'),
        ('packages', _packages, INSTALL_AGAIN),
        ('systems', _systems, INSTALL_AGAIN),
        ('configs', _configs, INSTALL_AGAIN),
        ('device', _device, 'install a torch build that fits the driver of the GPU'),
    ]
    if full:
        checks += [
            ('all models', _all_models, MMACTION_AGAIN),
            ('all systems', _all_systems, INSTALL_AGAIN),
            ('all configs', _all_configs, INSTALL_AGAIN),
        ]
    for name, check, remedy in checks:
        yield _run(name, check, remedy)


def _run(name: str, check: Callable[[], str], remedy: str) -> Check:
    try:
        return Check(name, check())
    except Exception as error:
        return Check(name, f'{type(error).__name__}: {error}', remedy)


def _python() -> str:
    if not (3, 10) <= sys.version_info[:2] <= (3, 13):
        raise RuntimeError(f'python must be 3.10 to 3.13, got {platform.python_version()}')
    return f'{platform.python_version()} ({platform.system()} {platform.machine()})'


def _torch() -> str:
    import torch

    # fails if the libraries do not fit the processor
    torch.nn.Conv2d(3, 4, 3)(torch.zeros(1, 3, 8, 8)).sum().backward()
    return f'{torch.__version__} ({torch.get_num_threads()} threads)'


def _torchvision() -> str:
    import torch

    # the compiled part alone, as the rest takes as long to import as torch; that of another release
    # cannot be loaded, or has no operators
    spec = importlib.util.find_spec('torchvision')
    folders = (spec and spec.submodule_search_locations) or ()
    files = [str(file) for folder in folders for file in Path(folder).glob('_C*.*')]
    if not files:
        raise ModuleNotFoundError('torchvision must be there with its compiled part, got none')
    torch.ops.load_library(files[0])
    torch.ops.torchvision.nms(torch.zeros(1, 4), torch.zeros(1), 0.5)
    return metadata.version('torchvision')


def _mmcv() -> str:
    from packaging.version import Version

    found = {name: version for name in MMCVS if (version := _find_version(name))}
    listed = ', '.join(f'{name} {version}' for name, version in found.items())
    if not found or any(Version(version) >= Version('2.2') for version in found.values()):
        raise RuntimeError(
            f'mmcv must be there and below 2.2 for MMAction2, got {listed or "none"}'
        )
    return listed


def _opencv() -> str:
    import cv2

    found = {name: version for name in OPENCVS if (version := _find_version(name))}
    listed = ', '.join(f'{name} {version}' for name, version in found.items())
    if len(set(found.values())) > 1:
        raise RuntimeError(f'cv2 must come from one package, got {cv2.__version__} of {listed}')
    if len(found) > 1:
        listed += '; they share their files, so remove all or none'
    return f'{cv2.__version__} ({listed})' if found else cv2.__version__


def _find_version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def _av() -> str:
    import av

    missing = [name for name in ('h264', 'mpeg4') if name not in av.codecs_available]
    if missing:
        raise RuntimeError(f'av must decode common videos, got no codec {", ".join(missing)}')
    return f'{av.__version__} ({len(av.codecs_available)} codecs)'


def _packages() -> str:
    """Whether each package that mmotion requires has a version that it works with."""
    from packaging.requirements import Requirement

    if _find_version('mmotion') is None:
        return 'not checked, as mmotion itself is not installed'
    wanted = [Requirement(text) for text in metadata.requires('mmotion') or ()]
    # without those of extras; and which OpenCV there is is a matter of its own
    wanted = [
        one
        for one in wanted
        if one.name not in OPENCVS and (one.marker is None or one.marker.evaluate({'extra': ''}))
    ]
    wrong = [
        f'{one} (got {found or "none"})'
        for one in wanted
        if not (found := _find_version(one.name)) or not one.specifier.contains(found, True)
    ]
    if wrong:
        raise RuntimeError(f'packages must be those that mmotion requires: {", ".join(wrong)}')
    return f'{len(wanted)} that mmotion requires'


def _systems() -> str:
    return ', '.join(find_systems())


def _configs() -> str:
    files = sorted((enable_projects() / 'configs').glob('*.py'))
    for file in files:
        ast.parse(file.read_text(encoding='utf-8'), file.name)
    return f'{len(files)} bundled configs'


def _all_models() -> str:
    # applies what MMAction2 needs to be importable
    import mmotion.registry  # noqa: F401

    # isort: split
    from mmaction.registry import MODELS
    from mmaction.utils import register_all_modules

    register_all_modules(init_default_scope=False)
    return f'{len(MODELS)} of MMAction2'


def _all_systems() -> str:
    for system in find_systems():
        importlib.import_module(f'projects.{system}')
    return 'imported'


def _all_configs() -> str:
    from mmotion.config import load_config

    for name, _ in list_entries('configs'):
        load_config(name)
    return 'read'


def _device() -> str:
    import torch

    if torch.cuda.is_available():
        torch.zeros(1, device='cuda').add_(1).cpu()
        return ', '.join(
            torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())
        )
    if torch.version.cuda and os.path.exists('/proc/driver/nvidia/version'):
        raise RuntimeError(f'there is a GPU, but torch for CUDA {torch.version.cuda} cannot use it')
    return f'CPU, {os.cpu_count()} cores'
