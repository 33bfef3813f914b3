"""Keypoints of a video in the format of COCO, for tools that annotate or train on images.

JSON with `images`, `annotations` and `categories`, one file a video, one image a frame,
https://cocodataset.org/#format-data; a point has 0, 1 or 2 for missing, hidden and seen. What the
format has no place for is added: `frame_index` of an image, and `time_s` of all of them where the
rate varies; `keypoint_scores`, `score` and `track_id` of an annotation; and what is in `info`.

Other tools' files have neither. If the names of the images differ in their last number alone, as in
`frame1.jpg` and `frame12.jpg`, that is the number of the frame; else they are counted from 0 in the
order of their names, numbers in them by value. Many detectors write a score in [0, 1] where COCO
has 0, 1 or 2: a file with any other value there has scores, 0 for missing.
"""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from mmotion.atomic import write_atomically
from mmotion.checks import make_plain
from mmotion.keypoints.files import PoseFileError, choose_fps
from mmotion.keypoints.poses import Person, PoseVideo
from mmotion.keypoints.skeletons import SKELETONS, Skeleton, find_mirror
from mmotion.structures.times import TIME_DECIMALS
from mmotion.tables import read_json

# score of a point that is missing, hidden and seen
VISIBILITY_SCORES = (0.0, 0.5, 1.0)
# four days at 30 frames a second: larger numbers in names are times or identities
MAX_FRAME = 10_000_000


def write_coco(video: PoseVideo, path: str | Path) -> None:
    """Write a video as COCO keypoints; the images are named `<stem of the source>/<frame>.jpg`."""
    skeleton, stem = video.skeleton, Path(video.source).stem
    category = {
        'id': 1,
        'name': 'person',
        'keypoints': skeleton.points,
        'skeleton': [[start + 1, end + 1] for start, end in skeleton.edges],
    }
    images, annotations = [], []
    for image_id, (index, persons) in enumerate(
        zip(video.frame_indices.tolist(), video.frames, strict=True), 1
    ):
        images.append(
            {
                'id': image_id,
                'file_name': f'{stem}/{index:06d}.jpg',
                'width': video.width,
                'height': video.height,
                'frame_index': index,
            }
        )
        if video.frame_times_s is not None:
            images[-1]['time_s'] = round(float(video.frame_times_s[image_id - 1]), TIME_DECIMALS)
        annotations += [
            {'id': len(annotations) + j, 'image_id': image_id, 'category_id': 1, **_to_coco(person)}
            for j, person in enumerate(persons, 1)
        ]
    info = {name: getattr(video, name) for name in ('source', 'fps', 'num_frames', 'detector')}
    content = {
        'info': {**info, 'labels': video.labels},
        'images': images,
        'annotations': annotations,
        'categories': [category],
    }
    with write_atomically(path) as temporary:
        temporary.write_text(json.dumps(make_plain(content)), encoding='utf-8')


def read_coco(path: str | Path, *, fps: float | None = None) -> PoseVideo:
    """Read COCO keypoints as one video, an image a frame, in the order of `sort_images`.

    Args:
        path: The file.
        fps: Frames per second, needed where the file does not tell it.

    Raises:
        FileNotFoundError: If there is no such file.
        PoseFileError: If it is not as the head of this file says.
    """
    path = Path(path)
    try:
        content = read_json(path, what=f'{path}: the file must be COCO keypoints')
    except FileNotFoundError:
        raise FileNotFoundError(f'keypoints must be in a file, got {path}, which is none') from None
    except ValueError as error:
        raise PoseFileError(str(error)) from None
    try:
        return _from_coco(content, str(path), fps)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        reason = f'no {error}' if isinstance(error, KeyError) else error
        raise PoseFileError(f'{path}: the file must be COCO keypoints, got {reason}') from None


def sort_images(images: Sequence[Mapping[str, Any]]) -> tuple[list[Mapping[str, Any]], list[int]]:
    """Put the images of a file in the order of their frames.

    Returns:
        The images, and the number of the frame of each, see the head of this file.
    """
    if all('frame_index' in image for image in images):
        ordered = sorted(images, key=lambda image: image['frame_index'])
        return ordered, [image['frame_index'] for image in ordered]
    ordered = sorted(images, key=lambda i: (_split_name(i['file_name']), i['file_name']))
    names = [_split_name(image['file_name']) for image in ordered]
    frames = [int(name[-2]) if len(name) > 1 else -1 for name in names]
    others = {(*name[:-2], name[-1]) for name in names}
    if len(others) > 1 or len(set(frames)) < len(frames) or not 0 <= frames[-1] < MAX_FRAME:
        frames = [*range(len(ordered))]
    return ordered, frames


