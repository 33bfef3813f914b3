"""tools/data/ucf_sports: folders of classes become tables, split by recording, balanced."""

import csv
import importlib
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mmotion.cli import main
from mmotion.registry import DATASETS
from mmotion.video import VideoFrame, inspect_video
from mmotion.video.scan import FrameIndex
from projects.anomaly.data import SUBSETS, AnomalyClipDataset
from projects.anomaly.transforms import Augmentation
from tests.video_files import encode, paint, truncate

SCRIPTS = Path(__file__).resolve().parents[2] / 'tools' / 'data' / 'ucf_sports'
# a part of UCF Sports, as its archive has it: three recordings of golf from two sides, and so on
FILES = (
    'Golf-Swing-Back/001/3283-8_700741.avi',
    'Golf-Swing-Back/002/3283-8_701201.avi',
    'Golf-Swing-Front/001/7608-12_70275.avi',
    'Golf-Swing-Front/002/7616-7_70(2)270.avi',
    'Run-Side/001/5238-17_70158.avi',
    'Lifting/001/3528-8_70514.avi',
    'Walk-Front/001/3206-12_70000.avi',
)
PLAIN = ('--workers', 1)


@pytest.fixture(autouse=True)
def _find_scripts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(SCRIPTS))


def prepare(*arguments: object) -> int:
    return main(['prepare', 'ucf-sports', *map(str, (*arguments, *PLAIN))])


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline='') as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope='module')
def videos(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """A good video in each container."""
    folder = tmp_path_factory.mktemp('source')
    codecs = {'.avi': 'mpeg4', '.mp4': 'libx264'}
    return {
        suffix: encode(folder / f'a{suffix}', codec=codec, bf='0').read_bytes()
        for suffix, codec in codecs.items()
    }


@pytest.fixture
def archive(tmp_path: Path, videos: dict[str, bytes]) -> Path:
    """The folder that the archive of UCF Sports unpacks to."""
    root = tmp_path / 'downloads'
    for name in FILES:
        path = root / 'ucf_sports_actions' / 'ucf action' / name
        path.parent.mkdir(parents=True)
        path.write_bytes(videos['.avi'])
    (root / '__MACOSX').mkdir()
    return root


@pytest.fixture
def folder(tmp_path: Path, videos: dict[str, bytes]) -> Path:
    """Ten normal videos of two classes and three of another."""
    root = tmp_path / 'folder'
    for name, count in (('sit', 4), ('stand', 6), ('fall', 3)):
        (root / name).mkdir(parents=True)
        for i in range(count):
            (root / name / f'{i}.mp4').write_bytes(videos['.mp4'])
    return root


def test_ucf_sports_needs_one_command(
    archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / 'out'
    assert prepare(archive, out) == 0
    rows = {part: read(out / f'{part}.csv') for part in ('train', 'val', 'test', 'anomaly')}
    assert {row['CLASS'] for row in rows['anomaly']} == {'Lifting', 'Walk-Front'}
    assert {row['CLASS'] for row in rows['train']} == {'Golf-Swing', 'Run-Side'}
    labels = {(row['CLASS'], row['LABEL']) for part in rows.values() for row in part}
    assert labels == {('Golf-Swing', '0'), ('Run-Side', '1'), ('Lifting', '2'), ('Walk-Front', '3')}
    # what is measured is as it is, and what sets the threshold
    assert {row['AUGMENT'] for part in ('val', 'test') for row in rows[part]} == {''}
    # both parts of the recording are on one side
    golf = {row['VIDEO'] for part in ('train', 'val', 'test') for row in rows[part]}
    assert golf == {'3283-8', '7608-12', '7616-7', '5238-17'}

    printed = capsys.readouterr().out
    assert "a recording stays in one part; --group-pattern '' splits by file" in printed
    assert 'Run-Side: train 200 clips of 1 videos\n  of 1 recordings none is left for' in printed
    assert '7 videos in' in printed

    info = inspect_video(out / rows['train'][0]['PATH'])
    assert (info.num_frames, info.fps, info.path.suffix) == (24, 30, '.mp4')
    files = {part: str(out / f'{part}.csv') for part in rows}
    dataset = AnomalyClipDataset(pipeline=[], data_root=str(out), ann_files=files)
    assert len(dataset) == sum(map(len, rows.values()))


def test_what_is_converted_stays(archive: Path, tmp_path: Path) -> None:
    assert prepare(archive, tmp_path / 'out') == 0
    before = {path: path.stat().st_mtime_ns for path in tmp_path.glob('out/videos/**/*.mp4')}
    tables = {path.name: path.read_text() for path in tmp_path.glob('out/*.csv')}
    assert len(before) == 7
    assert prepare(archive, tmp_path / 'out') == 0
    assert before == {path: path.stat().st_mtime_ns for path in before}
    assert tables == {path.name: path.read_text() for path in tmp_path.glob('out/*.csv')}


def test_any_folder_stays_where_it_is(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / 'out'
    assert prepare(folder, out, '--normal-classes', 'sit', 'STAND', '--val-clips', 0) == 0
    rows = {part: read(out / f'{part}.csv') for part in ('train', 'val', 'test', 'anomaly')}
    said = capsys.readouterr().out
    assert 'val has 2 normal recordings, and a false-alarm rate of 0.05 needs 19' in said
    assert '--val-share' in said and '--cfg-options model.false_alarm_rate=0.34' in said
    assert {row['CLASS'] for row in rows['anomaly']} == {'fall'}
    assert all(row['PATH'].startswith(f'{folder}/') for part in rows.values() for row in part)
    assert not (out / 'videos').exists()
    counts = {part: Counter(row['CLASS'] for row in rows[part]) for part in rows}
    assert counts['train'] == {'sit': 200, 'stand': 200}
    assert counts['val'] == counts['test'] == {'sit': 1, 'stand': 1}
    # no video, and so none of its augmentations, is in two tables
    places = [{row['PATH'] for row in part} for part in rows.values()]
    assert sum(map(len, places)) == len(set().union(*places)) == 13


def test_what_is_broken_or_empty_is_listed(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    truncate(folder / 'sit' / '0.mp4', folder / 'sit' / 'cut.mp4', part=0.9)
    (folder / 'stand' / 'empty.avi').touch()
    encode(folder / 'fall' / 'one.mp4', [paint(0)])
    (folder / 'stand' / '009').mkdir()
    (folder / 'stand' / '009' / '0001.jpg').touch()
    (folder / 'stand' / '._0.mp4').touch()
    assert prepare(folder, tmp_path / 'out', '--anomaly-classes', 'fall') == 0
    dropped = {Path(row['PATH']).name: row['PROBLEM'] for row in read(tmp_path / 'out/dropped.csv')}
    assert dropped.keys() == {'cut.mp4', 'empty.avi', 'one.mp4', '009'}
    assert 'must not be empty' in dropped['empty.avi']
    assert dropped['one.mp4'] == 'a video must have 2 frames at least, got 1'
    assert dropped['009'] == 'no video is in this folder'
    printed = capsys.readouterr().out
    assert f'dropped {folder}/stand/empty.avi: a video must not be empty' in printed
    assert '13 videos in' in printed and '4 dropped' in printed


def test_a_video_that_loses_frames_is_not_converted(
    tmp_path: Path, videos: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / 'a.avi'
    source.write_bytes(videos['.avi'])
    module = importlib.import_module('prepare')
    assert module.convert(source, tmp_path / 'good.mp4') == ''
    decode = module.choose_decoder(None)

    def lose_two(index: FrameIndex, numbers: np.ndarray) -> Iterator[VideoFrame]:
        return decode(index, numbers[2:])

    monkeypatch.setattr(module, 'choose_decoder', lambda backend: lose_two)
    assert module.convert(source, tmp_path / 'bad.mp4') == 'only 22 of 24 frames are good'
    assert not (tmp_path / 'bad.mp4').exists()


def clips(**groups: str) -> list[Any]:
    """Clips of each class, one for each letter, which is its recording."""
    module = importlib.import_module('splitting')
    return [
        module.Clip(f'{name}/{group}{i}.mp4', name, group)
        for name, letters in groups.items()
        for i, group in enumerate(letters)
    ]


def parts_of(members: list[Any], parts: dict[str, str]) -> dict[str, Counter[str]]:
    """Clips of each class in each part."""
    found: dict[str, Counter[str]] = defaultdict(Counter)
    for clip in members:
        found[clip.class_name][parts[clip.group]] += 1
    return found


@pytest.mark.parametrize('seed', range(4))
def test_recordings_are_split_alike_in_all_classes(seed: int) -> None:
    split = importlib.import_module('splitting').split_groups
    members = clips(a='ABCDEFGHIJ', b='KKLLMMNNOO', c='PQ', d='R')
    parts = split(members, 0.2, 0.2, seed=seed)
    assert parts_of(members, parts) == {
        'a': {'train': 6, 'val': 2, 'test': 2},
        'b': {'train': 6, 'val': 2, 'test': 2},
        # what is left out first is testing, then validation
        'c': {'train': 1, 'val': 1},
        'd': {'train': 1},
    }
    assert parts == split(members[::-1], 0.2, 0.2, seed=seed)
    assert parts != split(members, 0.2, 0.2, seed=seed + 1)


@pytest.mark.parametrize('seed', range(4))
def test_recordings_may_have_several_classes(seed: int) -> None:
    split = importlib.import_module('splitting').split_groups
    members = clips(few='AB', many='ABCDEFGHIJ')
    found = parts_of(members, split(members, 0.2, 0.2, seed=seed))
    assert found == {
        'few': {'train': 1, 'val': 1},
        'many': {'train': 6, 'val': 2, 'test': 2},
    }
    # two recordings of which both went to val would leave one of w to z nothing to train on
    members = clips(a='AB', b='CD', w='AC', x='AD', y='BC', z='BD')
    found = parts_of(members, split(members, 0.2, 0.2, seed=seed))
    assert all(counts['train'] for counts in found.values())


def test_classes_are_balanced_by_augmentation() -> None:
    balance = importlib.import_module('splitting').balance
    members = clips(a='ABC')
    kinds = ('flip', 'crop', 'speed', 'color')
    made = balance(members, 8, kinds=kinds, seed=0)
    assert [augment == '' for _, augment in made] == [True] * 3 + [False] * 5
    assert sorted(Counter(clip.group for clip, _ in made).values()) == [2, 3, 3]
    assert len(set(made)) == 8
    assert made == balance(members[::-1], 8, kinds=kinds, seed=0)
    assert made != balance(members, 8, kinds=kinds, seed=1)
    # as there are, and fewer than there are
    assert balance(members, 0, kinds=kinds, seed=0) == [(clip, '') for clip in members]
    assert len(balance(members, 2, kinds=kinds, seed=0)) == 2
    # one video and its mirror image
    assert [text for _, text in balance(members[:1], 8, kinds=['flip'], seed=0)] == ['', 'flip']


def test_augmentations_are_moderate() -> None:
    balance = importlib.import_module('splitting').balance
    texts = [text for _, text in balance(clips(a='A'), 300, kinds=['crop', 'speed'], seed=0)]
    drawn = [Augmentation.parse(text) for text in texts[1:]]
    assert len(drawn) == 299
    assert not any(one.flip or one.color != Augmentation().color for one in drawn)
    assert 0.8 <= min(one.crop[2] for one in drawn) < max(one.crop[2] for one in drawn) <= 1
    assert 0.8 <= min(one.speed for one in drawn) < 1 < max(one.speed for one in drawn) <= 1.25


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        pytest.param([], 'must be given for a folder that is not UCF Sports', id='classes'),
        pytest.param(['--normal-classes', 'sleep'], 'got sleep; the classes are fall,', id='name'),
        pytest.param(
            ['--normal-classes', 'sit', '--anomaly-classes', 'sit'], 'sit in both', id='both'
        ),
        pytest.param(['--anomaly-classes', 'sit', 'stand', 'fall'], 'got 0 normal', id='normal'),
        pytest.param(['--val-share', 0.6, '--test-share', 0.6], 'their sum below 1', id='share'),
        pytest.param(['--val-share', 0], '--val-share must be above 0', id='val'),
        pytest.param(['--train-clips', -1], '--train-clips must be at least 0', id='clips'),
        pytest.param(['--group-pattern', '('], 'must be a regular expression', id='pattern'),
        pytest.param(['--merge', 'sit'], '--merge must be NAME=PATTERN, got sit', id='merge'),
        pytest.param(
            ['--normal-classes', 'sit', '--group-pattern', 'mp4'],
            'val must have a normal video at least, got none of 1 recordings',
            id='recordings',
        ),
    ],
)
def test_wrong_use(
    folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list,
    message: str,
) -> None:
    assert prepare(folder, tmp_path / 'out', *arguments) == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.glob('out/t*.csv'))


def test_a_source_must_be_a_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert prepare(tmp_path / 'none', tmp_path / 'out') == 2
    assert 'SOURCE must be a folder of class folders' in capsys.readouterr().err


def test_real_videos(data_root: Path, tmp_path: Path) -> None:
    """Clips of Weizmann, one class of which is unusual."""
    source = data_root / 'actions' / 'weizmann'
    assert prepare(source, tmp_path, '--anomaly-classes', 'bend', '--train-clips', 8) == 0
    files = {part: str(tmp_path / f'{part}.csv') for part in SUBSETS}
    pipeline = [
        {'type': 'SampleClip', 'num_frames': 2, 'stride': 8},
        {'type': 'DecodeClip'},
        {'type': 'AugmentClip'},
        {'type': 'FormatShape', 'input_format': 'NCTHW'},
        {'type': 'PackActionInputs', 'meta_keys': ('subset', 'class_name')},
    ]
    options = {'pipeline': pipeline, 'ann_files': files, 'test_mode': True}
    dataset = DATASETS.build({'type': 'AnomalyClipDataset', **options})
    assert dataset.metainfo['classes'] == ['jack', 'wave1', 'wave2', 'bend']
    last = dataset[len(dataset) - 1]
    assert (last['data_samples'].subset, last['data_samples'].class_name) == ('anomaly', 'bend')
    assert last['inputs'].shape[:3] == (1, 3, 2)
