"""Keypoints of a video as a JSON file.

One file a video, an object with
    format, version: "mmotion-poses" and 1
    source: path or name of the video
    fps, width, height, num_frames: of the video; frames per second, pixels, pixels, frames
    detector: what found the points
    skeleton: name, points (K names), edges (pairs of indices of points), mirror (K indices: the
        same point on the other side)
    labels: what is known about the video, names and texts, such as {"label": "squat"}; may be left
        out, like everything that is followed by "or null" below
    frames: one object for each frame that was looked at, in order:
        index: number of the frame in the video, from 0
        time_s: when it is shown, in seconds after the first frame of the video, or null for
            index / fps; of all frames or of none
        persons: a list, empty if nobody was found, of objects with
            keypoints: K pairs [x, y] in pixels of the video, [null, null] where missing
            scores: K numbers in [0, 1], 0 where missing
            score: of the person, in [0, 1]
            track: number that the person has in all frames, or null
            box_xyxy: left, top, right, bottom in pixels, or null
Points are written to a thousandth of a pixel. `read_poses` also takes the literal NaN, which is not
JSON but which many programs write, for null; it passes over names that it does not know.

The formats of other tools are in `mmotion.keypoints.arrays` and `mmotion.keypoints.coco`.
"""

import json
import reprlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmotion.atomic import write_atomically
from mmotion.checks import make_plain
from mmotion.keypoints.poses import Person, PoseVideo
from mmotion.keypoints.skeletons import SKELETONS, Skeleton, find_mirror
from mmotion.structures.times import TIME_DECIMALS
from mmotion.tables import read_json

FORMAT, VERSION = 'mmotion-poses', 1
PIXEL_DECIMALS, SCORE_DECIMALS = 3, 5
# the types of a field, as a message calls them
_KINDS: dict[Any, str] = {
    str: 'text',
    int: 'a whole number',
    float: 'a number',
    list: 'a list',
    dict: 'an object',
}


class PoseFileError(ValueError):
    """A file of keypoints that cannot be read; the message names the file and the field."""


def choose_fps(written: float | None, given: float | None) -> float:
    """The rate that a file tells, or else the one that the user gave.

    Raises:
        ValueError: If there is neither: a guess would make every time wrong.
    """
    fps = given if written is None else written
    if fps is None:
        raise ValueError(
            'fps must be given, the frames per second, as the file does not tell it, got fps=None'
        )
    return fps


def write_poses(video: PoseVideo, path: str | Path) -> None:
    """Write a file as described above; it is either whole or not there.

    Args:
        video: What to write.
        path: The file, replaced if it is there; missing folders are made.

    Raises:
        OSError: If it cannot be written.
    """
    content = {
        'format': FORMAT,
        'version': VERSION,
        'source': video.source,
        'fps': video.fps,
        'width': video.width,
        'height': video.height,
        'num_frames': video.num_frames,
        'detector': video.detector,
        'skeleton': video.skeleton,
        'labels': video.labels,
        'frames': [
            {'index': index, 'persons': [_describe(person) for person in persons]}
            for index, persons in zip(video.frame_indices.tolist(), video.frames, strict=True)
        ],
    }
    if video.frame_times_s is not None:
        for frame, time_s in zip(content['frames'], video.frame_times_s.tolist(), strict=True):
            frame['time_s'] = round(time_s, TIME_DECIMALS)
    with write_atomically(path) as temporary:
        text = json.dumps(make_plain(content), separators=(',', ':'))
        temporary.write_text(text + '\n', encoding='utf-8')


def read_poses(path: str | Path) -> PoseVideo:
    """Read a file that `write_poses` or another program wrote.

    Raises:
        FileNotFoundError: If there is no such file.
        PoseFileError: If it is not JSON, or a field is missing or not as described above; the
            message names it, as in `frames[12].persons[0].keypoints`.
    """
    path = Path(path)
    try:
        return _parse(_read_json(path))
    except PoseFileError as error:
        raise PoseFileError(f'{path}: {error}') from None


def find_skeleton(name: str) -> Skeleton:
    """Find a skeleton by its name, or in a file that describes it.

    Args:
        name: Key of `SKELETONS`; or path of a JSON file with `name` and `points`, and `edges` and
            `mirror` where there are some, see the head of this file; a file of keypoints has that
            as its `skeleton`.

    Raises:
        ValueError: If it is neither; a `PoseFileError` names the field of the file.
    """
    if name in SKELETONS:
        return SKELETONS[name]
    path = Path(name)
    if not path.is_file():
        raise ValueError(
            f'skeleton must be one of {", ".join(SKELETONS)}, or a JSON file with name, points and '
            f'edges, got {name!r}'
        )
    try:
        content = _read_json(path)
        if isinstance(content, dict):
            content = content.get('skeleton', content)
        return parse_skeleton(content)
    except PoseFileError as error:
        raise PoseFileError(f'{path}: {error}') from None


def parse_skeleton(content: Any) -> Skeleton:
    """Make a skeleton of what a file says: `name`, `points`, `edges` and `mirror`.

    Args:
        content: Without `edges` there are none; without `mirror` the words left and right in the
            names of the points tell it.

    Raises:
        PoseFileError: If a field is missing or wrong; the message names it.
    """
    place = 'skeleton'
    name = _get(content, 'name', str, place)
    points = _get(content, 'points', list, place)
    if not all(isinstance(point, str) for point in points):
        raise PoseFileError(f'{place}.points must be texts, got {_shorten(points)}')
    edges = _get(content, 'edges', list, place, optional=True) or []
    for i, edge in enumerate(edges):
        if not isinstance(edge, list) or len(edge) != 2 or not all(_is(end, int) for end in edge):
            raise PoseFileError(
                f'{place}.edges[{i}] must be a pair of whole numbers, got {_shorten(edge)}'
            )
    mirror = _get(content, 'mirror', list, place, optional=True)
    if mirror is not None and not all(_is(index, int) for index in mirror):
        raise PoseFileError(f'{place}.mirror must be whole numbers, got {_shorten(mirror)}')
    try:
        swap = find_mirror(tuple(points)) if mirror is None else tuple(mirror)
        return Skeleton(name, tuple(points), tuple(map(tuple, edges)), swap)
    except ValueError as error:
        raise PoseFileError(f'{place}.{error}') from None


