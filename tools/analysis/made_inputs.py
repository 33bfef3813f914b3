"""Inputs of any length for the benchmarks: a video of a square that goes round, and keypoints."""

from pathlib import Path

import numpy as np

from mmotion.keypoints.files import write_poses
from mmotion.keypoints.poses import Person, PoseVideo
from mmotion.keypoints.skeletons import COCO17
from mmotion.video.writer import VideoWriter


def write_video(path: Path, num_frames: int, size_wh: tuple[int, int], *, fps: float) -> Path:
    """Write a square that goes round once a second before a picture of blocks, as H.264."""
    width, height = size_wh
    side = min(size_wh) // 5
    blocks = np.random.default_rng(0).integers(40, 200, (height // 8 + 1, width // 8 + 1, 3))
    back = blocks.astype(np.uint8).repeat(8, 0).repeat(8, 1)[:height, :width]
    with VideoWriter(path, fps=fps) as writer:
        for angle in np.arange(num_frames) / fps * 2 * np.pi:
            image = back.copy()
            x, y = (
                int(width * (0.4 + 0.3 * np.cos(angle))),
                int(height * (0.4 + 0.3 * np.sin(angle))),
            )
            image[y : y + side, x : x + side] = 220
            writer.write(image)
    return path


def write_keypoints(path: Path, num_frames: int, *, fps: float) -> Path:
    """Write the keypoints of one person who sways, as JSON."""
    rng = np.random.default_rng(0)
    points = rng.uniform(20, 80, (COCO17.num_points, 2)).astype(np.float32)
    scores = np.ones(COCO17.num_points, np.float32)
    places = [points + np.float32(5 * np.sin(number / 5)) for number in range(num_frames)]
    people = (Person(keypoints=place, scores=scores, score=1.0, track=0) for place in places)
    frames = tuple((person,) for person in people)
    poses = PoseVideo(
        source='generated',
        skeleton=COCO17,
        width=100,
        height=100,
        fps=fps,
        num_frames=num_frames,
        frame_indices=np.arange(num_frames),
        frames=frames,
        detector='generated',
    )
    write_poses(poses, path)
    return path
