"""JSON results and summaries of `mmotion predict` in the columns of a corpus."""

import pytest

from mmotion.corpus.single_results import read_single_results

SUMMARY = """video,status,region,count,gait,taken_s,reason
a.mp4,ok,left,3,walk,2.5,
a.mp4,ok,right,4.5,run,2.5,
b.mp4,skipped,,,,,
'-c.mp4,failed,,,,,the video must be whole
"""


def test_a_summary_alone(tmp_path):
    path = tmp_path / 'summary.csv'
    path.write_text(SUMMARY)
    names = ('id', 'status', 'region', 'count', 'gait', 'seconds', 'reason')
    rows = read_single_results(path).select(names).to_pylist()
    assert [tuple(row.values()) for row in rows] == [
        ('a.mp4', 'ok', 'left', 3.0, 'walk', 2.5, None),
        # the seconds are of the video, not of a part of its picture
        ('a.mp4', 'ok', 'right', 4.5, 'run', None, None),
        ('b.mp4', 'ok', None, None, None, None, None),
        ('-c.mp4', 'failed', None, None, None, None, 'the video must be whole'),
    ]


@pytest.mark.parametrize(
    ('make', 'error', 'message'),
    [
        pytest.param(lambda path: path / 'no', FileNotFoundError, 'is there, got', id='none'),
        pytest.param(lambda path: path, ValueError, 'without a result', id='empty folder'),
        pytest.param(
            lambda path: (path / 'a.json').write_text('{}') and path,
            ValueError,
            'without a result',
            id='other JSON',
        ),
    ],
)
def test_what_is_no_result_is_refused(tmp_path, make, error, message):
    with pytest.raises(error, match=message):
        read_single_results(make(tmp_path))


def test_a_table_of_something_else_is_refused(tmp_path):
    path = tmp_path / 'other.csv'
    path.write_text('name,age\na,3\n')
    with pytest.raises(ValueError, match='a summary must have the columns video, status'):
        read_single_results(path)
