"""Generated videos of moving shapes, figures and people, with exact ground truth."""

from mmotion.shapes.motion_shapes import SPLITS, MotionShapes
from mmotion.shapes.people import PersonMotion, PersonShapes, simulate_detector
from mmotion.shapes.scene import Scene
from mmotion.shapes.timing import RepetitionLabels, RepetitionSet
from mmotion.shapes.untrimmed import UntrimmedShapes, UntrimmedVideo

__all__ = [
    'SPLITS',
    'MotionShapes',
    'PersonMotion',
    'PersonShapes',
    'RepetitionLabels',
    'RepetitionSet',
    'Scene',
    'UntrimmedShapes',
    'UntrimmedVideo',
    'simulate_detector',
]
