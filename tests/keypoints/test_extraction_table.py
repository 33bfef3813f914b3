from pathlib import Path

import pytest

from mmotion.keypoints.extraction_table import ExtractionTable, Job, Outcome, plan_jobs

TABLE = 'extraction.csv'
HEADER = 'video,status,reason,file,frames,with_people,settings\n'


def touch(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


@pytest.fixture
def videos(tmp_path):
    folder = tmp_path / 'videos'
    for name in ('squat/good.mp4', 'squat/cut.mp4', 'lunge/good.mp4', 'lunge/notes.txt'):
        touch(folder / name)
    return folder


def make_outcome(job: Job, *, status: str = 'done', reason: str = '') -> Outcome:
    video, file = str(job.video.resolve()), job.file.as_posix()
    return Outcome(video, status, reason, file, '5', '4', 'every 5')


def test_outputs_keep_the_folders_of_a_folder(videos):
    jobs = plan_jobs([str(videos), str(videos / 'squat' / 'good.mp4')])
    files = {job.file.as_posix() for job in jobs}
    assert files == {'lunge/good.json', 'squat/cut.json', 'squat/good.json'}


def test_files_of_one_name_are_numbered(videos):
    jobs = plan_jobs([str(videos / '*' / 'good.mp4')])
    assert [job.file.name for job in jobs] == ['good.json', 'good_2.json']


def test_rows_are_read_again(tmp_path):
    path, (job,) = tmp_path / 'out' / TABLE, plan_jobs([str(touch(tmp_path / 'clip.mp4'))])
    outcome = make_outcome(job, reason='a, "quoted" reason')
    ExtractionTable(path).record(outcome)
    assert ExtractionTable(path).outcomes == {'clip.json': outcome}


def test_done_are_those_with_a_file_and_the_same_settings(tmp_path):
    table, (job,) = (
        ExtractionTable(tmp_path / TABLE),
        plan_jobs([str(touch(tmp_path / 'clip.mp4'))]),
    )
    assert not table.is_done(job, 'every 5')
    table.record(make_outcome(job))
    assert not table.is_done(job, 'every 5')
    (tmp_path / 'clip.json').touch()
    assert table.is_done(job, 'every 5')
    assert not table.is_done(job, 'every 2')
    table.record(make_outcome(job, status='failed'))
    assert not table.is_done(job, 'every 5')


def test_another_video_of_the_name_is_not_written_over(videos, tmp_path):
    table = ExtractionTable(tmp_path / TABLE)
    squat, lunge = (plan_jobs([str(videos / name / 'good.mp4')]) for name in ('squat', 'lunge'))
    table.record(make_outcome(squat[0]))
    table.check_owners(squat)
    with pytest.raises(ValueError, match=r'good\.json must not be written over.*another --out'):
        table.check_owners(lunge)


@pytest.mark.parametrize(
    'text',
    [
        pytest.param('a,b\n1,2\n', id='columns'),
        pytest.param(f'{HEADER}1,2\n', id='short_row'),
        pytest.param(f'{HEADER}1,2,3,4,5,6,7,8\n', id='long_row'),
        pytest.param(b'\xff\xfe\x00', id='binary'),
    ],
)
def test_a_table_that_is_none(tmp_path, text):
    path = tmp_path / TABLE
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ValueError, match=r'(of an extraction|a row) must .*, got .*; delete it'):
        ExtractionTable(path)


@pytest.mark.parametrize('name', ['clip.mp4', 'two\nlines "of".mp4'])
def test_a_torn_last_row_is_dropped(tmp_path, name):
    path, (job, last) = tmp_path / 'o' / TABLE, (Job(tmp_path / n, Path(n)) for n in ('a', name))
    table = ExtractionTable(path)
    table.record(make_outcome(job))
    size = path.stat().st_size
    table.record(make_outcome(last))
    content = path.read_bytes()
    for end in range(size, len(content)):
        path.write_bytes(content[:end])
        torn = ExtractionTable(path)
        assert list(torn.outcomes) == ['a'], content[:end]
        # and what comes next does not end up on its line
        torn.record(make_outcome(last))
        assert path.read_bytes() == content


def test_a_row_is_added_without_writing_the_others_again(tmp_path):
    table = ExtractionTable(tmp_path / TABLE)
    a, b = (Job(tmp_path / f'{name}.mp4', Path(f'{name}.json')) for name in 'ab')
    table.record(make_outcome(a, status='failed'))
    file = table.path.stat().st_ino
    table.record(make_outcome(b))
    table.record(make_outcome(a))
    assert table.path.stat().st_ino == file
    assert ExtractionTable(table.path).outcomes == table.outcomes
    table.compact()
    assert table.path.read_text().count('\n') == 3
    assert ExtractionTable(table.path).outcomes == table.outcomes


def test_a_row_that_could_not_be_added_leaves_the_table_whole(tmp_path, monkeypatch):
    table = ExtractionTable(tmp_path / TABLE)
    a, b, c = (Job(tmp_path / f'{name}.mp4', Path(f'{name}.json')) for name in 'abc')
    table.record(make_outcome(a))

    def fill_the_disk(path, values):
        with path.open('a') as file:
            file.write('"half a')
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr('mmotion.keypoints.extraction_table.append_row', fill_the_disk)
    with pytest.raises(OSError, match='No space left'):
        table.record(make_outcome(b))
    assert list(ExtractionTable(table.path).outcomes) == ['a.json']
    table.record(make_outcome(c))
    assert list(ExtractionTable(table.path).outcomes) == ['a.json', 'b.json', 'c.json']
