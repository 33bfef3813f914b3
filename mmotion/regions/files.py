"""Regions from the command line and from files: `mmotion predict --regions`.

Written as text, a region is `x1,y1,x2,y2` or `name=x1,y1,x2,y2`. A JSON file has one of two forms.

Regions, fixed or moving, in the terms of `mmotion.regions`. Other keys are passed over, so what
`mmotion predict --regions` has written is such a file itself:

    {"regions": [{"name": "left", "box_xyxy": [10, 20, 200, 300]},
                 {"name": "right", "frames": [{"frame": 0, "box_xyxy": [220, 20, 410, 300]},
                                              {"frame": 90, "box_xyxy": [250, 20, 440, 300]}]}]}

What a detector has found, in COCO's form for results: `bbox` is x, y of the upper left corner,
width and height, and `image_id` (or `frame`) the number of the frame, counted from 0. `score` is 1
and `category_id` 0 where they are missing:

    [{"image_id": 0, "category_id": 1, "bbox": [10, 20, 190, 280], "score": 0.9}, ...]

Boxes of one `track_id` are a region of that name, and boxes without one are left out if others have
one. If none has, they are joined to tracks, see `join_detections`, which are named 1, 2, ... in the
order in which they appear. Boxes with a score below
0.5, and tracks from whose first to last box there are less than 30 frames, are left out.

COCO's form: https://cocodataset.org/#format-results
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mmotion.regions.regions import Region, check_regions
from mmotion.tables import read_json

MIN_SCORE = 0.5
# half a second to a second: less does not show a repetition
MIN_TRACK_FRAMES = 30
# boxes of one thing in neighbouring frames overlap more than those of two that meet
MIN_IOU = 0.3
# a thing that is hidden for longer than this comes back as a new one
MAX_GAP_FRAMES = 60

NUMBER = r'[+-]?(?:\d+\.?\d*|\.\d+)'
TEXT_FORM = re.compile(rf'(?:(?P<name>[^=]*)=)?(?P<box>{NUMBER}(?:,{NUMBER}){{3}})')


class Detection(NamedTuple):
    """One thing that a detector has found in one frame.

    Attributes:
        frame: Number of the frame, counted from 0.
        box_xyxy: Left, top, right and bottom edge in pixels.
        category: What kind of thing it is.
        score: How sure the detector is, 0 to 1.
        track: The thing's number, if the detector follows things.
    """

    frame: int
    box_xyxy: tuple[float, float, float, float]
    category: int = 0
    score: float = 1.0
    track: int | str | None = None


def read_regions(texts: Sequence[str]) -> list[Region]:
    """Make regions of what the user has written.

    Args:
        texts: Boxes, and paths of JSON files, see the head of this module.

    Returns:
        The regions of all of them, in the order given.

    Raises:
        ValueError: If a text is neither, a file has another form, or two names are the same.
        OSError: If a file cannot be read.

    Example:
        >>> [region.name for region in read_regions(['0,0,50,80', 'right=60,0,110,80'])]
        ['1', 'right']
    """
    regions: list[Region] = []
    for text in texts:
        if match := TEXT_FORM.fullmatch(text):
            box = [float(number) for number in match['box'].split(',')]
            name = str(len(regions) + 1) if match['name'] is None else match['name']
            regions.append(Region(name=name, boxes_xyxy=[box]))
        elif Path(text).expanduser().is_file():
            regions += read_region_file(Path(text).expanduser())
        else:
            raise ValueError(
                'a region must be x1,y1,x2,y2 in pixels, name=x1,y1,x2,y2, or a JSON file that is '
                f'there, got {text!r}'
            )
    check_regions(regions)
    return regions


def read_region_file(path: Path) -> list[Region]:
    """Read a JSON file of regions, or of a detector's results.

    Raises:
        ValueError: If the file is not as described in the head of this module.
        OSError: If it cannot be read.
    """
    content = read_json(path, what='a file of regions must be JSON')
    try:
        if isinstance(content, list):
            regions = join_detections([_read_detection(*item) for item in enumerate(content)])
        elif isinstance(content, dict) and isinstance(content.get('regions'), list):
            regions = [_read_region(*item) for item in enumerate(content['regions'])]
        else:
            raise ValueError(
                'the content must be {"regions": [...]}, or the list of what a detector has found'
            )
        check_regions(regions)
    except ValueError as error:
        raise ValueError(f'{path}: {error}') from error
    return regions


def join_detections(detections: Iterable[Detection]) -> list[Region]:
    """Follow things from frame to frame.

    Boxes that have no `track` are joined greedily: in each frame, the pair of a track and a box of
    the same category with the highest overlap (IoU) first. A track takes no box that overlaps its
    latest one by less than 0.3, and ends when it has taken none for 60 frames.

    Args:
        detections: In any order.

    Returns:
        A region for each thing, in the order in which they appear; see the head of this module for
        what is left out.

    Raises:
        ValueError: If a frame has two boxes of one track, or nothing is left.
    """
    detections = sorted(detections, key=lambda detection: detection.frame)
    sure = [detection for detection in detections if detection.score >= MIN_SCORE]
    followed: dict[int | str, list[Detection]] = defaultdict(list)
    for detection in sure:
        if detection.track is not None:
            followed[detection.track].append(detection)
    tracks = followed or dict(enumerate(_join_greedily(sure)))
    tracks = {
        name: track
        for name, track in tracks.items()
        if track[-1].frame - track[0].frame + 1 >= MIN_TRACK_FRAMES
    }
    if not tracks:
        raise ValueError(
            f'a detector must have found something for {MIN_TRACK_FRAMES} frames with scores of at '
            f'least {MIN_SCORE}, got {len(detections)} detections, {len(sure)} with that score, '
            'and no track of that length'
        )
    return [
        Region(
            name=str(name if followed else number),
            boxes_xyxy=[detection.box_xyxy for detection in track],
            frames=[detection.frame for detection in track],
        )
        for number, (name, track) in enumerate(tracks.items(), start=1)
    ]


def _join_greedily(detections: Sequence[Detection]) -> list[list[Detection]]:
    """Tracks of detections that are ordered by frame; see `join_detections`."""
    tracks: list[list[Detection]] = []
    by_frame: dict[int, list[Detection]] = defaultdict(list)
    for detection in detections:
        by_frame[detection.frame].append(detection)
    for frame, boxes in by_frame.items():
        alive = [track for track in tracks if frame - track[-1].frame <= MAX_GAP_FRAMES]
        overlap = _overlap([track[-1] for track in alive], boxes)
        taken: set[int] = set()
        while overlap.size and overlap.max() >= MIN_IOU:
            row, column = np.unravel_index(overlap.argmax(), overlap.shape)
            alive[row].append(boxes[column])
            taken.add(int(column))
            overlap[row], overlap[:, column] = -1, -1
        tracks += [[box] for i, box in enumerate(boxes) if i not in taken]
    return tracks


def _overlap(one: Sequence[Detection], other: Sequence[Detection]) -> np.ndarray:
    """IoU of each with each (len(one), len(other)), 0 for other categories."""
    if not (one and other):
        return np.zeros((len(one), len(other)))
    # too slow to import where nothing is detected
    import torch
    from torchvision.ops import box_iou

    boxes, others = (
        torch.tensor([detection.box_xyxy for detection in group], dtype=torch.float64)
        for group in (one, other)
    )
    same = np.equal.outer([d.category for d in one], [d.category for d in other])
    return box_iou(boxes, others).numpy() * same


def _read_region(place: int, entry: Any) -> Region:
    """Read an entry of `regions`."""
    where = f'regions[{place}]'
    name = _get(entry, 'name', where)
    if ('box_xyxy' in entry) == ('frames' in entry):
        raise ValueError(f'{where} must have box_xyxy or frames, got {sorted(entry)}')
    if 'box_xyxy' in entry:
        return Region(name=name, boxes_xyxy=[entry['box_xyxy']])
    frames = entry['frames']
    if not (isinstance(frames, list) and frames):
        raise ValueError(f'{where} must have frames as a list that is not empty, got {frames!r}')
    frames = [(item, f'{where}.frames[{i}]') for i, item in enumerate(frames)]
    return Region(
        name=name,
        boxes_xyxy=[_get_box(item, 'box_xyxy', where) for item, where in frames],
        frames=[_get_frame(item, 'frame', where) for item, where in frames],
    )


def _read_detection(place: int, entry: Any) -> Detection:
    """Read an entry of a detector's results."""
    where = f'detection {place}'
    x, y, width, height = _get_box(entry, 'bbox', where)
    if not (width > 0 and height > 0):
        raise ValueError(f'{where} must have a bbox with a size above 0, got {entry["bbox"]}')
    score, track = entry.get('score', 1.0), entry.get('track_id')
    # written so that NaN fails as well
    if not (_is_number(score) and 0 <= score <= 1):
        raise ValueError(f'{where} must have a score in [0, 1], got score={score!r}')
    category = entry.get('category_id', 0)
    if not isinstance(category, int):
        raise ValueError(f'{where} must have a number as category_id, got category_id={category!r}')
    if not isinstance(track, int | str | None):
        raise ValueError(f'{where} must have a number or name as track_id, got track_id={track!r}')
    return Detection(
        frame=_get_frame(entry, 'frame' if 'frame' in entry else 'image_id', where),
        box_xyxy=(x, y, x + width, y + height),
        category=category,
        score=score,
        track=track,
    )


def _get(entry: Any, key: str, where: str) -> Any:
    if not isinstance(entry, dict):
        raise ValueError(f'{where} must be an object {{...}}, got {entry!r}')
    if key not in entry:
        raise ValueError(f'{where} must have {key}, got {sorted(entry)}')
    return entry[key]


def _get_box(entry: Any, key: str, where: str) -> list[float]:
    box = _get(entry, key, where)
    if not (isinstance(box, list) and len(box) == 4 and all(map(_is_number, box))):
        raise ValueError(f'{where} must have four finite numbers as {key}, got {key}={box!r}')
    return box


def _get_frame(entry: Any, key: str, where: str) -> int:
    frame = _get(entry, key, where)
    if not isinstance(frame, int) or isinstance(frame, bool) or frame < 0:
        raise ValueError(
            f'{where} must have the number of a frame as {key}, counted from 0, got {key}={frame!r}'
        )
    return frame


def _is_number(value: Any) -> bool:
    # false for NaN; a number of any length can be compared, but not stored
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e9
