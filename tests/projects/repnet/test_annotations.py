"""Tables of real data sets: what they say, what is odd in them, and the labels of frames."""

import gzip
from pathlib import Path

import numpy as np
import pytest

from mmotion.video import VideoError
from mmotion.video.scan import FrameIndex, VideoInfo
from projects.repnet.annotations import (
    RepetitionAnnotation,
    label_frames,
    read_countix_csv,
    read_cycles_csv,
)
from tests.repetition_files import write_table

COUNTIX = 'video_id,kinetics_start,kinetics_end,repetition_start,repetition_end,count'


def make_index(num_frames: int, fps: float = 10.0) -> FrameIndex:
    """A video of a constant rate, as a scan of it would describe it."""
    return FrameIndex(
        info=VideoInfo(Path('video.mp4'), fps, num_frames, 32, 32, num_frames / fps),
        times_s=np.arange(num_frames) / fps,
        timestamps=None,
        keyframes=np.array([0]),
        orientation=None,  # pyright: ignore[reportArgumentType]
        is_plain=True,
        damage=None,
        num_lost=0,
    )


@pytest.mark.parametrize(
    ('table', 'num_rows'),
    [
        pytest.param('countix_train.csv', 4511, id='train'),
        pytest.param('countix_val.csv', 1434, id='val'),
        pytest.param('countix_test.csv', 2647, id='test'),
    ],
)
def test_official_countix_tables_parse_whole(data_root: Path, table: str, num_rows: int) -> None:
    annotations = read_countix_csv(data_root / 'annotations' / 'countix' / table)
    assert len(annotations) == num_rows
    assert all(a.interval is not None and 0 <= a.interval[0] < a.interval[1] for a in annotations)


@pytest.mark.parametrize(
    ('table', 'first_frame', 'num_rows'),
    [
        # of 758 rows one has neither a count nor a cycle
        pytest.param('repcount_a/train_with_fps.csv', 0, 757, id='repcount-train'),
        pytest.param('repcount_a/valid_with_fps.csv', 0, 131, id='repcount-valid'),
        pytest.param('repcount_a/test_with_fps.csv', 0, 152, id='repcount-test'),
        pytest.param('ucfrep/new_train.csv', 1, 421, id='ucfrep-train'),
        pytest.param('ucfrep/new_val.csv', 1, 105, id='ucfrep-val'),
        pytest.param('countix_percycle/new_val.csv.gz', 1, 1406, id='countix-cycles'),
    ],
)
def test_real_tables_of_cycles_parse_whole(
    data_root: Path, tmp_path: Path, table: str, first_frame: int, num_rows: int
) -> None:
    path = data_root / 'annotations' / table
    if path.suffix == '.gz':
        (tmp_path / 'table.csv').write_bytes(gzip.decompress(path.read_bytes()))
        path = tmp_path / 'table.csv'
    annotations = read_cycles_csv(path, first_frame=first_frame)
    assert len(annotations) == num_rows
    for annotation in annotations:
        limits = np.array(annotation.stretches).reshape(-1, 3)[:, :2].ravel()
        assert np.all(np.diff(limits) >= 0)


def test_a_countix_row_knows_its_file_and_the_other_rows_in_it(tmp_path: Path) -> None:
    rows = [['abcdefghijk', 17, 27, 18.5, 20.5, 4], ['abcdefghijk', 17, 27, 22, 25, 3]]
    first, second = read_countix_csv(write_table(tmp_path / 'c.csv', COUNTIX, rows))
    assert first.file == 'abcdefghijk_000017_000027.mp4'
    assert (first.interval, first.count) == ((1.5, 3.5), 4)
    assert (second.interval, second.count) == ((5, 8), 3)
    assert first.stretches == second.stretches == ((1.5, 3.5, 4), (5, 8, 3))


