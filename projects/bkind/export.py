"""Tracks in the files that other programs read, and annotations out of the files that they write.

`export_tracks` writes, beside the JSON of `mmotion predict`:
    csv: a row a frame: frame, time_s, then for each keypoint <name>_x and _y (pixels),
        _confidence, _var_x, _var_y and _cov_xy (square pixels)
    coco: COCO keypoints, see `mmotion.keypoints.coco`
    deeplabcut, deeplabcut-h5: what DeepLabCut's analyze_videos writes, as CSV and HDF5: columns of
        scorer, bodyparts, coords (x, y, likelihood), and a row for every frame from 0, empty where
        none was watched, as readers count rows; the files are named <stem><scorer>, by which
        DeepLabCut finds them
    mmaction: MMAction2's pose pickle, see `mmotion.keypoints.arrays`
    sleap, nwb: SLEAP's .slp, and NWB with the time of each frame, see `mmotion.keypoints.sleap`
    <stem>_timestamps.csv, with the last four where frames are not evenly spaced: frame and time_s,
        a row for every frame from 0, as their readers have times by a rate alone

`read_annotations` reads DeepLabCut's CollectedData_*.csv and .h5 (rows of image paths or frame
numbers, in one column or several), COCO keypoints (.json), and CSV tables with a column `frame` or
`image` and <name>_x and <name>_y for each point, as the first of the files above has.

HDF5 is written by the package h5py, in the layout of pandas' DataFrame.to_hdf (format 'fixed'), and
read by `mmotion.keypoints.deeplabcut`.

Shape letters in this file: N frames, K keypoints, J annotated points.
"""

import dataclasses
import io
import itertools
import warnings
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmotion.atomic import write_atomically
from mmotion.keypoints.arrays import write_mmaction_pickle
from mmotion.keypoints.coco import read_coco, sort_images, write_coco
from mmotion.keypoints.deeplabcut import (
    COORDINATES,
    HDF5_KEY,
    HDF5_SUFFIXES,
    Columns,
    import_h5py,
    read_hdf5,
    split_header,
)
from mmotion.keypoints.files import PoseFileError
from mmotion.keypoints.poses import Person, PoseVideo
from mmotion.keypoints.skeletons import Skeleton
from mmotion.keypoints.sleap import import_sleap, write_nwb, write_sleap
from mmotion.structures.times import list_irregular
from mmotion.tables import read_json, read_rows, write_table

from .results import KeypointTracks

# DeepLabCut takes what begins so for the name of a network
SCORER = 'DLC_mmotion'
# whose readers count frames; that the times in NWB are dropped for a rate, movement (0.17.0) does
TIMED_BY_RATE = ('deeplabcut', 'deeplabcut-h5', 'sleap', 'nwb')
# columns of our own table after x and y, by keypoint
SPREAD = ('confidence', 'var_x', 'var_y', 'cov_xy', 'quality')


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Annotations:
    """Points that somebody has marked in some frames.

    Args:
        source: The file.
        names: Of the points (J).
        frames: What was annotated (N): the number of a frame of the video, or the path of an image
            as the file has it.
        points: x and y in pixels (N, J, 2), NaN where a point is not marked.
    """

    source: Path
    names: tuple[str, ...]
    frames: tuple[int | str, ...]
    points: NDArray[np.float64]

    def find_images(self) -> list[Path]:
        """Find the annotated images: by their path from the file's folder, or one above it.

        Raises:
            ValueError: If the file has numbers of frames.
            FileNotFoundError: If an image is not there.
        """
        found = []
        for name in self.frames:
            if not isinstance(name, str):
                raise ValueError(
                    f'{self.source} must have paths of images, got the frame number {name}; '
                    'name the video'
                )
            # Windows' separators, where the project was labelled there
            parts = name.replace('\\', '/')
            places = [folder / parts for folder in self.source.absolute().parents]
            places.append(self.source.absolute().parent / Path(parts).name)
            image = next((place for place in places if place.is_file()), None)
            if image is None:
                raise FileNotFoundError(
                    f'{self.source} must have its images beside or above it, got none for {name}; '
                    'put the file where the images are'
                )
            found.append(image)
        return found