def _split_name(name: str) -> list[Any]:
    """Texts and numbers of a name in turns, so that each is compared with its like."""
    parts = re.split(r'(\d+)', str(Path(name).with_suffix('')))
    return [int(part) if i % 2 else part for i, part in enumerate(parts)]


def _to_coco(person: Person) -> dict[str, Any]:
    points = np.nan_to_num(person.keypoints.astype(np.float64)).round(3)
    seen = ~np.isnan(person.keypoints[:, 0])
    flags = np.where(seen, len(VISIBILITY_SCORES) - 1, 0)
    if person.box_xyxy is not None:
        left, top, right, bottom = person.box_xyxy.tolist()
    elif seen.any():
        (left, top), (right, bottom) = points[seen].min(0), points[seen].max(0)
    else:
        left = top = right = bottom = 0.0
    return {
        'keypoints': [v for (x, y), flag in zip(points, flags, strict=True) for v in (x, y, flag)],
        'num_keypoints': int(seen.sum()),
        'bbox': [left, top, right - left, bottom - top],
        'area': (right - left) * (bottom - top),
        'iscrowd': 0,
        'keypoint_scores': person.scores.astype(np.float64).round(5),
        'score': person.score,
        'track_id': person.track,
    }


def _from_coco(content: Any, path: str, fps: float | None) -> PoseVideo:
    info = content.get('info') or {}
    category = next(c for c in [*content['categories'], {}] if c.get('keypoints') or not c)
    skeleton = _find_skeleton(category)
    images, indices = sort_images(content['images'])
    annotations = [
        annotation
        for annotation in content['annotations']
        if not annotation.get('iscrowd') and annotation['category_id'] == category['id']
    ]
    has_scores = any(
        value not in (0, 1, 2)
        for annotation in annotations
        for value in annotation['keypoints'][2::3]
    )
    times_s = [image.get('time_s') for image in images]
    people: dict[Any, list[Person]] = {image['id']: [] for image in images}
    for annotation in annotations:
        people[annotation['image_id']].append(_person_of_coco(annotation, has_scores=has_scores))
    video = PoseVideo(
        source=info.get('source', path),
        fps=choose_fps(info.get('fps'), fps),
        width=max(image['width'] for image in images),
        height=max(image['height'] for image in images),
        num_frames=info.get('num_frames', indices[-1] + 1),
        detector=info.get('detector', 'unknown'),
        skeleton=skeleton,
        frame_indices=np.array(indices),
        frames=tuple(tuple(people[image['id']]) for image in images),
        labels=info.get('labels') or {},
        frame_times_s=np.array(times_s) if None not in times_s else None,
    )
    video.check_pixels()
    return video


def _find_skeleton(category: dict[str, Any]) -> Skeleton:
    points = tuple(category['keypoints'])
    for skeleton in SKELETONS.values():
        if skeleton.points == points:
            return skeleton
    edges = tuple((start - 1, end - 1) for start, end in category.get('skeleton', ()))
    return Skeleton(category['name'], points, edges, find_mirror(points))


def _person_of_coco(annotation: dict[str, Any], *, has_scores: bool) -> Person:
    values = np.array(annotation['keypoints'], dtype=np.float32).reshape(-1, 3)
    seen = values[:, 2]
    written = seen if has_scores else np.array(VISIBILITY_SCORES)[seen.astype(np.int64)]
    scores: ArrayLike = annotation.get('keypoint_scores') or written
    left, top, width, height = annotation['bbox']
    return Person(
        keypoints=np.where(seen[:, None] > 0, values[:, :2], np.nan),
        scores=np.asarray(scores, np.float32),
        score=annotation.get('score', 1.0),
        track=annotation.get('track_id'),
        box_xyxy=np.array([left, top, left + width, top + height], np.float32),
    )
