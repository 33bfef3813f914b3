"""Doors through which files come in: each makes a case of one broken file, or of a few.

A door is `door(rng, folder)`: it writes into the empty folder what its case reads.
"""

import contextlib
import functools
import io
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any

import av
import cv2
import numpy as np
import simplejson
import torch

import mmotion
from tests.fuzz.mutators import break_bytes, break_table, break_value
from tests.fuzz.verdict import Case
from tests.pose_videos import make_video
from tests.video_files import encode

NUM_FRAMES = 40
FORMATS = {
    'mp4': 'libx264', 'mov': 'mpeg4', 'mkv': 'libx264', 'webm': 'libvpx', 'avi': 'mpeg4',
    'ts': 'mpeg2video', 'mpg': 'mpeg2video', 'flv': 'flv1', 'wmv': 'wmv2', 'gif': 'gif',
    'mjpeg.avi': 'mjpeg', 'h264': 'libx264',
}  # fmt: skip
EXPORTS = ('csv', 'coco', 'deeplabcut', 'mmaction')
PIXEL_FORMATS = {'gif': 'rgb8', 'mjpeg': 'yuvj420p'}
TABLES = {
    'counts': 'file,start_s,end_s,count\na.mp4,0,4,7\nb.mp4,,,3',
    'countix': 'video_id,class,kinetics_start,kinetics_end,repetition_start,repetition_end,count\n'
    'abc,squat,7,10,7.5,9.5,4\nabd,squat,7,10,7.5,9.5,4',
    'cycles': 'name,count,L1,L2,L3,L4\na.mp4,2,1,31,31,61\nb.mp4,1,3,9,,',
    'anomaly': 'PATH,LABEL,CLASS,VIDEO,AUGMENT\na.mp4,0,run,,\nb.mp4,1,jump,b,flip speed=1.2',
    'sequences': 'path,label,group\na.json,squat,p1\nb.json,jump,p2',
    'extraction': 'video,status,reason,file,frames,with_people,settings\n/a.mp4,done,,a.json,3,2,s',
    'deeplabcut': 'scorer,me,me,me,me\nbodyparts,nose,nose,tail,tail\ncoords,x,y,x,y\n'
    '0,1.5,2,3,4\n5,2,3,,',
    'points': 'frame,nose_x,nose_y,tail_x,tail_y\n0,1.5,2,3,4\n5,2,3,,',
    'kinetics': 'label,youtube_id,time_start,time_end,split\nrun,abc,0,10,train\n'
    'jump,abd,2,12,train',
    'list': 'a.mp4 0\nb.mp4 1\nc d.mp4 2',
}
SYSTEMS = {
    'repnet': 'repnet_small',
    'bkind': 'bkind_shapes',
    'timesformer': 'timesformer_shapes',
    'anomaly': 'anomaly_shapes_pca',
    'pose': 'pose_lstm_shapes',
}


def paint_frames() -> list[np.ndarray]:
    """A bright square that goes to and fro."""
    images = np.full((NUM_FRAMES, 48, 64, 3), 40, np.uint8)
    for number, image in enumerate(images):
        left = 4 + abs(number % 16 - 8) * 5
        image[16:32, left : left + 12] = (200, 150, 90)
    return [*images]


@functools.cache
def encode_good(suffix: str) -> bytes:
    """A video of 40 frames in a format."""
    codec = FORMATS[suffix]
    path = Path.cwd() / f'good.{suffix}'
    encode(path, paint_frames(), codec=codec, pixel_format=PIXEL_FORMATS.get(codec, 'yuv420p'))
    content = path.read_bytes()
    path.unlink()
    return content


@functools.cache
def load_predictor(system: str) -> Any:
    """A small one, with random weights but for the counter that ships."""
    torch.manual_seed(0)
    weights = None if system == 'repnet' else 'random'
    predictor = mmotion.load_model(SYSTEMS[system], weights, device='cpu')
    if system == 'anomaly':
        clips = torch.randn(40, 1, 3, 8, 64, 64)
        predictor.model.fit(predictor.model.embed(clips), torch.zeros(40, dtype=torch.long))
    if system == 'pose':
        predictor._detector = SomebodyDetector()
    return predictor


