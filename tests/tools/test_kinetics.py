"""The scripts of tools/data/kinetics: any layout into any other, and every file checked."""

import argparse
import csv
import importlib
from pathlib import Path

import pytest

from mmotion.cli import main
from projects.timesformer.layouts import VideoList, read_videos
from tests.video_files import encode, truncate

SCRIPTS = Path(__file__).resolve().parents[2] / 'tools' / 'data' / 'kinetics'
FILES = (
    'air drumming/aaaaaaaaaaa_000003_000004.mp4',
    'air drumming/b.mp4',
    'run/b.mp4',
    'run/deep/c.mp4',
)


@pytest.fixture(autouse=True)
def _find_scripts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(SCRIPTS))


def convert(*arguments: object) -> int:
    return main(['prepare', 'kinetics', 'convert-layout', *map(str, arguments)])


def check(*arguments: object) -> int:
    return main(['prepare', 'kinetics', 'check-videos', *map(str, arguments)])


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder of four videos, two of which have the same name."""
    source = encode(tmp_path / 'source.mp4')
    for name in FILES:
        path = tmp_path / 'videos' / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(source.read_bytes())
    return tmp_path / 'videos'


def describe(videos: VideoList) -> set[tuple[Path, str]]:
    """Which files have which class, whatever the layout."""
    return {
        ((videos.root / path).resolve(), videos.classes[label]) for path, label in videos.videos
    }


def name_videos(layout: str, target: Path, root: Path) -> list[object]:
    """The options that say what a written file leaves open."""
    names = ['--classes', target.with_name(f'{target.stem}_classes.txt')]
    return [] if layout == 'folder' else ['--videos', root, *(names if layout == 'list' else [])]


@pytest.mark.parametrize('second', ['list', 'kinetics', 'folder'])
@pytest.mark.parametrize('first', ['list', 'kinetics', 'folder'])
def test_every_layout_becomes_every_other(
    root: Path, tmp_path: Path, first: str, second: str
) -> None:
    middle, end = tmp_path / 'middle', tmp_path / 'end'
    assert convert(root, middle, '--to', first) == 0
    place = middle if first == 'folder' else root
    assert convert(middle, end, '--to', second, *name_videos(first, middle, place)) == 0

    module = importlib.import_module('convert_layout')
    parser = argparse.ArgumentParser()
    module.add_source_options(parser)
    options = parser.parse_args([str(a) for a in (end, *name_videos(second, end, place))])
    assert describe(module.read_source(options)) == describe(read_videos(data_root=root))


def test_the_tiny_sets_txt_becomes_a_csv(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    source = tmp_path / 'kinetics_tiny_train_video.txt'
    source.write_text('run/b.mp4 1\nair drumming/b.mp4 0\n')
    target = tmp_path / 'train.csv'
    assert convert(source, target, '--to', 'list', '--videos', root, '--absolute') == 0
    assert target.read_text() == f'{root}/run/b.mp4 1\n{root}/air drumming/b.mp4 0\n'
    assert (tmp_path / 'train_classes.txt').read_text() == 'air drumming\nrun\n'
    assert '1 paths hold a space: mmotion reads them' in capsys.readouterr().out


def test_the_official_columns(root: Path, tmp_path: Path) -> None:
    assert convert(root, tmp_path / 'all.csv', '--to', 'kinetics', '--split', 'train') == 0
    assert (tmp_path / 'all.csv').read_text().splitlines() == [
        'label,youtube_id,time_start,time_end,split',
        'air drumming,aaaaaaaaaaa,3,4,train',
        # 0.8 s, and no times in its name
        'run,b,0,1,train',
    ]


def test_links_and_copies(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert convert(root, tmp_path / 'links', '--to', 'folder') == 0
    link = tmp_path / 'links' / 'run' / 'c.mp4'
    assert link.is_symlink() and link.read_bytes() == (root / FILES[3]).read_bytes()
    assert convert(root, tmp_path / 'copies', '--to', 'folder', '--copy') == 0
    assert not (tmp_path / 'copies' / 'run' / 'c.mp4').is_symlink()
    # started again, it makes what is not there
    link.unlink()
    capsys.readouterr()
    assert convert(root, tmp_path / 'links', '--to', 'folder') == 0
    assert '1 videos put into' in capsys.readouterr().out


@pytest.fixture
def damaged(root: Path, tmp_path: Path) -> Path:
    """A list of a good video, one that is cut off, one that is no video and one that is gone."""
    truncate(root / FILES[1], root / 'run' / 'cut.mp4', part=0.9)
    (root / 'run' / 'text.mp4').write_text('no video')
    names = ['run/b.mp4', 'run/cut.mp4', 'run/text.mp4', 'run/gone.mp4']
    (tmp_path / 'list.txt').write_text(''.join(f'{name} 0\n' for name in names))
    return tmp_path / 'list.txt'


@pytest.mark.parametrize('workers', [1, 2])
def test_what_is_missing_or_broken_is_listed(
    root: Path, tmp_path: Path, damaged: Path, capsys: pytest.CaptureFixture, workers: int
) -> None:
    out = tmp_path / 'out'
    assert check(damaged, out, '--videos', root, '--workers', workers) == 1
    with (out / 'missing_or_broken.csv').open() as file:
        rows = list(csv.DictReader(file))
    assert [row['path'] for row in rows] == ['run/cut.mp4', 'run/text.mp4', 'run/gone.mp4']
    assert {row['label'] for row in rows} == {'run'}
    assert rows[1]['problem'].startswith('broken: a video must')
    assert rows[2]['problem'] == 'missing'
    printed = capsys.readouterr().out
    assert '1 of 4 videos are good, 1 missing, 2 broken; listed in' in printed

    options = ['--videos', root, '--without', out / 'missing_or_broken.csv']
    assert convert(damaged, tmp_path / 'good.txt', '--to', 'list', *options) == 0
    assert (tmp_path / 'good.txt').read_text() == 'run/b.mp4 0\n'


def test_a_second_check_opens_what_is_new_or_was_bad(
    root: Path, tmp_path: Path, damaged: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = importlib.import_module('check_videos')
    opened = []
    find_problem = module.find_problem

    def note(path: str) -> str:
        opened.append(Path(path).name)
        if path.endswith('text.mp4') and len(opened) == 3:
            raise KeyboardInterrupt
        return find_problem(path)

    monkeypatch.setattr(module, 'find_problem', note)
    command = [str(damaged), str(tmp_path), '--videos', str(root), '--workers', '1']
    with pytest.raises(KeyboardInterrupt):
        module.main(command)
    assert opened == ['b.mp4', 'cut.mp4', 'text.mp4']
    assert module.main(command) == 1
    assert opened[3:] == ['cut.mp4', 'text.mp4', 'gone.mp4']
    encode(root / 'run' / 'b.mp4', fps=10)
    assert module.main(command) == 1
    assert 'b.mp4' in opened[6:]


def test_a_good_collection_exits_with_0(root: Path, tmp_path: Path) -> None:
    assert check(root, tmp_path / 'out', '--workers', 1) == 0
    assert (tmp_path / 'out' / 'missing_or_broken.csv').read_text() == 'path,label,problem\n'


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        pytest.param(['none.txt', 'o.txt', '--to', 'list'], 'must be a file, got', id='source'),
        pytest.param(['{root}', 'o', '--to', 'list', '--videos', '.'], 'leave it out', id='root'),
        pytest.param(
            ['{root}', 'o', '--to', 'list', '--without', '{bad}'], 'the column path', id='table'
        ),
        pytest.param(
            ['{bad}', 'o.csv', '--to', 'kinetics'],
            'run mmotion prepare kinetics check-videos and give',
            id='length',
        ),
        pytest.param(
            ['{twice}', 'o.csv', '--to', 'kinetics'], 'got a for 2 videos; rename', id='stems'
        ),
        pytest.param(
            ['{twice}', 'o', '--to', 'folder', '--videos', '{root}'], 'one name, got', id='names'
        ),
    ],
)
def test_wrong_use_of_the_converter(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture, arguments: list, message: str
) -> None:
    places = {'root': root, 'bad': tmp_path / 'bad.txt', 'twice': tmp_path / 'twice.txt'}
    places['bad'].write_text('gone.mp4 0\n')
    places['twice'].write_text('x/a.mp4 0\ny/a.mp4 0\n')
    for name in ('x', 'y'):
        (root / name).mkdir()
        (root / name / 'a.mp4').touch()
    filled = [argument.format(**places) for argument in arguments]
    filled[1] = tmp_path / filled[1]
    assert convert(*filled) == 2
    assert message in capsys.readouterr().err
    assert not filled[1].exists()


@pytest.mark.parametrize(
    ('option', 'layout'),
    [
        pytest.param('--copy', 'list', id='copy'),
        pytest.param('--absolute', 'folder', id='absolute'),
    ],
)
def test_an_option_of_another_layout_is_refused(root: Path, option: str, layout: str) -> None:
    assert convert(root, root / 'o', '--to', layout, option) == 2


def test_wrong_use_of_the_check(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert check(root, tmp_path, '--workers', 0) == 2
    assert 'at least 1, got --workers 0' in capsys.readouterr().err
    (tmp_path / 'checked.csv').write_text('a,b\n1,2\n')
    assert check(root, tmp_path, '--workers', 1) == 2
    assert 'delete it or name another OUT' in capsys.readouterr().err