def export_tracks(
    tracks: KeypointTracks, source: str | Path, out_dir: str | Path, formats: Iterable[str]
) -> list[Path]:
    """Write tracks in one or more formats, see the head of this file.

    Args:
        tracks: What to write.
        source: The video, after which the files are named.
        out_dir: Folder for the files, made if need be.
        formats: Keys of `FORMATS`.

    Returns:
        The files, in the order of `formats`; then, with a warning, that of the times, if it is
        needed.

    Raises:
        ValueError: If a format is unknown.
        ImportError: If h5py or sleap-io is needed and not installed.
    """
    formats = list(dict.fromkeys(formats))
    check_formats(formats)
    paths = []
    for name in formats:
        ending, write = FORMATS[name]
        path = Path(out_dir) / f'{Path(source).stem}{ending}'
        write(tracks, str(source), path)
        paths.append(path)
    poses = to_poses(tracks, str(source))
    misread = [name for name in formats if name in TIMED_BY_RATE]
    if misread and poses.frame_times_s is not None:
        paths.append(Path(out_dir) / f'{Path(source).stem}_timestamps.csv')
        rows = ((i, f'{time_s:.6f}') for i, time_s in enumerate(poses.time_every_frame()))
        write_table(paths[-1], ['frame', 'time_s'], rows)
        warnings.warn(
            f'the frames of {source} are not evenly spaced, and who reads {", ".join(misread)} '
            f'takes them to be; their times are in {paths[-1]}',
            stacklevel=2,
        )
    return paths


def check_formats(formats: Iterable[str]) -> None:
    """Refuse formats that are unknown, or whose package is not installed, as `export_tracks` does.

    Raises:
        ValueError: If a format is not a key of `FORMATS`.
        ImportError: If h5py or sleap-io is needed and not installed.
    """
    formats = list(formats)
    unknown = [name for name in formats if name not in FORMATS]
    if unknown:
        raise ValueError(
            f'formats must be among {", ".join(FORMATS)}, got {", ".join(map(repr, unknown))}'
        )
    if 'deeplabcut-h5' in formats:
        import_h5py('deeplabcut-h5')
    for name in ('sleap', 'nwb'):
        if name in formats:
            import_sleap(name)


def to_poses(tracks: KeypointTracks, source: str) -> PoseVideo:
    """Take the keypoints of each frame for one person with a skeleton without bones."""
    count = len(tracks.names)
    frames = tuple(
        (Person(keypoints=points, scores=scores, score=float(scores.mean()), track=0),)
        for points, scores in zip(tracks.keypoints, np.minimum(tracks.confidence, 1), strict=True)
    )
    return PoseVideo(
        source=source,
        fps=tracks.fps,
        width=tracks.width,
        height=tracks.height,
        num_frames=int(tracks.frames[-1]) + 1,
        detector='bkind',
        skeleton=Skeleton('discovered', tracks.names, (), tuple(range(count))),
        frame_indices=tracks.frames,
        frame_times_s=list_irregular(
            tracks.times_s, tracks.fps, regular_s=tracks.frames / tracks.fps
        ),
        frames=frames,
        labels={'label': 'unlabelled'},
    )