class SomebodyDetector:
    """Sees the same person in each picture."""

    name = 'somebody'

    def __init__(self) -> None:
        from projects.pose_sequence.shapes_data import FIGURE

        self.skeleton = FIGURE
        self._person = make_video(1, skeleton=FIGURE, missing=0).frames[0]

    def detect(self, images: Sequence[np.ndarray]) -> list[list[Any]]:
        return [[*self._person] for _ in images]


def video_door(rng: Random, folder: Path) -> Case:
    """A broken video, and one of the five predictors."""
    suffix, system = rng.choice([*FORMATS]), rng.choice([*SYSTEMS])
    content, words = break_bytes(encode_good(suffix), rng)
    path = folder / f'clip.{suffix}'
    path.write_bytes(content)
    predictor = load_predictor(system)
    how = rng.choice(('predict', 'predict', 'part', 'stream', 'regions', 'draw'))

    def call() -> Any:
        if how == 'stream':
            *_, last = predictor.stream(path)
            return last
        if how == 'regions':
            return predictor.predict_regions(path, mmotion_regions())
        if how == 'part':
            return predictor.predict(path, start_s=0.4, end_s=1.1)
        result = predictor.predict(path)
        if how == 'draw':
            predictor.draw(path, result, Path.cwd() / 'out')
            if system == 'bkind':
                predictor.export(path, result, Path.cwd() / 'out', EXPORTS)
        return result

    def check(result: Any, warned: list[str]) -> str | None:
        simplejson.dumps(result.to_dict(), ignore_nan=True)
        result = result.results[0] if how == 'regions' else result
        if how in ('predict', 'draw') and not warned and not result.num_lost:
            told, seen = count_told(path), result.num_frames
            if told == NUM_FRAMES and seen < told:
                return f'a silent loss: {seen} of {told} frames'
        return None

    return Case(f'{system} {how} of .{suffix}: {words}', call, check, (path.name,))


def mmotion_regions() -> list[Any]:
    return [mmotion.Region(name='left', boxes_xyxy=[[0, 0, 30, 40]])]


def count_told(path: Path) -> int:
    """How many frames a container says it holds; 0 if it does not say."""
    try:
        with av.open(str(path)) as container:
            return container.streams.video[0].frames
    except (av.FFmpegError, IndexError):
        return 0


def picture_door(rng: Random, folder: Path) -> Case:
    """A folder of pictures of which one is broken, or a TIFF."""
    suffix = rng.choice(('.png', '.jpg', '.bmp', '.tif', '.webp'))
    image = paint_frames()[0].astype(np.uint16) * (257 if rng.random() < 0.3 else 1)
    image = image if image.max() > 255 and suffix in ('.png', '.tif') else paint_frames()[0]
    if suffix == '.tif' and rng.random() < 0.5:
        _, good = cv2.imencodemulti('.tif', [image] * 4)
        path = target = folder / 'pages.tif'
    else:
        _, good = cv2.imencode(suffix, image)
        path, target = folder / 'clip', folder / 'clip' / f'img_3{suffix}'
        path.mkdir()
        for number in range(1, 9):
            (path / f'img_{number}{suffix}').write_bytes(good.tobytes())
    content, words = break_bytes(good.tobytes(), rng)
    target.write_bytes(content)
    if path.is_dir() and rng.random() < 0.3:
        name = rng.choice(('img_3_3', 'x', 'img_99999999999', 'img_-3', '007', '$3^_{'))
        target.rename(path / f'{name}{suffix}')
        words += f', named {name}'
    predictor = load_predictor(rng.choice(('repnet', 'bkind')))
    return Case(f'{suffix} {words}', lambda: predictor.predict(path, fps=30.0), names=(path.name,))


@functools.cache
def good_checkpoint() -> dict[str, Any]:
    state = load_predictor('repnet').model.state_dict()
    few = {
        name: state[name][:2].clone() for name in [name for name in state if state[name].ndim][:6]
    }
    meta = {'epoch': 3, 'iter': 9, 'dataset_meta': {'classes': ['a', 'b']}}
    return {'state_dict': few, 'meta': meta, 'message_hub': {'log_scalars': {}}}


