"""The files that pages of the documentation name and a reader has: small generated ones.

`SUPPLIES` says how each is made; a page gets those whose names stand in what is run of it.
"""

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np

from mmotion.keypoints import Person, PoseVideo, write_poses
from mmotion.keypoints.skeletons import COCO17
from mmotion.shapes import UntrimmedShapes
from mmotion.video import VideoWriter
from projects.bkind.labeled_data import figure_scene
from projects.timesformer.shapes_data import action_scene

# COCO's 17 points of somebody who stands, pixels
STANDING = np.array(
    [
        *[(100, 60), (96, 56), (104, 56), (92, 58), (108, 58), (80, 90), (120, 90), (70, 120)],
        *[(130, 120), (64, 150), (136, 150), (88, 160), (112, 160), (86, 210), (114, 210)],
        *[(85, 260), (115, 260)],
    ],
    float,
)


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
    places = {'left': [5, 60, 205, 260], 'right': [215, 60, 415, 260]}
    regions = [{'name': name, 'box_xyxy': box} for name, box in places.items()]
    path.write_text(json.dumps({'regions': regions}))


def write_exercises(path: Path) -> None:
    """A folder of three videos."""
    for name, number in (('jacks', 48), ('more_jacks', 59), ('squat_thrusts', 152)):
        write_exercise(path / f'{name}.mp4', number)


def write_counts(path: Path) -> None:
    """What was counted in `write_jumping_jacks`."""
    write_jumping_jacks(path.parent / 'counted.mp4')
    path.write_text('file,start_s,end_s,count\ncounted.mp4,0,8.5,9\n')


def write_figure(path: Path, number: int = 0) -> None:
    """A jointed figure before a still camera."""
    scene, _ = figure_scene(np.random.default_rng(number), num_frames=60, size=128)
    _write(path, list(scene.frames()), 30.0)


def write_figures(path: Path) -> None:
    """A folder of three of them."""
    for number in range(3):
        write_figure(path / f'figure_{number}.mp4', number)


def write_motion(path: Path, motion: str = 'right', number: int = 0) -> None:
    """A shape that moves in one way for two seconds."""
    rng = np.random.default_rng(number)
    scene = action_scene(motion, rng, num_frames=64, size=96)
    _write(path, list(scene.frames()), 30.0)


def write_motions(path: Path) -> None:
    """A folder for each of three classes, six videos in each."""
    for name, motion in (('walking', 'right'), ('sitting', 'bob'), ('falling', 'clockwise')):
        for number in range(6):
            write_motion(path / name / f'{name}_{number}.mp4', motion, number)


def write_keypoints(path: Path, activity: str = 'wave', num_people: int = 2) -> None:
    """People who wave or squat once a second, as long and large as `write_two_people`."""
    frames = np.arange(0, 100, 3)
    moving = {'wave': (9, 10), 'squat': range(13)}[activity]
    seen = []
    for frame in frames:
        points = STANDING.copy()
        points[list(moving), 1] += 30 * np.sin(2 * np.pi * frame / 12)
        people = []
        for number in range(num_people):
            place = points + np.array([160 * number, 0])
            people.append(Person(keypoints=place, scores=np.ones(17), score=0.9, track=number))
        seen.append(tuple(people))
    path.parent.mkdir(parents=True, exist_ok=True)
    write_poses(
        PoseVideo(
            source=path.with_suffix('.mp4').name,
            fps=12.0,
            width=420,
            height=310,
            num_frames=100,
            detector='generated',
            skeleton=COCO17,
            frame_indices=frames,
            frames=tuple(seen),
        ),
        path,
    )


def write_activities(path: Path) -> None:
    """A folder for each of two activities, eight files in each."""
    for activity in ('wave', 'squat'):
        for number in range(8):
            write_keypoints(path / activity / f'{activity}_{number}.json', activity, 1)


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
    'talk.mp4': write_jumping_jacks,
    'people.json': write_regions,
    'videos': write_exercises,
    'counts.csv': write_counts,
    'keypoints/gym.json': write_keypoints,
    'data/poses': write_activities,
    'mouse.mp4': write_figure,
    'data/videos': write_figures,
    'clip.mp4': write_motion,
    'yard.mp4': write_motion,
    'my_videos': write_motions,
}


def supply(code: str, folder: Path) -> None:
    """Make what code names."""
    if 'bkind_custom' in code:
        # the place where these configs look
        code += ' data/videos '
    if 'pose_convlstm_json' in code:
        code += ' data/poses '
    for name, make in SUPPLIES.items():
        if re.search(rf'(?<![\w./-]){re.escape(name)}(?![\w-])', code):
            make(folder / name)