def read_annotations(path: str | Path) -> Annotations:
    """Read annotated points, see the head of this file for the formats.

    Raises:
        FileNotFoundError: If there is no such file.
        PoseFileError: If it is not in one of the formats; the message names the place.
        ImportError: If h5py is needed and not installed.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f'annotations must be in a file, got {path}, which is none')
    try:
        if path.suffix.lower() in HDF5_SUFFIXES:
            return _from_columns(path, read_hdf5(path))
        if path.suffix.lower() == '.json':
            return _read_coco_points(path)
        rows = [row for _, row in read_rows(path, what='annotations') if any(row)]
        if rows and rows[0][0] == 'scorer':
            return _from_columns(path, split_header(rows))
        return _read_table(path, rows)
    except PoseFileError:
        raise
    except (ArithmeticError, LookupError, ValueError) as error:
        raise PoseFileError(
            f'{path}: the file must be annotations of DeepLabCut or COCO, or a table with a column '
            f'frame or image and NAME_x and NAME_y of each point, got {error}'
        ) from None


def _write_csv(tracks: KeypointTracks, _source: str, path: Path) -> None:
    columns = [f'{name}_{what}' for name in tracks.names for what in ('x', 'y', *SPREAD)]
    rows = (
        [frame, f'{time_s:.6f}', *(f'{value:.6g}' for point in values for value in point)]
        for frame, time_s, values in zip(
            tracks.frames.tolist(), tracks.times_s, _join_values(tracks), strict=True
        )
    )
    write_table(path, ['frame', 'time_s', *columns], rows)


def _join_values(tracks: KeypointTracks) -> Iterator[list[list[float]]]:
    """x, y, confidence, covariance and quality of each keypoint (K, 7), frame by frame."""
    confidence, quality = tracks.confidence[..., None], tracks.sharpness[..., None]
    for parts in zip(tracks.keypoints, confidence, tracks.covariance, quality, strict=True):
        yield np.concatenate(parts, axis=1).tolist()


def _write_coco(tracks: KeypointTracks, source: str, path: Path) -> None:
    write_coco(to_poses(tracks, source), path)


def _write_mmaction(tracks: KeypointTracks, source: str, path: Path) -> None:
    write_mmaction_pickle([to_poses(tracks, source)], path)


def _write_sleap(tracks: KeypointTracks, source: str, path: Path) -> None:
    write_sleap(to_poses(tracks, source), path)


def _write_nwb(tracks: KeypointTracks, source: str, path: Path) -> None:
    write_nwb(to_poses(tracks, source), path)


def _write_deeplabcut(tracks: KeypointTracks, _source: str, path: Path) -> None:
    bodyparts = [name for name in tracks.names for _ in COORDINATES]
    levels = [['bodyparts', *bodyparts], ['coords', *COORDINATES * len(tracks.names)]]
    # nan, not nothing: pandas (3.1) takes a first row of blanks for the names of the index
    rows = ([frame, *row.tolist()] for frame, row in enumerate(_deeplabcut_values(tracks)))
    write_table(path, ['scorer', *[SCORER] * len(bodyparts)], itertools.chain(levels, rows))


def _deeplabcut_values(tracks: KeypointTracks) -> NDArray[np.float64]:
    """x, y and likelihood of each keypoint, in a row for each frame from 0 (last + 1, 3 * K)."""
    parts = [tracks.keypoints, tracks.confidence[..., None]]
    values = np.full((int(tracks.frames[-1]) + 1, 3 * len(tracks.names)), np.nan)
    watched = np.concatenate(parts, axis=2).astype(np.float64).round(6)
    values[tracks.frames] = watched.reshape(tracks.num_frames, -1)
    return values


def _write_hdf5(tracks: KeypointTracks, _source: str, path: Path) -> None:
    h5py = import_h5py('deeplabcut-h5')
    count = len(tracks.names)
    levels = {'scorer': [SCORER], 'bodyparts': tracks.names, 'coords': COORDINATES}
    codes = (np.zeros(3 * count), np.arange(count).repeat(3), np.tile(np.arange(3), count))
    # in memory, as HDF5 crashes when a disk fills up
    content = io.BytesIO()
    with h5py.File(content, 'w') as file:
        _set_attributes(file, CLASS='GROUP', VERSION='1.0', PYTABLES_FORMAT_VERSION='2.1')
        group = file.create_group(HDF5_KEY)
        _set_attributes(group, CLASS='GROUP', VERSION='1.0', encoding='UTF-8', errors='strict')
        _set_attributes(group, pandas_type='frame', pandas_version='0.15.2')
        _set_attributes(group, axis0_variety='multi', axis1_variety='regular')
        _set_attributes(group, block0_items_variety='multi', ndim=2, nblocks=1)
        for axis in ('axis0', 'block0_items'):
            _set_attributes(group, **{f'{axis}_nlevels': len(levels)})
            for i, (name, values) in enumerate(levels.items()):
                _add_array(group, f'{axis}_label{i}', codes[i].astype(np.int32))
                encoded = np.char.encode(np.array(values), 'utf-8')
                _add_array(group, f'{axis}_level{i}', encoded, kind='string', name=name)
        values = _deeplabcut_values(tracks)
        # without a name, as in DeepLabCut's files
        _add_array(group, 'axis1', np.arange(len(values)), kind='integer')
        _add_array(group, 'block0_values', values)
    with write_atomically(path) as temporary:
        temporary.write_bytes(content.getbuffer())


def _add_array(group: Any, key: str, values: NDArray[Any], **attributes: str) -> None:
    array = group.create_dataset(key, data=values)
    _set_attributes(array, CLASS='ARRAY', FLAVOR='numpy', VERSION='2.4', TITLE='', **attributes)
    array.attrs['transposed'] = np.uint8(1)


def _set_attributes(node: Any, **attributes: str | int) -> None:
    """Set attributes as PyTables, through which pandas reads, has them: text of fixed length."""
    for name, value in attributes.items():
        if isinstance(value, str):
            encoded = value.encode('utf-8')
            dtype = import_h5py('text').string_dtype('utf-8', max(len(encoded), 1))
            node.attrs.create(name, encoded, dtype=dtype)
        else:
            node.attrs[name] = np.int64(value)


def _from_columns(path: Path, table: Columns) -> Annotations:
    """Collect x and y of each point; of several animals the points are `<individual>_<point>`."""
    levels, columns, rows = table
    scorers = sorted({str(column[levels.index('scorer')]) for column in columns})
    if len(scorers) > 1:
        raise ValueError(f'several scorers ({", ".join(scorers)}); keep the columns of one')
    kept = [i for i, level in enumerate(levels) if level not in ('scorer', 'coords')]
    places: dict[str, dict[str, int]] = {}
    for place, column in enumerate(columns):
        # marked without an individual: 'single'
        parts = [str(column[i]) for i in kept if column[i] != 'single']
        places.setdefault('_'.join(parts), {})[column[levels.index('coords')]] = place
    values = np.array([row[1:] for row in rows], dtype=np.float64)
    xy = [[place['x'], place['y']] for place in places.values()]
    frames = tuple(_to_frame(row[0]) for row in rows)
    return _make_annotations(path, tuple(places), frames, values[:, xy])


def _read_table(path: Path, rows: list[list[str]]) -> Annotations:
    header = rows[0] if rows else []
    index = next((header.index(name) for name in ('frame', 'image') if name in header), None)
    names = [name[:-2] for name in header if name.endswith('_x') and f'{name[:-2]}_y' in header]
    # our own tables have the variances of each keypoint as well
    names = [name for name in names if not (name.endswith('_var') and name[:-4] in names)]
    if index is None or not names:
        raise ValueError(f'the columns {", ".join(header) or "none"}')
    places = [[header.index(f'{name}_{axis}') for axis in 'xy'] for name in names]
    points = [
        [[float(row[i]) if row[i].strip() else np.nan for i in place] for place in places]
        for row in rows[1:]
    ]
    frames = tuple(_to_frame(row[index]) for row in rows[1:])
    return _make_annotations(path, tuple(names), frames, np.array(points))


def _read_coco_points(path: Path) -> Annotations:
    # pictures have no rate, and none is asked for here
    poses = read_coco(path, fps=1.0)
    images, _ = sort_images(read_json(path, what='annotations must be JSON')['images'])
    frames: tuple[int | str, ...] = tuple(poses.frame_indices.tolist())
    if not all('frame_index' in image for image in images):
        frames = tuple(image['file_name'] for image in images)
    keypoints, _ = poses.main_track()
    return _make_annotations(path, poses.skeleton.points, frames, keypoints.astype(np.float64))


def _make_annotations(
    path: Path, names: tuple[str, ...], frames: tuple[int | str, ...], points: NDArray[np.float64]
) -> Annotations:
    """Check that there is something; half a point is none."""
    if not frames:
        raise ValueError('no annotated frame')
    points = np.where(np.isnan(points).any(axis=-1, keepdims=True), np.nan, points)
    return Annotations(source=path, names=names, frames=frames, points=points)


def _to_frame(value: Any) -> int | str:
    text = str(value)
    return int(text) if text.isdigit() else text


# ending of the file's name, and what writes it
FORMATS: dict[str, tuple[str, Callable[[KeypointTracks, str, Path], None]]] = {
    'csv': ('_tracks.csv', _write_csv),
    'coco': ('_coco.json', _write_coco),
    'deeplabcut': (f'{SCORER}.csv', _write_deeplabcut),
    'deeplabcut-h5': (f'{SCORER}.h5', _write_hdf5),
    'mmaction': ('_mmaction.pkl', _write_mmaction),
    'sleap': ('.slp', _write_sleap),
    'nwb': ('.nwb', _write_nwb),
}
