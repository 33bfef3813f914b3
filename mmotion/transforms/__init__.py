"""What a clip goes through between its file and the model; imported when it is first used."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mmotion.transforms.augmentation import CameraMotion, CameraPath, ClipJitter, move_camera
    from mmotion.transforms.sampling import DecodeClip, SampleClip

_PLACES = {
    'CameraMotion': 'augmentation',
    'CameraPath': 'augmentation',
    'ClipJitter': 'augmentation',
    'DecodeClip': 'sampling',
    'SampleClip': 'sampling',
    'move_camera': 'augmentation',
}

__all__ = ['CameraMotion', 'CameraPath', 'ClipJitter', 'DecodeClip', 'SampleClip', 'move_camera']


def __getattr__(name: str) -> object:
    if name not in _PLACES:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    return getattr(import_module(f'mmotion.transforms.{_PLACES[name]}'), name)