@pytest.mark.parametrize(
    ('header', 'row', 'message'),
    [
        pytest.param('video_id,count', ['a', 1], 'without kinetics_start', id='column'),
        pytest.param(
            COUNTIX, ['a', 0, 10, 'x', 5, 4], "repetition_start .*'x' in line 2", id='word'
        ),
        pytest.param(COUNTIX, ['a', 0, 10, 5, 5, 4], 'end after they start.*line 2', id='order'),
        pytest.param(COUNTIX, ['a', 0, 10, 1, 5, 0], 'count=0 in line 2', id='no-count'),
    ],
)
def test_wrong_countix_tables_are_refused(
    tmp_path: Path, header: str, row: list, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        read_countix_csv(write_table(tmp_path / 'c.csv', header, [row]))


@pytest.mark.parametrize(
    ('limits', 'cycles'),
    [
        pytest.param([0, 10, 12, 20], [(0, 10), (12, 20)], id='pause'),
        pytest.param([0, 10, '', ''], [(0, 10)], id='blank'),
        pytest.param([0, 10, 10, ''], [(0, 10)], id='odd-number'),
        pytest.param([0, 10, 20, 20], [(0, 10)], id='empty'),
        pytest.param([0, 10, 20, 15], [(0, 10)], id='decreasing'),
        pytest.param([0, 10, 8, 15], [(0, 10), (10, 15)], id='overlapping'),
    ],
)
def test_cycles_are_read_as_far_as_they_are_in_order(
    tmp_path: Path, limits: list, cycles: list
) -> None:
    path = write_table(tmp_path / 'c.csv', 'name,count,L1,L2,L3,L4', [['a.mp4', 2, *limits]])
    (annotation,) = read_cycles_csv(path)
    assert annotation.stretches == tuple((*cycle, 1) for cycle in cycles)
    assert annotation.count == 2


def test_odd_rows_are_logged_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    logged = []
    monkeypatch.setattr(
        'projects.repnet.annotations.print_log', lambda text, **options: logged.append(text)
    )
    rows = [['good', 1, 0, 10], ['more', 3, 0, 10], ['blank', '', 0, 10], ['nothing', '', '', '']]
    annotations = read_cycles_csv(write_table(tmp_path / 'c.csv', 'name,count,L1,L2', rows))
    assert [(a.file, a.count) for a in annotations] == [('good', 1), ('more', 3), ('blank', 1)]
    assert len(logged) == 1
    assert '3 rows contradict themselves: more (count 3.0, 2 limits, 1 good cycles)' in logged[0]


def test_ucfrep_counts_frames_from_one(tmp_path: Path) -> None:
    header, row = 'name,counts,start_frame,end_frame,L1,L2', ['UCF-101/A/v.avi', 1, 4, 20, 4, 20]
    (annotation,) = read_cycles_csv(write_table(tmp_path / 'c.csv', header, [row]), first_frame=1)
    assert annotation.interval == (3, 20)
    assert annotation.stretches == ((3, 19, 1),)


def test_the_period_of_a_counted_interval_is_its_length_over_its_count() -> None:
    annotation = RepetitionAnnotation('a', 4, ((1.0, 3.0, 4),), (1.0, 3.0), in_seconds=True)
    labels, interval = label_frames(annotation, make_index(50, fps=10))
    assert interval == (10, 30)
    assert labels.cycles is None
    np.testing.assert_allclose(labels.period, [0] * 10 + [5] * 20 + [0] * 20)


def test_the_period_of_a_cycle_is_its_length() -> None:
    annotation = RepetitionAnnotation('a', 2, ((2, 6, 1), (8, 18, 1)), phase_known=True)
    labels, interval = label_frames(annotation, make_index(20))
    assert interval == (0, 20)
    np.testing.assert_allclose(labels.period, [0] * 2 + [4] * 4 + [0] * 2 + [10] * 10 + [0] * 2)
    cycles = [0, 0, 0, 0.25, 0.5, 0.75, 1, 1, *np.linspace(1, 2, 11), 2]
    np.testing.assert_allclose(labels.cycles, cycles)


def test_a_video_without_repetition_has_labels_too() -> None:
    labels, _ = label_frames(RepetitionAnnotation('a', 0, (), phase_known=True), make_index(20))
    assert not labels.period.any()
    assert labels.cycles is not None and not labels.cycles.any()


def test_a_video_that_ends_before_the_interval_is_refused() -> None:
    annotation = RepetitionAnnotation('a', 4, ((6, 8, 4),), (6, 8), in_seconds=True)
    with pytest.raises(VideoError, match=r'must contain the interval .* and 5\.00 s, 50 frames'):
        label_frames(annotation, make_index(50))
