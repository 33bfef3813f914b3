"""What a clip goes through between its file and the model."""

from mmotion.transforms.augmentation import CameraMotion, CameraPath, ClipJitter, move_camera
from mmotion.transforms.sampling import DecodeClip, SampleClip

__all__ = ['CameraMotion', 'CameraPath', 'ClipJitter', 'DecodeClip', 'SampleClip', 'move_camera']
