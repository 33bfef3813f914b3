import csv
import os
from pathlib import Path

import numpy as np
import pytest

from mmotion.inference.summary import NAME, describe_rows, keep_summary
from mmotion.regions import Region, RegionResults
from mmotion.tables import read_table


class Count:
    num_frames, fps, start_s, frame_times_s, num_lost = 30, 10.0, 1.0, None, 2

    def to_dict(self):
        return {'count': 3, 'fps': 10.0, 'rate': float('nan'), 'name': '=3', 'segments': []}


def read_csv(path):
    with open(path, newline='') as file:
        return list(csv.DictReader(file))


def test_a_result_without_a_choice_gives_its_numbers_and_words():
    (row,) = describe_rows(Count())
    assert row == {
        'count': 3, 'rate': None, 'name': '=3', 'lost_frames': 2, 'video_s': 3.0,
    }  # fmt: skip


def test_regions_have_a_row_each():
    regions = [Region(name=name, boxes_xyxy=[[0, 0, 20, 20]]) for name in 'ab']
    result = RegionResults(
        regions=regions, results=[Count(), Count()], fps=10.0, frames=np.arange(30), start_s=1.0,
        width=32, height=32,
    )  # fmt: skip
    rows = describe_rows(result)
    assert [(row['region'], row['count'], row['video_s']) for row in rows] == [
        ('a', 3, 3.0), ('b', 3, 3.0),
    ]  # fmt: skip


def test_the_table_has_what_became_of_each_video_in_their_order(tmp_path):
    videos = [Path('=a.mp4'), Path('b.mp4'), Path('c.mp4'), Path('never.mp4')]
    with keep_summary(videos, tmp_path, wanted=True) as summary:
        summary.add(videos[2], 'failed', reason='-broken,\nno "video"')
        summary.add(videos[1], 'skipped', [{'label': 'sit', 'score': 0.123456789}])
        summary.add(videos[0], 'ok', describe_rows(Count()), taken_s=0.5)
    rows = read_csv(tmp_path / NAME)
    assert list(rows[0]) == [
        'video', 'status', 'count', 'rate', 'name', 'label', 'score', 'lost_frames', 'video_s',
        'taken_s', 'reason',
    ]  # fmt: skip
    # no cell is a formula
    assert [row['video'] for row in rows] == ["'=a.mp4", 'b.mp4', 'c.mp4']
    assert (rows[0]['name'], rows[0]['count'], rows[0]['rate']) == ("'=3", '3', '')
    assert (rows[1]['status'], rows[1]['score'], rows[1]['count']) == ('skipped', '0.123457', '')
    assert rows[2]['reason'] == '\'-broken,\nno "video"'
    assert [row.text('status') for row in read_table(tmp_path / NAME, ['video'])] == [
        'ok', 'skipped', 'failed',
    ]  # fmt: skip


def test_names_and_reasons_that_are_no_text_are_written(tmp_path):
    video = Path(os.fsdecode(b'clip\xff.mp4'))
    with keep_summary([video], tmp_path, wanted=True) as summary:
        summary.add(video, 'failed', reason=f'no {video}')
    row = {'video': 'clip\\udcff.mp4', 'status': 'failed', 'reason': 'no clip\\udcff.mp4'}
    assert read_csv(tmp_path / NAME) == [row]
    assert 'clip?.mp4' in summary.lay_out()


def test_it_is_written_however_the_run_ends_and_only_if_wanted(tmp_path):
    video = Path('a.mp4')
    for wanted in (False, True):
        with (
            pytest.raises(KeyboardInterrupt),
            keep_summary([video, Path('b.mp4')], tmp_path, wanted=wanted) as summary,
        ):
            summary.add(video, 'ok')
            raise KeyboardInterrupt
        assert (tmp_path / NAME).is_file() == wanted
    assert [row['video'] for row in read_csv(tmp_path / NAME)] == ['a.mp4']


def test_the_table_of_somebody_else_is_not_written_over(tmp_path):
    (tmp_path / NAME).write_text('name,price\nx,3\n')
    with (
        pytest.raises(
            ValueError, match=r'summary\.csv must be a table of an earlier run .* rename'
        ),
        keep_summary([], tmp_path, wanted=True),
    ):
        pass
    with keep_summary([], tmp_path, wanted=False):
        pass
    assert (tmp_path / NAME).read_text() == 'name,price\nx,3\n'


def test_a_terminal_shows_columns_in_line_and_cuts_what_is_long(tmp_path, monkeypatch):
    monkeypatch.setenv('COLUMNS', '60')
    videos = [Path(f'clips/a_very_long_name_of_a_video_{n:02}.mp4') for n in range(50)]
    with keep_summary(videos, tmp_path, wanted=False) as summary:
        for number, video in enumerate(videos):
            summary.add(video, 'ok', [{'count': number, 'speed_px_s': 1234.5, 'gap_s': 0.12345}])
        summary.add(videos[1], 'failed', reason='no\x1b[31m\n' + 90 * 'x')
    lines = summary.lay_out().splitlines()
    assert lines[0].split() == [
        'video',
        'status',
        'count',
        'speed',
        '(px/s)',
        'gap',
        '(s)',
        'reason',
    ]
    assert lines[1].split()[1:] == ['ok', '0', '1234', '0.123']
    # the end of a name tells videos apart, and the folder that all are in does not
    assert lines[1].startswith('..._video_00.mp4  ')
    assert lines[2].endswith('no?[31m?' + 39 * 'x' + '...')
    assert lines[0].index('count') + 4 == lines[10].index(' 9') + 1
    assert len(lines) == 42 and lines[-1] == 'and 10 more rows'
