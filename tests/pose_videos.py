"""Keypoints of videos for tests."""

from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np

from mmotion.keypoints.poses import Person, PoseVideo
from mmotion.keypoints.skeletons import COCO17, Skeleton
from mmotion.tables import write_table


def make_video(
    num_frames: int = 12,
    *,
    skeleton: Skeleton = COCO17,
    people: int = 1,
    track: bool = True,
    seed: int = 0,
    missing: float = 0.1,
    nobody: Collection[int] = (),
    **fields: Any,
) -> PoseVideo:
    """Draw the keypoints of a video that was looked at every second frame.

    Args:
        num_frames: Frames that were looked at.
        skeleton: What the points are.
        people: In each frame, with tracks 0, 1, ... if they have any.
        track: Whether they have tracks.
        seed: Of the random numbers.
        missing: Share of the points that are missing.
        nobody: Frames, among those that were looked at, without a person.
        fields: Others of `PoseVideo`, instead of those here.
    """
    rng = np.random.default_rng(seed)

    def person(number: int) -> Person:
        keypoints = rng.uniform(10, 400, (skeleton.num_points, 2))
        keypoints[rng.random(skeleton.num_points) < missing] = np.nan
        return Person(
            keypoints=keypoints,
            scores=rng.uniform(0.3, 1, skeleton.num_points),
            score=0.75,
            track=number if track else None,
            box_xyxy=np.array([5, 6, 407, 408]),
        )

    frames = tuple(
        () if i in nobody else tuple(person(j) for j in range(people)) for i in range(num_frames)
    )
    values: dict[str, Any] = {
        'source': f'video{seed}.mp4',
        'fps': 25.0,
        'width': 640,
        'height': 480,
        'num_frames': 2 * num_frames,
        'detector': 'test',
        'skeleton': skeleton,
        'frame_indices': 2 * np.arange(num_frames),
        'frames': frames,
    }
    return PoseVideo(**(values | fields))


def write_deeplabcut(video: PoseVideo, path: Path) -> None:
    """Write the main track as DeepLabCut's analyze_videos does."""
    keypoints, scores = video.main_track()
    names = [name for name in video.skeleton.points for _ in range(3)]
    coords = ['coords', *['x', 'y', 'likelihood'] * video.skeleton.num_points]
    values = np.concatenate([keypoints, scores[..., None]], axis=-1).reshape(len(scores), -1)
    rows = [[i, *row] for i, row in zip(video.frame_indices, values.tolist(), strict=True)]
    write_table(path, ['scorer', *['DLC_net'] * len(names)], [['bodyparts', *names], coords, *rows])


def assert_equal(one: PoseVideo, other: PoseVideo, *, atol_px: float = 1e-3) -> None:
    """Compare videos by everything, boxes and scores of people aside."""
    for name in ('source', 'fps', 'width', 'height', 'num_frames', 'detector', 'skeleton'):
        assert getattr(one, name) == getattr(other, name), name
    assert one.labels == other.labels
    assert one.frame_indices.tolist() == other.frame_indices.tolist()
    assert [len(persons) for persons in one.frames] == [len(persons) for persons in other.frames]
    for mine, theirs in zip(one.frames, other.frames, strict=True):
        for a, b in zip(mine, theirs, strict=True):
            assert a.track == b.track
            np.testing.assert_allclose(a.keypoints, b.keypoints, atol=atol_px)
            np.testing.assert_allclose(a.scores, b.scores, atol=1e-5)
