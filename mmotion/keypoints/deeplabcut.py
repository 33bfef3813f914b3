"""What DeepLabCut's analyze_videos writes, as CSV and HDF5: the points of one animal or several.

A row for each frame, and above each column the levels scorer, individuals (where there are several
animals), bodyparts and coords: x and y in pixels, and likelihood. Points without a place, or with a
likelihood below 0, are missing; there are no bones, and the points swap in a mirror whose names
differ by left and right alone. The file tells neither the frames per second nor the size of the
video; its name begins with that of the video, before 'DLC'. Lightning Pose writes the same CSV.
Format: DeepLabCut 2 and 3, https://deeplabcut.github.io/DeepLabCut/docs/standardDeepLabCut_UserGuide.html

HDF5 is read by the package h5py, in the layout of pandas' DataFrame.to_hdf (formats 'fixed' and
'table'); what pandas pickles in it is read without running code.

Shape letters in this file: N rows, K points, M animals.
"""

import io
import pickle
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mmotion.keypoints.files import PoseFileError
from mmotion.keypoints.poses import Person, PoseVideo
from mmotion.keypoints.skeletons import SIDES, Skeleton
from mmotion.tables import read_rows

HDF5_SUFFIXES = ('.h5', '.hdf5')
DEEPLABCUT_SUFFIXES = ('.csv', *HDF5_SUFFIXES)
HDF5_KEY = 'df_with_missing'
COORDINATES = ('x', 'y', 'likelihood')
# points that no animal of several has
UNIQUE = 'single'


class Columns(NamedTuple):
    """A table with several levels above its columns.

    Attributes:
        levels: Names of the levels, such as scorer, bodyparts and coords.
        columns: What each column has in each of them.
        rows: What a row is about, a frame number or the path of an image, and its values.
    """

    levels: list[str]
    columns: list[tuple[str, ...]]
    rows: list[list[Any]]


def read_deeplabcut(path: str | Path, *, fps: float, skeleton: Skeleton | None = None) -> PoseVideo:
    """Read the points of a video; each animal is a track, and what its points span is the picture.

    Args:
        path: The file, `.csv`, `.h5` or `.hdf5`.
        fps: Frames per second.
        skeleton: Has the points of the file, in any order; None takes those of the file.

    Raises:
        OSError: If it cannot be opened.
        PoseFileError: If it is no such file, or has other points than the skeleton.
        ImportError: If h5py is needed and not installed.
    """
    path = Path(path)
    try:
        table = read_hdf5(path) if path.suffix.lower() in HDF5_SUFFIXES else _read_csv(path)
        names, animals = _find_points(table)
        skeleton = skeleton or Skeleton('deeplabcut', names, (), _find_mirror(names))
        if sorted(skeleton.points) != sorted(names):
            raise ValueError(
                f'the points must be those of the skeleton {skeleton.name!r}, '
                f'{", ".join(skeleton.points)}, got {", ".join(names)}'
            )
        values = np.array([row[1:] for row in table.rows], dtype=np.float64)
        # (N, M, K, 3)
        points = values[:, [[animal[name] for name in skeleton.points] for animal in animals]]
        points[~(points[..., 2] >= 0) | ~np.isfinite(points).all(axis=-1)] = np.nan
        size = np.nanmax(points[..., :2], axis=(0, 1, 2), initial=0) + 1
        indices = [_to_index(row[0]) for row in table.rows]
        video = PoseVideo(
            source=str(path.with_name(path.stem.split('DLC')[0] or path.stem)),
            fps=fps,
            width=int(size[0]),
            height=int(size[1]),
            num_frames=max(indices, default=0) + 1,
            detector='deeplabcut',
            skeleton=skeleton,
            frame_indices=np.array(indices, dtype=np.int64),
            frames=tuple(map(_make_people, points)),
        )
        video.check_pixels()
        return video
    except (PoseFileError, FileNotFoundError):
        raise
    except (ArithmeticError, LookupError, ValueError) as error:
        raise PoseFileError(
            f'{path}: the file must be what analyze_videos of DeepLabCut writes, with the rows '
            f'scorer, bodyparts and coords at its top, got {error}; keypoints are read from such '
            'files, from .json and from .npy'
        ) from None


def read_hdf5(path: Path) -> Columns:
    """Level names and tuples of the columns, and rows that begin with what they are about.

    Raises:
        PoseFileError: If the file is not HDF5, or not by DeepLabCut.
    """
    h5py = import_h5py(str(path))
    try:
        with h5py.File(path, 'r') as file:
            if HDF5_KEY not in file and len(file) != 1:
                raise PoseFileError(
                    f'{path}: the file must have one data set or {HDF5_KEY!r}, got '
                    f'{", ".join(file) or "none"}; keep the one that you mean'
                )
            group = file[HDF5_KEY if HDF5_KEY in file else next(iter(file))]
            if 'table' in group:
                return _read_pandas_table(group)
            return _read_pandas_fixed(group)
    except PoseFileError:
        raise
    except Exception as error:
        # h5py has an error of its own for each kind of broken bytes
        raise PoseFileError(
            f'{path}: the file must be HDF5 as DeepLabCut writes it, got {error}; read the .csv '
            'beside it'
        ) from None


def _read_pandas_table(group: Any) -> Columns:
    ((_, columns),) = _load_plain(group.attrs['non_index_axes'])
    info = _load_plain(group.attrs['info'])
    names = next(part['names'] for part in info.values() if 'names' in part)
    table = group['table'][()]
    rows = [[_decode(row['index']), *row['values_block_0'].tolist()] for row in table]
    return Columns(list(names), [tuple(column) for column in columns], rows)