class Marker:
    """Would set a marker, a file, if it were unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def checkpoint_door(rng: Random, folder: Path) -> Case:
    """A checkpoint with broken bytes, values or tensors, or with a class that is not ours."""
    from mmotion.checkpoint import find_state_dict, load_checkpoint_file

    path, marker = folder / f'x{rng.choice((".pth", ".pt", ".ckpt"))}', folder / 'marker'
    content: Any = good_checkpoint()
    how = rng.choice(('bytes', 'bytes', 'value', 'tensor', 'marker'))
    words = how
    if how == 'value':
        content, words = break_value(content, rng)
    elif how == 'tensor':
        tensor, words = rng.choice(_odd_tensors())
        content = {**content, 'state_dict': {**content['state_dict'], 'x': tensor}}
    elif how == 'marker':
        place = rng.choice(('state_dict', 'meta'))
        content = {**content, place: {**content[place], 'x': Marker(marker)}}
    file = io.BytesIO()
    with _deep_recursion():
        torch.save(content, file, _use_new_zipfile_serialization=rng.random() < 0.7)
    broken = file.getvalue()
    if how in ('bytes', 'marker') and rng.random() < 0.9:
        broken, said = break_bytes(broken, rng)
        words = f'{how}, {said}'
    path.write_bytes(broken)

    def call() -> Any:
        return find_state_dict(load_checkpoint_file(path), source=path)

    def check(result: Any, warned: list[str]) -> str | None:
        return 'unpickled: a class was run' if marker.exists() else None

    return Case(words, call, check, (path.name,))


@contextlib.contextmanager
def _deep_recursion() -> Iterator[None]:
    """Let lists in one another be written."""
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(20_000)
    yield
    sys.setrecursionlimit(limit)


def _odd_tensors() -> list[tuple[Any, str]]:
    eye = torch.eye(3)
    return [
        (eye.to_sparse(), 'a sparse tensor'),
        (torch.quantize_per_tensor(eye, 0.1, 0, torch.qint8), 'a quantized tensor'),
        (torch.empty(3, device='meta'), 'a meta tensor'),
        (torch.full((3,), float('nan')), 'a tensor of NaN'),
        (eye.to(torch.complex64), 'a complex tensor'),
        (eye.to(torch.float8_e4m3fn), 'a tensor of 8-bit floats'),
        (torch.empty(0, 5), 'an empty tensor'),
        (torch.nested.nested_tensor([torch.ones(2), torch.ones(3)]), 'a nested tensor'),
        (eye.expand(4, 3, 3), 'an expanded tensor'),
    ]


def json_door(rng: Random, folder: Path) -> Case:
    """A JSON file that is broken in its bytes or values."""
    from mmotion.keypoints import read_poses
    from mmotion.keypoints.coco import read_coco, write_coco
    from mmotion.keypoints.files import find_skeleton, write_poses
    from mmotion.regions import read_regions
    from projects.bkind.export import read_annotations

    path, good = folder / 'x.json', folder / 'good.json'
    name = rng.choice(
        ('poses', 'coco', 'skeleton', 'regions', 'detections', 'annotations', 'predict')
    )
    read: Callable[[], Any] = lambda: read_poses(path)  # noqa: E731
    if name in ('poses', 'predict'):
        write_poses(make_video(6, skeleton=SomebodyDetector().skeleton), good)
        if name == 'predict':
            read = lambda: load_predictor('pose').predict(path)  # noqa: E731
    elif name in ('coco', 'annotations'):
        write_coco(make_video(4, people=1), good)
        read = (
            (lambda: read_coco(path, fps=30.0))
            if name == 'coco'
            else lambda: read_annotations(path)
        )
    elif name == 'skeleton':
        points = ['left_hand', 'neck', 'right_hand']
        content = {'name': 'arms', 'points': points, 'edges': [[0, 1], [1, 2]], 'mirror': [2, 1, 0]}
        good.write_text(json.dumps(content))
        read = lambda: find_skeleton(str(path))  # noqa: E731
    else:
        good.write_text(json.dumps(_regions() if name == 'regions' else _detections()))
        read = lambda: read_regions([str(path)])  # noqa: E731
    text = good.read_text()
    if rng.random() < 0.25:
        broken, words = break_bytes(text.encode(), rng)
    else:
        value, words = break_value(json.loads(text), rng)
        with _deep_recursion():
            broken = json.dumps(value, skipkeys=True).encode('utf-8', 'replace')
    good.unlink()
    path.write_bytes(broken)
    return Case(f'{name}: {words}', read, names=(path.name,))


def _regions() -> Any:
    moving = [{'frame': 0, 'box_xyxy': [22, 2, 41, 30]}, {'frame': 9, 'box_xyxy': [25, 2, 44, 30]}]
    return {'regions': [{'name': 'a', 'box_xyxy': [1, 2, 20, 30]}, {'name': 'b', 'frames': moving}]}


def _detections() -> Any:
    return [
        {'image_id': n, 'category_id': 1, 'bbox': [1, 2, 19, 28], 'score': 0.9, 'track_id': 4}
        for n in range(32)
    ]


def table_door(rng: Random, folder: Path) -> Case:
    """A table that is broken in a cell, a row, a column, its encoding or its bytes."""
    from mmotion.keypoints.extraction_table import ExtractionTable
    from projects.anomaly.data import read_rows
    from projects.bkind.export import read_annotations
    from projects.pose_sequence.sequence_files import list_sequences
    from projects.repnet.annotations import read_countix_csv, read_cycles_csv
    from projects.repnet.table_data import read_counts_table
    from projects.timesformer.layouts import read_videos

    path = folder / 'x.csv'
    videos = dict.fromkeys(('classes', 'split', 'group_pattern'), None) | {'val_share': 0.2}
    readers = {
        'counts': read_counts_table,
        'countix': read_countix_csv,
        'cycles': read_cycles_csv,
        'anomaly': lambda path: read_rows(path, 'train'),
        'sequences': lambda path: list_sequences(folder, path),
        'extraction': ExtractionTable,
        'deeplabcut': read_annotations,
        'points': read_annotations,
        'kinetics': lambda path: read_videos(ann_file=path, data_root=folder, **videos),
        'list': lambda path: read_videos(ann_file=path, data_root=folder, **videos),
    }
    name = rng.choice([*readers])
    broken, words = break_table(TABLES[name], rng)
    path.write_bytes(broken)
    return Case(f'{name}: {words}', lambda: readers[name](path), names=(path.name,))


@functools.cache
def _good_arrays(folder: Path) -> dict[str, bytes]:

    from mmotion.keypoints.arrays import write_mmaction_pickle

    made = {}
    file = io.BytesIO()
    np.save(file, np.random.default_rng(0).random((20, 17, 3), np.float32))
    made['npy'] = file.getvalue()
    path = folder / 'good.pkl'
    write_mmaction_pickle([make_video(5, labels={'label': 'squat', 'split': 'train'})], path)
    made['pkl'] = path.read_bytes()
    path.unlink()
    from projects.bkind.export import export_tracks
    from projects.bkind.results import KeypointTracks

    tracks = KeypointTracks(
        fps=30.0,
        width=64,
        height=48,
        frames=np.arange(6),
        keypoints=np.ones((6, 2, 2), np.float32),
        confidence=np.ones((6, 2), np.float32),
        covariance=np.ones((6, 2, 3), np.float32),
        names=('a', 'b'),
    )
    path = next(
        path
        for path in export_tracks(tracks, 'x.mp4', folder, ['deeplabcut-h5'])
        if path.suffix == '.h5'
    )
    made['h5'] = path.read_bytes()
    return made


def array_door(rng: Random, folder: Path) -> Case:
    """Keypoints in an array, a pickle or HDF5, broken in their bytes."""
    from mmotion.keypoints.arrays import read_mmaction_pickle, read_pose_array
    from mmotion.keypoints.skeletons import COCO17
    from projects.bkind.export import read_annotations

    suffix = rng.choice(('npy', 'pkl', 'h5'))
    content, words = break_bytes(_good_arrays(Path.cwd() / 'out')[suffix], rng)
    path = folder / f'x.{suffix}'
    path.write_bytes(content)
    call = {
        'npy': lambda: read_pose_array(path, skeleton=COCO17, fps=30.0),
        'pkl': lambda: read_mmaction_pickle(path, fps=30.0),
        'h5': lambda: read_annotations(path),
    }[suffix]
    return Case(f'{suffix}: {words}', call, names=(path.name,))
