"""Keypoints as arrays: MMAction2's pose pickles, and `.npy` files.

MMAction2's pose pickle, which its PoseDataset reads for PoseC3D and ST-GCN: a dictionary of
    annotations: one dictionary a video: frame_dir (name), label (number), total_frames T,
        img_shape and original_shape (height, width), keypoint (M, T, K, 2) and keypoint_score
        (M, T, K), 0 where missing; M people, each at the same place in all frames if tracked
    split: names of the videos of each part, by the name of the part
or only the list of annotations, where there are no parts. What it has no place for is in
`mmotion_poses` of an annotation. A pickle can run any code while it is read, so these are read by a
reader that makes plain data and arrays and refuses everything else.

Arrays: `.npy` (T, K, 3) of x and y in pixels and score, all 0 where missing, as OpenPose's output
is often kept.
"""

import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmotion.atomic import write_atomically
from mmotion.checks import make_plain
from mmotion.keypoints.files import PoseFileError, choose_fps, parse_skeleton
from mmotion.keypoints.poses import Person, PoseVideo
from mmotion.keypoints.skeletons import COCO17, Skeleton

# what a file that is not as its format says raises somewhere inside
_FORMAT_ERRORS = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)


def write_mmaction_pickle(videos: Sequence[PoseVideo], path: str | Path) -> None:
    """Write videos for MMAction2; boxes and the scores of people are not kept.

    The number of a class is its place among the labels in alphabetical order; a video is in the
    parts that its `split` names, separated by blanks.

    Args:
        videos: With `label` among their `labels`, and perhaps `split`.
        path: The file, usually .pkl.

    Raises:
        ValueError: If a video has no label, or two have one source.
    """
    unlabeled = [video.source for video in videos if 'label' not in video.labels]
    if unlabeled:
        raise ValueError(
            f"labels['label'] must be given for each video, got none for {unlabeled[0]}"
        )
    sources = [video.source for video in videos]
    if len(set(sources)) < len(sources):
        raise ValueError(
            'source must be another one for each video, got '
            f'{len(sources)} videos with {len(set(sources))} sources'
        )
    classes = sorted({video.labels['label'] for video in videos})
    split: dict[str, list[str]] = {}
    for video in videos:
        for part in video.labels.get('split', '').split():
            split.setdefault(part, []).append(video.source)
    annotations = [
        {**_to_mmaction(video), 'label': classes.index(video.labels['label'])} for video in videos
    ]
    # PoseDataset(split=None) takes the keys of a dictionary for its videos
    content = {'split': split, 'annotations': annotations} if split else annotations
    with write_atomically(path) as temporary, temporary.open('wb') as file:
        pickle.dump(content, file, protocol=4)


def read_mmaction_pickle(
    path: str | Path, *, skeleton: Skeleton = COCO17, fps: float | None = None
) -> list[PoseVideo]:
    """Read the videos of a pickle without running code.

    Args:
        path: The file.
        skeleton: What its points are, where the file does not tell it.
        fps: Frames per second, needed where the file does not tell it.

    Returns:
        The videos, with `label`, a number if the file has no name for it, and `split`, the parts
        that a video is in, among their `labels`. The score of a person is the mean of their points.

    Raises:
        FileNotFoundError: If there is no such file.
        PoseFileError: If it is no such pickle, or holds more than plain data and arrays.
    """
    path = Path(path)
    try:
        with path.open('rb') as file:
            content = _ArrayUnpickler(file).load()
    except FileNotFoundError:
        raise FileNotFoundError(f'keypoints must be in a file, got {path}, which is none') from None
    except OSError:
        raise
    except Exception as error:
        # broken bytes can mean anything to a pickle: a text of 2 GB, or a name of no class
        raise PoseFileError(
            f'{path}: the file must be a pose pickle, got {_explain(error)}'
        ) from None
    if isinstance(content, list):
        content = {'annotations': content}
    if not isinstance(content, dict) or not isinstance(content.get('annotations'), list):
        raise PoseFileError(f'{path}: annotations must be a list, got {type(content).__name__}')
    videos = []
    for i, annotation in enumerate(content['annotations']):
        try:
            parts = [
                k for k, names in content.get('split', {}).items() if _name(annotation) in names
            ]
            videos.append(_from_mmaction(annotation, parts, skeleton, fps))
        except _FORMAT_ERRORS as error:
            raise PoseFileError(
                f'{path}: annotations[{i}] must be as in a pose pickle, got {_explain(error)}'
            ) from None
    return videos


def read_pose_array(path: str | Path, *, skeleton: Skeleton, fps: float) -> PoseVideo:
    """Read the keypoints of one person from an array; the size of the video is what they span.

    Args:
        path: A `.npy` file, see the head of this file; scores up to 1.1, which OpenPose gives, are
            taken for 1.
        skeleton: What the points are.
        fps: Frames per second.

    Raises:
        OSError: If it cannot be opened.
        PoseFileError: If it has another shape, or values that are no keypoints.
    """
    values = _load_array(path)
    try:
        if values.ndim != 3 or values.shape[1:] != (skeleton.num_points, 3) or not len(values):
            raise ValueError(
                f'the array must have the shape (T, {skeleton.num_points}, 3), the points of '
                f'{skeleton.name!r}, got {values.shape}; name its skeleton'
            )
        keypoints, scores = values[..., :2], values[..., 2]
        scores = np.where((scores > 1) & (scores <= 1.1), 1, scores)
        frames = _make_frames(keypoints[None], scores[None], tracks=[0])
        size = np.nanmax(keypoints, axis=(0, 1), initial=0) + 1
        video = PoseVideo(
            source=str(path),
            fps=fps,
            width=int(size[0]),
            height=int(size[1]),
            num_frames=len(values),
            detector='array',
            skeleton=skeleton,
            frame_indices=np.arange(len(values)),
            frames=frames,
        )
        video.check_pixels()
        return video
    except (ValueError, OverflowError) as error:
        raise PoseFileError(f'{path}: {error}') from None


