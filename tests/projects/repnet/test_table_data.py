"""Tables of counts: what is read, what is refused, what is left out."""

import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from mmengine.logging import MMLogger
from torch.utils.data import DataLoader

from mmotion.registry import DATASETS
from mmotion.video import iterate_frames
from projects.repnet.data import ResizeFrames
from projects.repnet.table_data import (
    CountedClip,
    CountsTableDataset,
    JoinedRepetitionDataset,
    join_clips,
    read_counts_table,
)
from tests.video_files import encode

HEADER = 'file,start_s,end_s,count,notes'


@pytest.fixture
def write_table(tmp_path: Path) -> Callable[..., str]:
    def write(*rows: str, header: str = HEADER) -> str:
        path = tmp_path / 'counts.csv'
        path.write_text('\n'.join([header, *rows]))
        return str(path)

    return write


def test_rows_become_clips(write_table, tmp_path):
    clips = read_counts_table(write_table('a.mp4,0.5,2,3,"side, dark"', 'b/c.avi,0,9.25,0,'))
    assert clips == [
        CountedClip(path=tmp_path / 'a.mp4', count=3, start_s=0.5, end_s=2),
        CountedClip(path=tmp_path / 'b/c.avi', count=0, end_s=9.25),
    ]
    assert [clip.name for clip in clips] == ['a 0.5-2 s', 'c 0-9.25 s']


def test_videos_are_found_however_the_accents_of_a_name_are_written(write_table, tmp_path):
    on_disk, written = (unicodedata.normalize(form, 'Übung.mp4') for form in ('NFD', 'NFC'))
    (tmp_path / on_disk).touch()
    (clip,) = read_counts_table(write_table(f'{written},0,2,3,'))
    assert clip.path == tmp_path / on_disk


def test_whole_videos_have_the_sum_of_their_counts(write_table, tmp_path):
    clips = read_counts_table(write_table('a.mp4,0,2,3,', 'b.mp4,0,2,1,', 'a.mp4,5,9,4,'))
    assert join_clips(clips) == [
        CountedClip(path=tmp_path / 'a.mp4', count=7),
        CountedClip(path=tmp_path / 'b.mp4', count=1),
    ]
    assert join_clips(clips)[0].name == 'a'


@pytest.mark.parametrize(
    'rows',
    [
        pytest.param(['a.mp4,0,10,9,', 'a.mp4,5,12,4,'], id='partly'),
        pytest.param(['a.mp4,5,8,4,', './a.mp4,0,10,9,'], id='one within the other'),
    ],
)
def test_stretches_that_overlap_are_not_summed(write_table, rows):
    with pytest.raises(ValueError, match=r"must not overlap to be summed, got 'a 0-10 s' and 'a 5"):
        join_clips(read_counts_table(write_table(*rows)))


@pytest.mark.parametrize(
    ('row', 'message'),
    [
        pytest.param('a.mp4,0,x,3,', "end_s must be a number, got end_s='x' in line 3", id='word'),
        pytest.param('a.mp4,0,2', 'each of 5 columns, got 3 values in line 3', id='short'),
        pytest.param(
            'a.mp4,0,2,-1,', 'count must be at least 0, .*; in line 3', id='negative count'
        ),
        pytest.param(
            'a.mp4,3,2,1,', 'start_s must be .* got start_s=3.0 .*; in line 3', id='backwards'
        ),
    ],
)
def test_bad_row_is_named(write_table, row, message):
    with pytest.raises(ValueError, match=message):
        read_counts_table(write_table('a.mp4,0,2,3,', row))


def test_missing_columns_are_named(write_table):
    with pytest.raises(ValueError, match=r'columns .* without start_s, count'):
        read_counts_table(write_table('a.mp4,2', header='file,end_s'))


def test_clip_is_what_lies_between_its_times(write_table, tmp_path):
    video = encode(tmp_path / 'a.mp4', fps=10)
    dataset = DATASETS.build(
        {
            'type': 'CountsTableDataset',
            'csv_file': write_table('a.mp4,0.5,1.2,3,'),
            'pipeline': [],
            'size': 16,
        }
    )
    assert len(dataset) == 1
    item = dataset[0]
    wanted = [frame.image for frame in iterate_frames(video)][5:12]
    wanted = ResizeFrames(size=16).transform({'imgs': wanted})['imgs']
    np.testing.assert_array_equal(item['imgs'], wanted)
    assert (item['fps'], item['gt_count'], item['name']) == (10, 3, 'real/a 0.5-1.2 s')
    assert 'gt_period' not in item


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """What is logged through mmengine, whose logger keeps records from pytest."""
    logger = MMLogger.get_current_instance()
    logger.addHandler(caplog.handler)
    yield caplog
    logger.removeHandler(caplog.handler)


def test_clips_that_cannot_be_read_are_left_out(write_table, tmp_path, log):
    encode(tmp_path / 'a.mp4', fps=10)
    (tmp_path / 'text.mp4').write_text('no video')
    table = write_table('gone.mp4,0,1,3,', 'text.mp4,0,1,3,', 'a.mp4,50,60,3,', 'a.mp4,0,1,2,')
    dataset = CountsTableDataset(csv_file=table, pipeline=[], size=16)
    assert [clip.name for clip in dataset.clips] == ['a 0-1 s']
    assert '1 of 4 clips' in log.text
    for name in ('gone 0-1 s', 'text 0-1 s', 'a 50-60 s'):
        assert f'  {name}: ' in log.text


def test_without_a_table_there_are_no_clips(tmp_path, log):
    table = str(tmp_path / 'none.csv')
    dataset = CountsTableDataset(csv_file=table, pipeline=[], size=16)
    assert len(dataset) == 0
    assert f'{table}, which is not there' in log.text


@pytest.mark.parametrize('first', ['table', 'other'])
def test_empty_table_joins_other_data(tmp_path, first):
    table = {'type': 'CountsTableDataset', 'csv_file': str(tmp_path / 'none.csv')}
    configs = [
        {**table, 'pipeline': [], 'size': 16},
        {
            'type': 'RepetitionShapesDataset',
            'split': 'val',
            'num_videos': 2,
            'size': 16,
            'pipeline': [],
        },
    ]
    joined = JoinedRepetitionDataset(datasets=configs if first == 'table' else configs[::-1])
    loader = DataLoader(joined, batch_size=1, collate_fn=lambda items: items[0]['name'])
    assert list(loader) == ['val_000000', 'val_000001']