def _read_json(path: Path) -> Any:
    try:
        return read_json(path, what='the file must be JSON', remedy='extract the keypoints again')
    except FileNotFoundError:
        raise FileNotFoundError(f'keypoints must be in a file, got {path}, which is none') from None
    except ValueError as error:
        raise PoseFileError(str(error)) from None


def _describe(person: Person) -> dict[str, Any]:
    return {
        'keypoints': _round(person.keypoints, PIXEL_DECIMALS),
        'scores': _round(person.scores, SCORE_DECIMALS),
        'score': round(person.score, SCORE_DECIMALS),
        'track': person.track,
        'box_xyxy': None if person.box_xyxy is None else _round(person.box_xyxy, PIXEL_DECIMALS),
    }


def _round(values: NDArray[np.floating], decimals: int) -> NDArray[np.float64]:
    # in float32 there is often no short number near
    return np.round(values.astype(np.float64), decimals)


def _parse(content: Any) -> PoseVideo:
    if not isinstance(content, dict) or content.get('format') != FORMAT:
        found = content.get('format') if isinstance(content, dict) else content
        raise PoseFileError(
            f'format must be {FORMAT!r}, got {_shorten(found)}; extract the keypoints with mmotion'
        )
    if content.get('version') != VERSION:
        raise PoseFileError(
            f'version must be {VERSION}, got {_shorten(content.get("version"))}; a newer mmotion '
            'may read it'
        )
    labels = _get(content, 'labels', dict, optional=True) or {}
    for name, value in labels.items():
        if not isinstance(value, str):
            raise PoseFileError(f'labels.{name} must be text, got {_shorten(value)}')
    frames = _get(content, 'frames', list)
    indices, times, persons = [], [], []
    for i, frame in enumerate(frames):
        place = f'frames[{i}]'
        indices.append(_get(frame, 'index', int, place))
        times.append(_get(frame, 'time_s', float, place, optional=True))
        persons.append(_parse_persons(_get(frame, 'persons', list, place), f'{place}.persons'))
    try:
        video = PoseVideo(
            source=_get(content, 'source', str),
            fps=_get(content, 'fps', float),
            width=_get(content, 'width', int),
            height=_get(content, 'height', int),
            num_frames=_get(content, 'num_frames', int),
            detector=_get(content, 'detector', str),
            skeleton=parse_skeleton(_get(content, 'skeleton', dict)),
            frame_indices=np.array(indices, dtype=np.int64),
            frames=tuple(persons),
            labels=labels,
            frame_times_s=None if times.count(None) == len(times) else np.array(times, np.float64),
        )
        video.check_pixels()
        return video
    except PoseFileError:
        raise
    except ValueError as error:
        raise PoseFileError(str(error)) from None


def _parse_persons(persons: list[Any], place: str) -> tuple[Person, ...]:
    found = []
    for j, person in enumerate(persons):
        there = f'{place}[{j}]'
        arrays = {
            name: _read_numbers(_get(person, name, list, there), f'{there}.{name}')
            for name in ('keypoints', 'scores')
        }
        box = _get(person, 'box_xyxy', list, there, optional=True)
        try:
            found.append(
                Person(
                    keypoints=arrays['keypoints'],
                    scores=arrays['scores'],
                    score=_get(person, 'score', float, there),
                    track=_get(person, 'track', int, there, optional=True),
                    box_xyxy=None if box is None else _read_numbers(box, f'{there}.box_xyxy'),
                )
            )
        except PoseFileError:
            raise
        except ValueError as error:
            # its message begins with the name of the field
            raise PoseFileError(f'{there}.{error}') from None
    return tuple(found)


def _read_numbers(values: list[Any], place: str) -> NDArray[np.float32]:
    try:
        return np.array(values, dtype=np.float32)
    except (TypeError, ValueError):
        raise PoseFileError(
            f'{place} must be numbers, as many in each row, got {_shorten(values)}'
        ) from None


def _get(content: Any, name: str, kind: type, place: str = '', *, optional: bool = False) -> Any:
    """Read a field of an object, None for null or nothing where it is optional."""
    if not isinstance(content, dict):
        raise PoseFileError(f'{place} must be an object, got {_shorten(content)}')
    value = content.get(name)
    if optional and value is None:
        return None
    if not _is(value, kind):
        found = _shorten(value) if name in content else 'nothing'
        name = f'{place}.{name}' if place else name
        raise PoseFileError(f'{name} must be {_KINDS[kind]}, got {found}')
    return value


def _is(value: Any, kind: type) -> bool:
    """Whether a value of JSON is of a kind; a whole number is a number, true is none."""
    kinds = (int, float) if kind is float else kind
    return isinstance(value, kinds) and not isinstance(value, bool)


def _shorten(value: Any) -> str:
    try:
        text = json.dumps(value, default=repr, allow_nan=True)
    except RecursionError:
        text = reprlib.repr(value)
    return text if len(text) <= 60 else f'{text[:57]}...'
