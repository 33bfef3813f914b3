"""Write videos and tables of repetitions, as the real data sets have them."""

import csv
import shutil
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

from mmotion.shapes import MotionShapes
from mmotion.video import VideoWriter

FPS = 30
NUM_FRAMES = 90


def write_video(path: Path) -> Path:
    """Write the first three seconds of a generated video."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with VideoWriter(path, fps=FPS) as writer:
        for frame in islice(MotionShapes(split='train', size=32)[0].frames(), NUM_FRAMES):
            writer.write(frame)
    return path


def write_table(path: Path, header: str, rows: Sequence[Sequence[object]]) -> Path:
    """Write a CSV file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open('w', newline='') as file:
        csv.writer(file).writerows([header.split(','), *rows])
    return path


def write_countix(root: Path, splits: Sequence[str] = ('train', 'val', 'test')) -> Path:
    """Write Countix as tools/data/countix leaves it: a table and a folder of videos a split."""
    header = 'video_id,class,kinetics_start,kinetics_end,repetition_start,repetition_end,count'
    source = write_video(root / 'source.mp4')
    for split in splits:
        names = [f'{split:_<10}{number}' for number in range(2)]
        rows = [[name, 'squat', 7, 10, 7.5, 9.5, 4] for name in names]
        write_table(root / f'countix_{split}.csv', header, rows)
        for name in names:
            (root / split).mkdir(exist_ok=True)
            shutil.copy(source, root / split / f'{name}_000007_000010.mp4')
    return root
