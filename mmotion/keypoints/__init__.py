"""Keypoints of people and animals: sequences, files, detectors, tracks."""

from mmotion.keypoints.files import PoseFileError, read_poses, write_poses
from mmotion.keypoints.poses import Person, PoseVideo
from mmotion.keypoints.skeletons import SKELETONS, Skeleton

__all__ = [
    'SKELETONS',
    'Person',
    'PoseFileError',
    'PoseVideo',
    'Skeleton',
    'read_poses',
    'write_poses',
]
