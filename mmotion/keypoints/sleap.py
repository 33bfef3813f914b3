"""Keypoints for SLEAP, and for neurophysiology's NWB files; nothing of the pictures is kept.

`.slp`: SLEAP's own file, of predicted instances with a score for each point. It knows numbers of
    frames and no times.
NWB: by pynwb and ndx-pose, in the layout of sleap-io, so that its `load_nwb` reads it too: a module
    SLEAP_VIDEO_000 with a PoseEstimation for each track, track0 and so on, the skeleton in the
    module behavior. There is a row for every frame from 0, NaN where nobody was seen, as sleap-io
    counts rows; each row has its time. sleap-io's own writer would cut rates to whole numbers.

Both need the package sleap-io, which brings the others.

Shape letters in this file: T frames from 0 to the last that was looked at, K points.
"""

import datetime
import importlib
import io
import uuid
from pathlib import Path
from typing import Any

import numpy as np

from mmotion.atomic import check_room, write_atomically
from mmotion.keypoints.poses import PoseVideo

# a .slp without anybody, and what a frame, person or point adds
_LEAST_BYTES = 1 << 18
_ROW_BYTES = 80


def import_sleap(what: str) -> Any:
    """Import sleap-io.

    Args:
        what: What needs it, for the message.

    Raises:
        ImportError: If it is not installed.
    """
    try:
        return importlib.import_module('sleap_io')
    except ImportError as error:
        raise ImportError(
            f'{what} must have the package sleap-io, got {error}; pip install "mmotion[sleap]"'
        ) from error


def write_sleap(poses: PoseVideo, path: str | Path) -> None:
    """Write a video's people, tracked or not, as SLEAP's predictions.

    Args:
        poses: The people; a frame that was looked at and shows nobody is there, empty.
        path: The file, ending in .slp.

    Raises:
        ImportError: If sleap-io is not installed.
    """
    sleap = import_sleap(str(path))
    names = poses.skeleton.points
    skeleton = sleap.Skeleton(
        name=poses.skeleton.name,
        nodes=list(names),
        edges=[(names[a], names[b]) for a, b in poses.skeleton.edges],
        symmetries=[(names[i], names[j]) for i, j in enumerate(poses.skeleton.mirror) if i < j],
    )
    # of what shape it is, its reader finds out
    video = sleap.Video(filename=str(Path(poses.source).absolute()), open_backend=False)
    tracks = {number: sleap.Track(f'track{number}') for number in poses.tracks}
    frames = []
    for index, persons in zip(poses.frame_indices.tolist(), poses.frames, strict=True):
        instances = [
            sleap.PredictedInstance.from_numpy(
                points_data=person.keypoints.astype(np.float64),
                point_scores=person.scores.astype(np.float64),
                score=person.score,
                skeleton=skeleton,
                track=None if person.track is None else tracks[person.track],
            )
            for person in persons
        ]
        frames.append(sleap.LabeledFrame(video=video, frame_idx=index, instances=instances))
    labels = sleap.Labels(
        frames, videos=[video], skeletons=[skeleton], tracks=list(tracks.values())
    )
    labels.provenance.update(detector=poses.detector, fps=poses.fps)
    with write_atomically(path) as temporary:
        # HDF5 crashes when a disk fills up; this is above what it takes
        num_rows = len(poses.frames) + sum(map(len, poses.frames)) * (2 + len(names))
        check_room(temporary.parent, _LEAST_BYTES + _ROW_BYTES * num_rows)
        sleap.save_slp(labels, str(temporary), verbose=False)


def write_nwb(poses: PoseVideo, path: str | Path) -> None:
    """Write a video's tracks as NWB; nobody knows when it was recorded, so it begins now.

    Args:
        poses: Each person with a track.
        path: The file, ending in .nwb.

    Raises:
        ValueError: If there is nobody, or somebody without a track.
        ImportError: If sleap-io is not installed.
    """
    import_sleap(str(path))
    h5py, pynwb, ndx_pose = map(importlib.import_module, ('h5py', 'pynwb', 'ndx_pose'))
    untracked = sum(person.track is None for persons in poses.frames for person in persons)
    if untracked or not poses.tracks:
        raise ValueError(
            f'people must have tracks for NWB, got {untracked} without one in {poses.source}'
        )
    file = pynwb.NWBFile(
        session_description=f'Keypoints in {Path(poses.source).name}; its start is that of writing',
        identifier=str(uuid.uuid4()),
        session_start_time=datetime.datetime.now(datetime.timezone.utc),
    )
    skeleton = ndx_pose.Skeleton(
        name=poses.skeleton.name,
        nodes=list(poses.skeleton.points),
        edges=np.array(poses.skeleton.edges, dtype=np.uint16).reshape(-1, 2),
    )
    behavior = file.create_processing_module('behavior', 'what the points are')
    behavior.add(ndx_pose.Skeletons(skeletons=[skeleton]))
    module = file.create_processing_module('SLEAP_VIDEO_000', f'keypoints in {poses.source}')
    times_s = poses.time_every_frame()
    for number in poses.tracks:
        points = np.full((len(times_s), poses.skeleton.num_points, 3), np.nan)
        keypoints, scores = poses.track(number)
        points[poses.frame_indices] = np.concatenate([keypoints, scores[..., None]], axis=2)
        series = [
            ndx_pose.PoseEstimationSeries(
                name=name,
                data=points[:, i, :2],
                confidence=points[:, i, 2],
                confidence_definition=f'score by {poses.detector}, in [0, 1]',
                timestamps=times_s,
                unit='pixels',
                reference_frame='(0, 0) is the middle of the top left pixel',
            )
            for i, name in enumerate(poses.skeleton.points)
        ]
        module.add(
            ndx_pose.PoseEstimation(
                name=f'track{number}',
                pose_estimation_series=series,
                skeleton=skeleton,
                source_software='mmotion',
                scorer=poses.detector,
                description=f'in a picture of {poses.width} x {poses.height} pixels',
                # ndx-pose would rather have an ImageSeries, which sleap-io does not look for
                original_videos=[poses.source],
            )
        )
    # in memory, as HDF5 crashes when a disk fills up
    content = io.BytesIO()
    with h5py.File(content, 'w') as memory, pynwb.NWBHDF5IO(file=memory, mode='w') as output:
        output.write(file)
    with write_atomically(path) as temporary:
        temporary.write_bytes(content.getbuffer())
