"""The tables of Countix, wrong use of its scripts, and the check of its videos."""

import csv
import importlib
import importlib.util
import shutil
from pathlib import Path

import pytest

from mmotion.cli import main
from tests.video_files import encode, paint, truncate

SCRIPTS = Path(__file__).resolve().parents[2] / 'tools' / 'data' / 'countix'
HEADER = 'video_id,class,kinetics_start,kinetics_end,repetition_start,repetition_end,count'
ROW = 'aaaaaaaaaaa,squat,5,15,6.0,14.5,4'


@pytest.fixture(autouse=True)
def _find_scripts(monkeypatch):
    monkeypatch.syspath_prepend(str(SCRIPTS))


def start(script: str, *arguments: str | Path) -> int:
    return main(['prepare', 'countix', script, *map(str, arguments)])


@pytest.mark.parametrize(
    ('split', 'num_rows', 'num_videos'),
    [('train', 4511, 4053), ('val', 1434, 1271), ('test', 2647, 2411)],
)
def test_the_official_files_are_read_whole(data_root, split, num_rows, num_videos):
    table = importlib.import_module('countix_table')
    rows = table.read_countix(data_root / 'annotations' / 'countix' / f'countix_{split}.csv')
    assert len(rows) == num_rows
    assert len({row.video for row in rows}) == num_videos


@pytest.mark.parametrize(
    ('lines', 'message'),
    [
        pytest.param(
            [HEADER.replace(',count', ''), ROW[:-2]],
            'CSV must have the columns video_id, .*, got .* without count; take the official',
            id='missing_column',
        ),
        pytest.param([HEADER], 'CSV must have a row at least, got none in .*; ', id='no_row'),
        pytest.param([], 'CSV must have the columns', id='empty_file'),
        pytest.param(
            [HEADER, ROW[:-2]], 'a row must have a value for each of 7 columns, .* line 2', id='gap'
        ),
        pytest.param([HEADER, ROW + ',1'], 'got 8 values in line 2', id='too_many'),
        pytest.param(
            [HEADER, ROW.replace('aaaaaaaaaaa', '../aaaaaaaa')],
            "video_id must be the 11 characters of a YouTube id, got '../aaaaaaaa' in line 2 of",
            id='path_as_id',
        ),
        pytest.param(
            [HEADER, ROW, ROW.replace('5,15', 'x,15')],
            "must be a whole number from 0 on, got kinetics_start='x' in line 3 of .*; correct it",
            id='no_number',
        ),
        pytest.param(
            [HEADER, ROW.replace(',5,', ',-5,')],
            "kinetics_start must .* got kinetics_start='-5'",
            id='negative',
        ),
        pytest.param(
            [HEADER, ROW.replace('14.5', 'nan')],
            "repetition_end must .* got repetition_end='nan'",
            id='nan',
        ),
        pytest.param(
            [HEADER, ROW.replace(',5,', ',5.5,')],
            "kinetics_start must be a whole number from 0 on, got kinetics_start='5.5'",
            id='part_of_a_second',
        ),
        pytest.param(
            [HEADER, ROW[:-1] + '4.5'],
            "count must be a whole number .* got count='4.5'",
            id='count',
        ),
        pytest.param(
            [HEADER, ROW.replace('5,15', '15,5')],
            'an interval must begin before it ends, got 15 to 5 s .* in line 2',
            id='order',
        ),
        pytest.param(
            [HEADER, ROW.replace('14.5', '16')],
            'must lie in the Kinetics interval, got 6 to 16 s outside 5 to 15 s in line 2',
            id='outside',
        ),
    ],
)
def test_bad_tables_are_refused(tmp_path, capsys, lines, message):
    path = tmp_path / 'countix.csv'
    path.write_text('\n'.join(lines))
    with pytest.raises(ValueError, match=message):
        importlib.import_module('countix_table').read_countix(path)
    for script in ('download', 'check'):
        assert start(script, path, tmp_path) == 2
        assert 'mmotion: error: ' in capsys.readouterr().err


def test_a_table_of_a_spreadsheet_is_read(tmp_path):
    path = tmp_path / 'countix.csv'
    path.write_text(f'\ufeff{HEADER}\r\n{ROW}\r\n', encoding='utf-8', newline='')
    (row,) = importlib.import_module('countix_table').read_countix(path)
    assert row.video.file_name(trimmed=True) == 'aaaaaaaaaaa_000005_000015.mp4'
    path.write_bytes(b'\xff\xfe\x00')
    with pytest.raises(ValueError, match='CSV must be a CSV file in UTF-8, got '):
        importlib.import_module('countix_table').read_countix(path)


