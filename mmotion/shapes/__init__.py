"""MotionShapes: generated videos of moving shapes and figures, with exact ground truth."""

from mmotion.shapes.motion_shapes import SPLITS, MotionShapes
from mmotion.shapes.people import PersonMotion, PersonShapes, simulate_detector
from mmotion.shapes.scene import Scene

__all__ = [
    'SPLITS',
    'MotionShapes',
    'PersonMotion',
    'PersonShapes',
    'Scene',
    'simulate_detector',
]