def _load_array(path: str | Path) -> NDArray[np.float32]:
    try:
        return np.load(path, allow_pickle=False).astype(np.float32)
    except OSError:
        raise
    except Exception as error:
        # its header is text in Python's notation, of which broken bytes can make anything
        raise PoseFileError(
            f'{path}: the file must be an array of numbers, got {_explain(error)}'
        ) from None


class _ArrayUnpickler(pickle.Unpickler):
    """Reads plain data and numpy arrays, under the names that numpy 1 and 2 have for them."""

    ALLOWED = {
        '_reconstruct': np.zeros(1).__reduce__()[0],
        '_frombuffer': np.zeros(1).__reduce_ex__(5)[0],
        'scalar': np.float32(0).__reduce__()[0],
        'ndarray': np.ndarray,
        'dtype': np.dtype,
    }

    def find_class(self, module: str, name: str) -> Any:
        """Give the few functions that arrays are made by."""
        if (module, name) == ('_codecs', 'encode'):
            # how the bytes of an array are kept by protocol 2
            return lambda text, _: text.encode('latin1')
        if module.split('.')[0] == 'numpy' and name in self.ALLOWED:
            return self.ALLOWED[name]
        raise pickle.UnpicklingError(
            f'{module}.{name} in it, which is not read, as that could run its code'
        )


def _to_mmaction(video: PoseVideo) -> dict[str, Any]:
    tracks = video.tracks
    if tracks:
        people = [video.track(number) for number in tracks]
    else:
        num_people = max(1, max(map(len, video.frames)))
        # the j-th person of each frame, who may be another one in the next
        people = [
            video.stack([p[j] if j < len(p) else None for p in video.frames])
            for j in range(num_people)
        ]
    keypoints, scores = (np.stack(arrays) for arrays in zip(*people, strict=True))
    return {
        'frame_dir': video.source,
        'total_frames': len(video.frames),
        'img_shape': (video.height, video.width),
        'original_shape': (video.height, video.width),
        'keypoint': np.nan_to_num(keypoints),
        'keypoint_score': scores,
        'mmotion_poses': {
            'fps': video.fps,
            'num_frames': video.num_frames,
            'frame_indices': video.frame_indices.tolist(),
            **({} if (times := video.frame_times_s) is None else {'frame_times_s': times.tolist()}),
            'detector': video.detector,
            'skeleton': make_plain(video.skeleton),
            'labels': dict(video.labels),
            'tracks': list(tracks),
        },
    }


def _from_mmaction(
    annotation: dict[str, Any], parts: list[str], skeleton: Skeleton, fps: float | None
) -> PoseVideo:
    extra = annotation.get('mmotion_poses', {})
    keypoints = np.asarray(annotation['keypoint'], dtype=np.float32)
    scores = annotation.get('keypoint_score')
    scores = np.ones(keypoints.shape[:3]) if scores is None else np.asarray(scores, np.float32)
    height, width = annotation.get('original_shape') or annotation['img_shape']
    labels = extra.get('labels') or {'label': str(annotation['label'])}
    num_steps = keypoints.shape[1]
    video = PoseVideo(
        source=_name(annotation),
        fps=choose_fps(extra.get('fps'), fps),
        width=int(width),
        height=int(height),
        num_frames=extra.get('num_frames', num_steps),
        detector=extra.get('detector', 'unknown'),
        skeleton=parse_skeleton(extra['skeleton']) if 'skeleton' in extra else skeleton,
        frame_indices=np.array(extra.get('frame_indices', range(num_steps))),
        frame_times_s=extra.get('frame_times_s'),
        frames=_make_frames(keypoints, scores, tracks=extra.get('tracks')),
        labels=labels | ({'split': ' '.join(parts)} if parts else {}),
    )
    video.check_pixels()
    return video


def _name(annotation: dict[str, Any]) -> str:
    return annotation.get('filename') or annotation['frame_dir']


def _make_frames(
    keypoints: NDArray[np.floating], scores: NDArray[np.floating], *, tracks: Sequence[int] | None
) -> tuple[tuple[Person, ...], ...]:
    """People of each frame, from keypoints (M, T, K, 2) and scores (M, T, K), 0 where missing."""
    missing = (keypoints == 0).all(-1) & (scores == 0)
    keypoints = np.where(missing[..., None], np.nan, keypoints)
    there = np.asarray(~np.isnan(keypoints).any(axis=-1))
    num_people, num_steps = there.shape[:2]
    return tuple(
        tuple(
            Person(
                keypoints=keypoints[m, t],
                scores=scores[m, t],
                score=float(scores[m, t][there[m, t]].mean()),
                track=tracks[m] if tracks else None,
            )
            for m in range(num_people)
            if there[m, t].any()
        )
        for t in range(num_steps)
    )


def _explain(error: Exception) -> str:
    # a MemoryError says nothing
    return f'no {error}' if isinstance(error, KeyError) else str(error) or type(error).__name__