def test_wrong_use_is_refused_before_any_work(tmp_path, capsys, monkeypatch):
    path, out = tmp_path / 'countix.csv', tmp_path / 'out'
    path.write_text(f'{HEADER}\n{ROW}\n')
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, 'find_spec', lambda n: None if n == 'yt_dlp' else find(n))
    monkeypatch.setattr(shutil, 'which', lambda name: None)

    def refuse(*arguments: str | Path, script: str = 'download') -> str:
        assert start(script, *arguments) == 2
        return capsys.readouterr().err

    assert 'pip install "mmotion[download]"' in refuse(path, out)
    assert '--cookies must be a file' in refuse(path, out, '--cookies', tmp_path / 'none')
    assert 'CSV must be a file' in refuse(tmp_path / 'none.csv', out)
    assert 'OUT must be a folder' in refuse(path, path)
    assert 'download them first: mmotion prepare countix download' in refuse(
        path, out, script='check'
    )
    assert not out.exists()
    for option in (['--workers', '0'], ['--rate-limit', 'fast'], ['--limit', '-1']):
        assert start('download', path, out, *option) == 2
        assert 'must be' in capsys.readouterr().err

    out.mkdir()
    (out / 'manifest.csv').write_text('a,b\n')
    assert 'manifest.csv without video_id, status, reason, file, seconds; delete' in refuse(
        path, out
    )
    (out / 'manifest.csv').write_text('video_id,status,reason,file,seconds\na,b\n')
    assert 'manifest.csv; delete it, the videos stay' in refuse(path, out)


def test_a_folder_is_used_by_one_download_at_a_time(tmp_path, monkeypatch):
    download = importlib.import_module('download')
    path = tmp_path / 'countix.csv'
    path.write_text(f'{HEADER}\n{ROW}\n')
    monkeypatch.setattr(download, 'find_downloader', lambda: ['false'])
    message = 'must not be in use by another process, got process .*; wait for that download'
    with download._hold(tmp_path), pytest.raises(ValueError, match=message):
        download.main([str(path), str(tmp_path)])


def test_the_program_on_the_path_is_used_where_there_is_no_package(monkeypatch):
    monkeypatch.setattr(importlib.util, 'find_spec', lambda name: None)
    monkeypatch.setattr(shutil, 'which', lambda name: f'/bin/{name}')
    assert importlib.import_module('video_fetcher').find_downloader() == ['/bin/yt-dlp']


def test_good_rows_are_kept_and_the_others_named(tmp_path, capsys):
    names = [letter * 11 for letter in 'abcdef']
    files = [tmp_path / f'{name}_000005_000015.mp4' for name in names]
    path = tmp_path / 'countix.csv'
    rows = [f'{name},squat,5,15,6.0,14.5,4' for name in names]
    # the end of a short video is enough for this one
    rows.append(f'{names[1]},squat,5,15,5.0,9.0,2')
    path.write_text('\n'.join([HEADER, *rows, '']))
    ten = [paint(number) for number in range(10)]
    encode(files[0], ten, fps=1)
    encode(files[1], ten[:4], fps=1)
    truncate(files[0], files[2], part=0.4)
    encode(files[3], ten, fps=1, movflags='faststart')
    truncate(files[3], files[3], part=0.8)
    (tmp_path / 'manifest.csv').write_text(
        'video_id,status,reason,file,seconds\n'
        f'{names[4]},failed,"private: Private video, sign in",{files[4].name},\n'
    )
    assert start('check', path, tmp_path) == 1
    printed = capsys.readouterr().out.splitlines()
    assert len(printed) == 6
    short, broken, damaged, private, missing, summary = printed
    assert short == (f'{files[1].name}: short, it lasts 4.0 s and the repetitions end at 9.5 s')
    assert broken.startswith(f'{files[2].name}: broken, ')
    assert damaged.startswith(f'{files[3].name}: broken, ')
    assert private == f'{files[4].name}: missing, private: Private video, sign in'
    assert missing == f'{files[5].name}: missing, not downloaded'
    assert summary.startswith('2 of 7 videos available, in 2 of 6 files; ')
    with open(tmp_path / 'available.csv', newline='') as file:
        assert [','.join(row) for row in csv.reader(file)] == [HEADER, rows[0], rows[6]]

    path.write_text(f'{HEADER}\n{rows[0]}\n')
    assert start('check', path, tmp_path) == 0
    assert '1 of 1 videos available' in capsys.readouterr().out
