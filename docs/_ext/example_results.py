"""One small result of each class, with all that it may have: what `result_pages` reads from.

They are results of nothing, but they are written as any other: by `to_dict` of their class.
"""

from typing import Any

import numpy as np

from mmotion.keypoints.poses import PoseVideo
from mmotion.keypoints.skeletons import COCO17
from mmotion.regions import Region, RegionResults
from mmotion.structures.actions import ActionScores, RunningScores
from projects.anomaly.results import AnomalyScores, RunningAnomaly
from projects.bkind.results import FrameKeypoints, KeypointTracks
from projects.pose_sequence.results import PoseScores
from projects.repnet.inference import RunningPeople
from projects.repnet.results import RepetitionCount, RepetitionSegment, RunningCount

WINDOWS: dict[str, Any] = dict(
    window_start_s=[0.0, 1.0], window_end_s=[2.0, 3.0], num_frames=3, fps=1.0
)
SCORES: dict[str, Any] = dict(
    classes=('sit', 'walk'), scores=[0.25, 0.75], views='mean of 2 windows',
    window_scores=[[0.75, 0.25], [0.25, 0.75]], **WINDOWS,
)  # fmt: skip
# what only some videos need
UNEVEN: dict[str, Any] = dict(frame_times_s=[0.0, 1.0, 2.5], num_lost=1)


def make_results() -> dict[str, tuple[Any, ...]]:
    """Give by name a result with all that it may have, and one with as little as it can have."""
    return {
        'repetition_count': (
            _count(alternatives=((1.0, 0.75), (2.0, 0.25)), strides=(1, 2), **UNEVEN),
            _count(),
        ),
        'action_scores': (ActionScores(**SCORES, **UNEVEN), ActionScores(**SCORES)),
        'pose_scores': (
            PoseScores(**SCORES, **UNEVEN, poses=_poses()),
            PoseScores(**SCORES, poses=_poses()),
        ),
        'keypoint_tracks': (_tracks(**UNEVEN), _tracks()),
        'anomaly_scores': (_anomaly(**UNEVEN), _anomaly()),
        'region_results': (_regions(num_lost=1), _regions()),
        'running_count': (_running_count(),) * 2,
        'running_people': (RunningPeople(time_s=2.0, people={'person 0': _running_count()}),) * 2,
        'running_scores': (
            RunningScores(
                classes=('sit', 'walk'), num_frames=3, start_s=1.0, end_s=3.0,
                scores=np.array([0.25, 0.75]), mean_scores=np.array([0.5, 0.5]),
            ),
        ) * 2,
        'running_anomaly': (
            RunningAnomaly(
                num_frames=3, start_s=1.0, end_s=3.0, error=8.0, score=0.98, is_alarm=True,
                alarm_s=0.5,
            ),
        ) * 2,
        'frame_keypoints': (
            FrameKeypoints(
                frame=0, time_s=0.0, keypoints=np.array([[10.0, 20.0]]),
                confidence=np.array([0.5]), covariance=np.array([[4.0, 4.0, 0.0]]),
                quality=np.array([0.875]),
            ),
        ) * 2,
    }  # fmt: skip


def _count(**more: Any) -> RepetitionCount:
    values: dict[str, Any] = dict(
        count=1.0, fps=1.0, count_per_frame=[0.0, 0.5, 1.0], confidence=0.75, stride=1,
        period_s_per_frame=[np.nan, 2.0, 2.0], periodicity_per_frame=[0.25, 0.75, 0.75],
        segments=(RepetitionSegment(start_s=1.0, end_s=3.0, count=1.0),),
        repetition_times_s=[3.0],
    )  # fmt: skip
    return RepetitionCount(**values, **more)


def _running_count() -> RunningCount:
    return RunningCount(
        num_frames=3, time_s=3.0, count=1.0, period_s=2.0, periodicity=0.75, confidence=0.75,
        stride=1,
    )  # fmt: skip


def _poses() -> PoseVideo:
    return PoseVideo(
        source='yard.mp4', fps=1.0, width=640, height=480, num_frames=3, detector='mediapipe',
        skeleton=COCO17, frame_indices=np.arange(3), frames=((), (), ()),
    )  # fmt: skip


def _tracks(**more: Any) -> KeypointTracks:
    values: dict[str, Any] = dict(
        fps=1.0, width=64, height=48, frames=[0, 1, 2], names=('keypoint_0',),
        keypoints=[[[10.0, 20.0]], [[13.0, 24.0]], [[15.0, 24.0]]],
        confidence=[[0.5], [0.4], [0.4]], covariance=[[[4.0, 4.0, 0.0]]] * 3,
    )  # fmt: skip
    return KeypointTracks(**values, **more)


def _anomaly(**more: Any) -> AnomalyScores:
    values: dict[str, Any] = dict(errors=[3.0, 8.0], scores=[0.5, 0.96], **WINDOWS, **more)
    return AnomalyScores(threshold=7.0, false_alarm_rate=0.05, **values)


def _regions(**more: Any) -> RegionResults:
    boxes = [[32, 0, 64, 48], [30, 0, 62, 48]]
    moving = Region(name='right', boxes_xyxy=boxes, frames=[0, 2])
    fixed = Region(name='left', boxes_xyxy=[[0, 0, 32, 48]])
    regions = [moving, fixed] if more else [fixed]
    return RegionResults(
        regions=regions, results=[_count()] * len(regions), fps=1.0, frames=np.arange(3),
        start_s=0.0, width=64, height=48, **more,
    )  # fmt: skip
