"""Check this installation, and say how to mend what does not work."""

import argparse
import importlib
import os
import platform
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata

INSTALL_AGAIN = 'pip install --force-reinstall mmotion'
# each fills the folder cv2
OPENCVS = (
    'opencv-python',
    'opencv-contrib-python',
    'opencv-python-headless',
    'opencv-contrib-python-headless',
)
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
    """Add nothing: `mmotion doctor` has no arguments."""


def run(args: argparse.Namespace) -> int:
    """Print what each check has found, as soon as it has."""
    broken = 0
    for check in check_installation():
        print(check, flush=True)
        broken += check.remedy is not None
    return 1 if broken else 0


def check_installation() -> Iterator[Check]:
    """Run all checks; a failing one does not stop the others.

    Yields:
        The findings, in the order in which to mend them.
    """
    checks = (
        ('python', _python, 'use Python 3.10 to 3.13'),
        ('torch', _torch, 'pip install "torch>=2.4"'),
        (
            'torchvision',
            _torchvision,
            'install torch and torchvision of one release: pip install --upgrade torch torchvision',
        ),
        ('opencv', _opencv, KEEP_ONE_OPENCV),
        ('mmengine', lambda: _version('mmengine'), 'pip install --no-deps "mmengine>=0.10.7"'),
        ('mmcv', lambda: _version('mmcv'), 'pip install --no-deps mmcv-lite==2.1.0'),
        ('mmaction', _mmaction, 'pip install --no-deps mmaction2==1.2.0 importlib_metadata'),
        ('timm', lambda: _version('timm'), 'pip install timm'),
        ('av', _av, 'pip install --force-reinstall av'),
        ('systems', _systems, INSTALL_AGAIN),
        ('configs', _configs, INSTALL_AGAIN),
        ('device', _device, 'install a torch build that fits the driver of the GPU'),
    )
    for name, check, remedy in checks:
        yield _run(name, check, remedy)


def _run(name: str, check: Callable[[], str], remedy: str) -> Check:
    try:
        return Check(name, check())
    except Exception as error:
        return Check(name, f'{type(error).__name__}: {error}', remedy)


def _version(module: str) -> str:
    return importlib.import_module(module).__version__


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
    import torchvision

    # the compiled part of another release imports, but has no operators
    torchvision.ops.nms(torch.zeros(1, 4), torch.zeros(1), 0.5)
    return torchvision.__version__


def _mmaction() -> str:
    # applies what MMAction2 needs to be importable
    import mmotion.registry  # noqa: F401

    # isort: split
    from mmaction.registry import MODELS
    from mmaction.utils import register_all_modules

    register_all_modules(init_default_scope=False)
    return f'{_version("mmaction")} ({len(MODELS)} models)'


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


def _systems() -> str:
    from mmotion.cli.catalog import find_systems

    systems = find_systems()
    for system in systems:
        importlib.import_module(f'projects.{system}')
    return ', '.join(systems)


def _configs() -> str:
    from mmotion.cli.catalog import list_entries
    from mmotion.config import load_config

    names = [name for name, _ in list_entries('configs')]
    for name in names:
        load_config(name)
    return f'{len(names)} bundled configs can be read'


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
