import json
import os
import warnings

import pyarrow as pa
import pytest
from pyarrow import parquet

from mmotion.corpus.manifest import read_manifest

ROWS = {
    'video': ['a.mp4', '/data/b.mp4', 's3://bucket/c.mp4'],
    'start_s': [None, 1.5, None],
    'end_s': [None, 3.0, 4.0],
    'subject': ['x', None, 'z'],
}


def write(path, rows=ROWS):
    """Write the same rows in the format of a suffix."""
    if path.suffix == '.parquet':
        parquet.write_table(pa.table(rows), path)
    elif path.suffix == '.jsonl':
        lines = [
            dict(zip(rows, values, strict=True)) for values in zip(*rows.values(), strict=True)
        ]
        path.write_text(''.join(json.dumps(line) + '\n' for line in lines))
    else:
        comma = ',' if path.suffix == '.csv' else '\t'
        lines = [
            comma.join('' if v is None else str(v) for v in values)
            for values in zip(*rows.values(), strict=True)
        ]
        path.write_text('\n'.join([comma.join(rows), *lines]) + '\n')
    return path


@pytest.mark.parametrize('suffix', ['.parquet', '.csv', '.tsv', '.jsonl'])
def test_a_table_of_each_kind_says_the_same(tmp_path, suffix):
    manifest = read_manifest(write(tmp_path / f'videos{suffix}'))
    assert len(manifest) == 3 and manifest.columns == ['subject']
    items = [*manifest]
    assert [item.video for item in items] == [
        str(tmp_path / 'a.mp4'), '/data/b.mp4', 's3://bucket/c.mp4'
    ]  # fmt: skip
    assert [(item.start_s, item.end_s) for item in items] == [(0, None), (1.5, 3), (0, 4)]
    assert [item.more for item in items] == [{'subject': s} for s in ('x', None, 'z')]
    assert manifest.ids == [item.id for item in items]
    # the same however it is written
    other = read_manifest(write(tmp_path / 'other.parquet'))
    assert other.ids == manifest.ids


def test_the_root_of_relative_paths_is_told(tmp_path):
    path = write(tmp_path / 'videos.csv')
    assert next(iter(read_manifest(path, root='/data'))).video == '/data/a.mp4'


def test_a_text_file_has_a_video_a_line(tmp_path):
    path = tmp_path / 'list.txt'
    path.write_text('# mine\na.mp4\n\n with space.mp4 \nhttps://host/b.mp4\n')
    assert [item.video for item in read_manifest(path)] == [
        str(tmp_path / 'a.mp4'), str(tmp_path / 'with space.mp4'), 'https://host/b.mp4'
    ]  # fmt: skip


def test_a_folder_and_a_pattern_stand_for_their_videos(tmp_path):
    for name in ('a.mp4', 'b.mp4', 'c.txt'):
        (tmp_path / name).touch()
    for source in (tmp_path, tmp_path / '*.mp4', [tmp_path / 'a.mp4', tmp_path / 'b.mp4']):
        assert [item.video for item in read_manifest(source)] == [
            str(tmp_path / 'a.mp4'), str(tmp_path / 'b.mp4')
        ]  # fmt: skip


def test_an_id_is_text(tmp_path):
    path = tmp_path / 'videos.csv'
    path.write_text('id,video\n007,a.mp4\n,b.mp4\n')
    first, second = read_manifest(path).ids
    assert first == '007' and len(second) == 16


def test_what_comes_again_is_one(tmp_path):
    table = pa.table({'video': ['a', 'b', 'a', 'a'], 'start_s': [0.0, 0.0, 0.0, 5.0]})
    with pytest.warns(UserWarning, match='1 rows that name the same video'):
        manifest = read_manifest(table)
    assert [(item.video, item.start_s) for item in manifest] == [('a', 0), ('b', 0), ('a', 5)]


def test_an_id_of_two_videos_is_refused():
    with pytest.raises(ValueError, match=r'stand for one video, got 1 again .*: x; name them'):
        read_manifest(pa.table({'id': ['x', 'x'], 'video': ['a', 'b']}))


def test_rows_without_a_video_are_counted():
    with pytest.warns(UserWarning, match='2 rows without a video'):
        assert len(read_manifest(pa.table({'video': ['a', None, '']}))) == 1
    with warnings.catch_warnings(), pytest.raises(ValueError, match='name a video at least'):
        warnings.simplefilter('ignore')
        read_manifest(pa.table({'video': pa.array([None], pa.string())}))


@pytest.mark.parametrize(
    ('row', 'fault'),
    [
        ({'start_s': -1.0}, 'start_s must not be negative'),
        ({'start_s': 3.0, 'end_s': 2.0}, 'end_s must come after it'),
        ({'end_s': 0.0}, 'end_s must come after it'),
        ({'start_s': 'soon'}, "start_s must be a number of seconds, got 'soon'"),
        ({'end_s': float('inf')}, 'end_s must be finite'),
        ({'regions': [1, 2]}, 'regions must be text'),
    ],
)
def test_a_wrong_cell_is_a_fault_of_its_row(row, fault):
    table = pa.Table.from_pylist([{'video': 'a', **row}])
    (item,) = read_manifest(table)
    assert fault in item.fault