def _read_pandas_fixed(group: Any) -> Columns:
    columns = _read_axis(group, 'axis0')
    names = [_decode(group[f'axis0_level{i}'].attrs['name']) for i in range(len(columns[0]))]
    index = _read_axis(group, 'axis1')
    values = np.full((len(index), len(columns)), np.nan)
    for block in range(int(group.attrs['nblocks'])):
        places = [columns.index(item) for item in _read_axis(group, f'block{block}_items')]
        values[:, places] = group[f'block{block}_values'][()]
    rows = [[_join_index(parts), *row] for parts, row in zip(index, values.tolist(), strict=True)]
    return Columns(names, columns, rows)


def _read_axis(group: Any, axis: str) -> list[tuple[Any, ...]]:
    """The labels along an axis of a DataFrame, as tuples."""
    if axis in group:
        return [(_decode(value),) for value in group[axis][()].tolist()]
    levels = []
    for i in range(int(group.attrs[f'{axis}_nlevels'])):
        values = [_decode(value) for value in group[f'{axis}_level{i}'][()].tolist()]
        levels.append([values[code] for code in group[f'{axis}_label{i}'][()].tolist()])
    return list(zip(*levels, strict=True))


def _decode(value: Any) -> Any:
    return value.decode('utf-8') if isinstance(value, bytes) else value


def _load_plain(content: bytes) -> Any:
    return _PlainUnpickler(io.BytesIO(bytes(content))).load()


class _PlainUnpickler(pickle.Unpickler):
    """Reads lists, tuples, dictionaries, texts and numbers; anything else could run code."""

    def find_class(self, module: str, name: str) -> Any:
        """Refuse."""
        raise pickle.UnpicklingError(f'{module}.{name} in it, which is not read')


def import_h5py(what: str) -> Any:
    """Import h5py.

    Args:
        what: What needs it, for the message.

    Raises:
        ImportError: If it is not installed.
    """
    try:
        import h5py
    except ImportError as error:
        raise ImportError(
            f'{what} must have the package h5py, got {error}; '
            'pip install "mmotion[deeplabcut]", or take the CSV'
        ) from error
    return h5py


def split_header(
    rows: list[list[str]],
) -> Columns:
    """Divide DeepLabCut's CSV as `read_hdf5` does.

    The header has a row a level, `coords` the last; newer files have the parts of an image's path
    in a column each, which leaves blanks in the header.
    """
    depth = next((i for i, row in enumerate(rows) if row[:1] == ['coords']), -1) + 1
    width = next((i for i, value in enumerate(rows[0][1:], 1) if value), 0)
    if not (depth and width):
        raise ValueError('no rows scorer, bodyparts and coords at the top')
    columns = list(zip(*(row[width:] for row in rows[:depth]), strict=True))
    body: list[list[Any]] = []
    for number, row in enumerate(rows[depth:], depth + 1):
        if len(row) != len(rows[0]):
            raise ValueError(f'{len(row)} instead of {len(rows[0])} values in row {number}')
        values = [float(value) if value.strip() else np.nan for value in row[width:]]
        body.append([_join_index(row[:width]), *values])
    return Columns([row[0] for row in rows[:depth]], columns, body)


def _join_index(parts: Sequence[Any]) -> Any:
    return parts[0] if len(parts) == 1 else '/'.join(map(str, parts))


def _read_csv(path: Path) -> Columns:
    rows = [row for _, row in read_rows(path, what='keypoints') if any(row)]
    if not rows or rows[0][0] != 'scorer':
        first = ','.join(rows[0])[:60] if rows else ''
        raise ValueError(f'{first!r} in its first line')
    return split_header(rows)


def _find_points(table: Columns) -> tuple[tuple[str, ...], list[dict[str, list[int]]]]:
    """Names of the points (K), and where x, y and likelihood of each are, animal by animal (M)."""
    animals: dict[str, dict[str, dict[str, int]]] = {}
    for place, values in enumerate(table.columns):
        column = dict(zip(table.levels, values, strict=True))
        points = animals.setdefault(column.get('individuals', ''), {})
        points.setdefault(column['bodyparts'], {})[column['coords']] = place
    if len(animals) > 1:
        animals.pop(UNIQUE, None)
    names = tuple(next(iter(animals.values())))
    for animal, points in animals.items():
        if set(points) != set(names):
            raise ValueError(f'other points of {animal!r} than of {next(iter(animals))!r}')
    return names, [
        {name: [point[what] for what in COORDINATES] for name, point in points.items()}
        for points in animals.values()
    ]


def _find_mirror(names: tuple[str, ...]) -> tuple[int, ...]:
    """The point that is called so but for the side, 'rightear' for 'leftear', or itself."""

    def swap(match: re.Match[str]) -> str:
        word = SIDES[match[0].lower() == SIDES[0]]
        return word.capitalize() if match[0][0].isupper() else word

    others = [re.sub('|'.join(SIDES), swap, name, flags=re.IGNORECASE) for name in names]
    return tuple(names.index(o) if o in names else i for i, o in enumerate(others))


def _make_people(points: NDArray[np.float64]) -> tuple[Person, ...]:
    """The animals of a frame of which a point is there, from (M, K, 3)."""
    return tuple(
        Person(
            keypoints=animal[:, :2],
            scores=np.clip(animal[:, 2], 0, 1),
            score=float(np.clip(np.nanmean(animal[:, 2]), 0, 1)),
            track=number,
        )
        for number, animal in enumerate(points)
        if not np.isnan(animal).all()
    )


def _to_index(value: Any) -> int:
    text = str(value)
    if not text.isdigit():
        raise ValueError(f'the row {text!r} instead of the number of a frame')
    return int(text)
