"""What the configs need to take a step in a test: tiny tables and videos of the real data sets."""

import shutil
from pathlib import Path

from mmengine.config import Config

from tests.repetition_files import write_countix, write_table, write_video


def prepare(config: Config, root: Path) -> None:
    """Write tiny data below `root`, and take a network that needs no downloaded weights."""
    if config.model.encoder.type == 'TimmEncoder':
        write_all(root)
        config.model.encoder = dict(type='ConvEncoder', channels=(4, 8))


def write_all(root: Path) -> None:
    """Write what every config of real videos needs, at the places that they name, below a root."""
    write_countix(root / 'data' / 'countix')
    source = write_video(root / 'data' / 'videos' / 'any.mp4')
    header = 'name,count,L1,L2,L3,L4,start_frame,end_frame'
    names = {
        'repcount/annotation': ('train.csv', 'valid.csv', 'test.csv'),
        'ucfrep': ('new_train.csv', 'new_val.csv'),
    }
    for folder, tables in names.items():
        columns = header if folder == 'ucfrep' else header.removesuffix(',start_frame,end_frame')
        row = ['clip.avi', 2, 1, 31, 31, 61, 1, 80][: columns.count(',') + 1]
        for table in tables:
            write_table(root / 'data' / folder / table, columns, [row])
    for folder in ('repcount/video', 'ucf101'):
        (root / 'data' / folder).mkdir()
        shutil.copy(source, root / 'data' / folder / 'clip.mp4')
