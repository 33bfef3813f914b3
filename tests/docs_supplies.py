"""The files that pages of the documentation name and a reader has: small generated ones.

`SUPPLIES` says how each is made; a page gets those whose names stand in what is run of it.
"""

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np

from mmotion.shapes import UntrimmedShapes
from mmotion.video import VideoWriter


def write_exercise(path: Path, number: int, side: int = 160) -> None:
    """Somebody who exercises, by the number of the video in `UntrimmedShapes`."""
    video = UntrimmedShapes(split='test', size=side, duration_s=(8.0, 20.0))[number]
    _write(path, list(video.frames()), video.fps)


def write_jumping_jacks(path: Path) -> None:
    """Nine jumping jacks in 8.5 seconds."""
    write_exercise(path, 48)


def write_two_people(path: Path) -> None:
    """Two who exercise side by side, 420 x 310."""
    shown = []
    for number in (59, 48):
        video = UntrimmedShapes(split='test', size=200, duration_s=(8.0, 20.0))[number]
        shown.append(video.render()[:100])
    frames = np.full((100, 310, 420, 3), 90, np.uint8)
    frames[:, 60:260, 5:205], frames[:, 60:260, 215:415] = shown
    _write(path, [*frames], 12.0)


def write_regions(path: Path) -> None:
    """The places of the two of `write_two_people`."""
    regions = {'left': [5, 60, 205, 260], 'right': [215, 60, 415, 260]}
    path.write_text(json.dumps(regions))


def write_folder_of_exercises(path: Path) -> None:
    """Three videos."""
    for name, number in (('jacks', 48), ('more_jacks', 59), ('squat_thrusts', 152)):
        write_exercise(path / f'{name}.mp4', number)


def _write(path: Path, frames: list[np.ndarray], fps: float) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with VideoWriter(path, fps=fps) as writer:
        for frame in frames:
            writer.write(frame)


# what a page may name: how it is made
SUPPLIES: dict[str, Callable[[Path], None]] = {
    'workout.mp4': write_jumping_jacks,
    'jacks.mp4': write_jumping_jacks,
    'gym.mp4': write_two_people,
    'people.json': write_regions,
    'videos': write_folder_of_exercises,
}


def supply(code: str, folder: Path) -> None:
    """Make what code names."""
    for name, make in SUPPLIES.items():
        if re.search(rf'(?<![\w./-]){re.escape(name)}(?![\w-])', code):
            make(folder / name)