def test_cells_that_say_nothing_are_the_whole_video():
    table = pa.table({'video': ['a'], 'start_s': [float('nan')], 'end_s': ['']})
    (item,) = read_manifest(table)
    assert (item.start_s, item.end_s, item.fault) == (0, None, '')


@pytest.mark.parametrize('regions', ['l=1,2,3,4  5,6,7,8', ['l=1,2,3,4', '5,6,7,8']])
def test_regions_are_text_or_a_list(regions):
    (item,) = read_manifest(pa.table({'video': ['a'], 'regions': [regions]}))
    assert item.regions == ('l=1,2,3,4', '5,6,7,8')


def test_what_is_no_manifest_is_told(tmp_path):
    with pytest.raises(ValueError, match=r'column video, got path, label in .*; rename path'):
        read_manifest(pa.table({'path': ['a'], 'label': [1]}))
    (tmp_path / 'x.parquet').write_text('hello')
    with pytest.raises(ValueError, match='must be a table in parquet, got'):
        read_manifest(tmp_path / 'x.parquet')
    with pytest.raises(FileNotFoundError, match='must be a file, folder or pattern that is'):
        read_manifest(tmp_path / 'y.csv')
    with pytest.raises(FileNotFoundError, match='must be a file, folder or pattern that is'):
        read_manifest(tmp_path / 'videos')
    with pytest.raises(FileNotFoundError, match='a folder without any'):
        read_manifest(tmp_path)


@pytest.mark.parametrize(
    ('one', 'other'),
    [
        ({'start_s': [0]}, {'start_s': [0.0]}),
        ({'start_s': [2], 'end_s': [3]}, {'start_s': ['2.0'], 'end_s': [3.0]}),
        ({}, {'start_s': [None], 'end_s': [''], 'regions': [[]]}),
        ({'regions': ['1,2,3,4 5,6,7,8']}, {'regions': [['1,2,3,4', '5,6,7,8']]}),
    ],
)
def test_a_video_is_called_the_same_however_its_row_is_written(one, other):
    """A whole number becomes another one when a later row has a fraction."""
    names = [read_manifest(pa.table({'video': ['7'], **more})).ids for more in (one, other)]
    assert names[0] == names[1]


def test_columns_that_results_have_do_not_pass_through(tmp_path):
    table = pa.table({'video': ['a'], 'status': ['todo'], 'Reason': ['x'], 'label': ['y']})
    with pytest.warns(UserWarning, match='passed over .*: status, Reason, as results have'):
        manifest = read_manifest(table)
    assert manifest.columns == ['label']


def test_reasons_in_a_manifest_of_failed_videos_are_passed_over(recwarn):
    manifest = read_manifest(pa.table({'video': ['a'], 'reason': ['x'], 'label': ['y']}))
    assert manifest.columns == ['label']
    assert not recwarn


def test_a_column_of_another_spelling_is_not_overlooked():
    with pytest.raises(ValueError, match=r"must be called id, video, .*, got ' ID'"):
        read_manifest(pa.table({'video': ['a'], ' ID': ['x']}))


def test_relative_paths_stay_what_they_are_elsewhere(tmp_path, monkeypatch):
    write(tmp_path / 'videos.csv')
    monkeypatch.chdir(tmp_path)
    assert next(iter(read_manifest('videos.csv'))).video == str(tmp_path / 'a.mp4')


@pytest.mark.parametrize(
    'values', [{'id': [[1]]}, {'video': [{'path': 'a'}]}, {'video': [b'\xff']}]
)
def test_a_name_that_is_no_text_is_told(values):
    with pytest.raises(ValueError, match=f'the column {next(iter(values))} .* must be text, got'):
        read_manifest(pa.table({'video': ['a'], **values}))


def test_regions_of_a_wrong_kind_are_a_fault_of_their_row():
    (item,) = read_manifest(pa.table({'video': ['a'], 'regions': [5]}))
    assert 'regions must be text' in item.fault


@pytest.mark.parametrize('source', [5, [{'video': 'a'}], {'video': ['a']}, [b'a'], [None]])
def test_what_is_no_list_of_paths_is_told(source):
    with pytest.raises(TypeError, match='must be a file, a table or paths, got'):
        read_manifest(source)


def test_a_table_of_another_library_is_one():
    class Frame:
        def __arrow_c_stream__(self, requested_schema=None):
            return pa.table({'video': ['a'], 'label': [1]}).__arrow_c_stream__()

    assert read_manifest(Frame()).columns == ['label']


def test_a_name_that_is_no_text_stops_no_folder(tmp_path):
    for name in (b'a.mp4', b'b\xff.mp4'):
        (tmp_path / os.fsdecode(name)).touch()
    with pytest.warns(UserWarning, match=r'1 videos whose names are no UTF-8, such as .*b.udcff'):
        assert len(read_manifest(tmp_path)) == 1


def test_semicolons_between_columns_are_told(tmp_path):
    (tmp_path / 'excel.csv').write_text('video;id\na.mp4;1\n')
    with pytest.raises(ValueError, match='put commas between the columns'):
        read_manifest(tmp_path / 'excel.csv')


def test_commas_at_the_end_of_lines_make_no_columns(tmp_path):
    (tmp_path / 'excel.csv').write_text('video,label,,\na.mp4,x,,\n')
    assert read_manifest(tmp_path / 'excel.csv').columns == ['label']
