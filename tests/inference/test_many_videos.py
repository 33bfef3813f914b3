import io
import json
import sys
from pathlib import Path

import numpy as np
import pytest

from mmotion.inference import load_model
from mmotion.inference.many_videos import predict_videos, show_progress, stream_videos
from mmotion.inference.outputs import Outputs
from mmotion.regions import Region
from mmotion.regions.files import read_region_file
from mmotion.tables import read_table
from mmotion.video import inspect_video
from mmotion.video.writer import VideoWriter
from tests.moving_boxes import write_pictures
from tests.video_files import encode, truncate

TOY = Path(__file__).parents[1] / 'toy' / 'toy.py'


class Ready:
    """A predictor that needs nothing for its videos."""

    def prepare(self, videos):
        pass


def write_video(path, num_frames=6):
    path.parent.mkdir(parents=True, exist_ok=True)
    with VideoWriter(path, fps=10.0) as writer:
        for level in range(num_frames):
            writer.write(np.full((32, 32, 3), 20 * level, np.uint8))
    return path


def test_a_video_that_fails_does_not_stop_the_others(tmp_path, capsys):
    broken = tmp_path / 'broken.mp4'
    broken.write_bytes(b'no video')
    videos = [write_video(tmp_path / 'a' / 'clip.mp4', 4), broken]
    videos.append(write_video(tmp_path / 'b' / 'clip.mp4', 6))
    out = tmp_path / 'out'
    failed = predict_videos(
        load_model(TOY, 'random'),
        videos,
        Outputs(out_dir=out, draw=True, provenance={'config': 'toy'}),
    )
    assert failed == [broken]
    printed = capsys.readouterr()
    assert f'mmotion: {broken}: ' in printed.err
    assert f'1 of 3 videos failed: {broken}' in printed.err
    assert 'another video is named clip too, so this one is clip_2' in printed.out
    assert f'{videos[0]}: count 4, fps 10, confidence 1' in printed.out
    results = [json.loads((out / f'{name}.json').read_text()) for name in ('clip', 'clip_2')]
    assert [result['count'] for result in results] == [4, 6]
    assert [result['video'] for result in results] == [str(videos[0]), str(videos[2])]
    assert results[0]['config'] == 'toy'
    assert sorted(p.relative_to(out).as_posix() for p in out.rglob('*.png')) == [
        'clip.png',
        'clip_2/clip.png',
    ]


def test_the_work_for_a_video_does_not_grow_with_their_number(tmp_path, monkeypatch):
    """Resolving the names of all for each of 10,000 would take 50 minutes."""
    resolved = []
    resolve = Path.resolve

    def count(path, *args):
        resolved.append(path)
        return resolve(path, *args)

    monkeypatch.setattr(Path, 'resolve', count)
    numbers = []
    for size in (10, 100):
        resolved.clear()
        videos = [Path(f'{number}.mp4') for number in range(size)]
        assert predict_videos(Failing(), videos, Outputs(out_dir=tmp_path)) == videos
        numbers.append(len(resolved))
    assert numbers[1] == 10 * numbers[0]


class Failing(Ready):
    def predict(self, video, **times):
        raise RuntimeError('a defect')


@pytest.mark.parametrize('debug', [False, True])
def test_where_an_error_was_raised_is_shown_if_asked_for(tmp_path, capsys, debug):
    outputs, videos = Outputs(out_dir=tmp_path), [Path('a.mp4'), Path('b.mp4')]
    assert predict_videos(Failing(), videos, outputs, debug=debug) == videos
    error = capsys.readouterr().err
    assert ('line' in error and 'in predict' in error) == debug
    assert error.splitlines()[-2:] == [
        'mmotion: 0 of 2 videos done',
        'mmotion: 2 of 2 videos failed: a.mp4, b.mp4',
    ]


def test_a_result_that_cannot_be_described_fails_its_video_alone(tmp_path, capsys):
    class Speechless(Shy):
        def describe(self):
            raise ZeroDivisionError('no words')

    predictor = AttentivePredictor()
    predictor.predict = lambda video, **times: Speechless() if video.stem == 'a' else Shy()
    videos = [write_video(tmp_path / f'{name}.mp4') for name in 'ab']
    assert predict_videos(predictor, videos, Outputs(out_dir=tmp_path)) == videos[:1]
    assert 'a.mp4: no words' in capsys.readouterr().err
    assert (tmp_path / 'b.json').is_file()


@pytest.mark.parametrize('to_file', [False, True])
def test_progress_of_many_is_shown_in_a_terminal_alone(monkeypatch, to_file):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    error, out = Terminal(), io.StringIO() if to_file else Terminal()
    monkeypatch.setattr('sys.stderr', error)
    monkeypatch.setattr('sys.stdout', out)
    for number in show_progress(range(3), 'predict'):
        print(f'done {number}')
    assert '3/3' in error.getvalue()
    # what goes to a file is not sent to the terminal instead
    assert ('done 1' in out.getvalue()) == to_file
    monkeypatch.setattr('sys.stderr', io.StringIO())
    assert list(show_progress(range(3), 'predict')) == [0, 1, 2]
    assert not sys.stderr.getvalue()


def test_an_input_is_not_written_over(tmp_path):
    keypoints = tmp_path / 'clip.json'
    keypoints.write_text('{}')
    assert predict_videos(Ready(), [keypoints], Outputs(out_dir=tmp_path)) == [keypoints]
    assert keypoints.read_text() == '{}'


def test_regions(tmp_path, capsys):
    videos = [write_video(tmp_path / 'clip.mp4', 6), write_video(tmp_path / 'short.mp4', 3)]
    regions = [
        Region(name='left', boxes_xyxy=[[0, 0, 20, 32]]),
        Region(name='p2', boxes_xyxy=[[10, 0, 30, 30], [12, 0, 32, 30]], frames=[0, 5]),
    ]
    out = tmp_path / 'out'
    failed = predict_videos(
        load_model(TOY, 'random'), videos,
        Outputs(out_dir=out, draw=True, provenance={'config': 'toy'}), regions=regions,
    )  # fmt: skip
    assert failed == [videos[1]]
    printed = capsys.readouterr()
    assert f'{videos[0]}, left: count 6, fps 10' in printed.out
    assert f'{videos[0]}, p2: count 6, fps 10' in printed.out
    content = json.loads((out / 'clip.json').read_text())
    assert [part['count'] for part in content['regions']] == [6, 6]
    assert (content['video'], content['config']) == (str(videos[0]), 'toy')
    assert sorted(path.name for path in out.iterdir()) == [
        'clip.json',
        'clip_overlay.mp4',
        'clip_regions.png',
    ]
    assert inspect_video(out / 'clip_overlay.mp4').num_frames == 6
    # the answer names the regions as a file of regions does
    again = read_region_file(out / 'clip.json')
    assert [region.to_dict() for region in again] == [region.to_dict() for region in regions]


class Growing:
    """A result of a stream."""

    def __init__(self, seen):
        self.seen = seen

    def to_dict(self):
        return {'seen': self.seen, 'rate': float('nan')}


class RunningPredictor(Ready):
    """Answers three times, or not at all."""

    def stream(self, video, *, fps, start_s, end_s):
        if video.name == 'bad.mp4':
            raise ValueError('no video')
        for seen in range(1, 4):
            yield Growing(seen)


class Lines(io.StringIO):
    """Notes how many lines are there whenever they are flushed."""

    def __init__(self):
        super().__init__()
        self.flushed = []

    def flush(self):
        self.flushed.append(self.getvalue().count('\n'))


def test_a_line_as_soon_as_it_is_there(capsys):
    lines = Lines()
    videos = [Path('a.mp4'), Path('bad.mp4'), Path('c.mp4')]
    assert stream_videos(RunningPredictor(), videos, lines) == [Path('bad.mp4')]
    assert lines.flushed == [1, 2, 3, 4, 5, 6]
    entries = [json.loads(line) for line in lines.getvalue().splitlines()]
    assert entries[0] == {'video': 'a.mp4', 'seen': 1, 'rate': None}
    assert [entry['video'] for entry in entries] == 3 * ['a.mp4'] + 3 * ['c.mp4']
    assert '1 of 3 videos failed: bad.mp4' in capsys.readouterr().err


def test_lines_that_nobody_reads_end_it():
    class Closed(io.StringIO):
        def write(self, text):
            raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        stream_videos(RunningPredictor(), [Path('a.mp4')], Closed())


class Shy:
    """A result that says of itself what it wants to."""

    num_frames, fps, num_lost = 6, 10.0, 0

    def describe(self):
        return 'nothing to see'

    def to_dict(self):
        return {'count': 3}


class AttentivePredictor(Ready):
    def predict(self, video, *, fps, start_s, end_s):
        return Shy()

    def draw_attention(self, video, result, out_dir):
        (out_dir / 'attention.png').write_bytes(b'')
        return [out_dir / 'attention.png']


def test_attention_and_a_result_with_words(tmp_path, capsys):
    video = write_video(tmp_path / 'clip.mp4')
    outputs = Outputs(out_dir=tmp_path, attention=True)
    assert predict_videos(AttentivePredictor(), [video], outputs) == []
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f'{video}: nothing to see'
    assert lines[-1] == f'  {tmp_path / "attention.png"}'


class ExportingPredictor(Ready):
    def predict(self, video, *, fps, start_s, end_s):
        return Shy()

    @classmethod
    def check_export(cls, formats):
        if 'csv' not in formats:
            raise ValueError('only csv')

    def export(self, video, result, out_dir, formats):
        path = out_dir / f'{video.stem}.{formats[0]}'
        path.parent.mkdir(exist_ok=True)
        path.write_text('')
        return [path]


def test_exports_of_videos_with_one_name_do_not_meet(tmp_path, capsys):
    videos = [write_video(tmp_path / folder / 'clip.mp4') for folder in 'ab']
    out = tmp_path / 'out'
    predictor = ExportingPredictor()
    assert predict_videos(predictor, videos, Outputs(out_dir=out, export=['csv'])) == []
    assert f'  {out / "clip.csv"}' in capsys.readouterr().out.splitlines()
    assert (out / 'clip_2' / 'clip.csv').is_file()


@pytest.mark.parametrize(
    ('predictor', 'outputs', 'message'),
    [
        pytest.param(ExportingPredictor(), {'export': ['x']}, 'only csv', id='unknown format'),
        pytest.param(
            AttentivePredictor(),
            {'export': ['csv']},
            r"predictor must export \['csv'\], got AttentivePredictor; leave export out",
            id='no export',
        ),
        pytest.param(
            ExportingPredictor(),
            {'attention': True},
            'attention must be drawn by .* got ExportingPredictor; leave attention out',
            id='no attention',
        ),
    ],
)
def test_what_a_predictor_cannot_write_is_refused_before_any_video_is_read(
    tmp_path, predictor, outputs, message
):
    with pytest.raises(ValueError, match=message):
        predict_videos(
            predictor, [tmp_path / 'none.mp4'], Outputs(out_dir=tmp_path / 'out', **outputs)
        )


def test_folders_of_pictures_need_a_rate(tmp_path, capsys):
    videos = [write_pictures(tmp_path / folder / 'cage.1', 4) for folder in 'ab']
    outputs = Outputs(out_dir=tmp_path / 'out', draw=True)
    assert predict_videos(load_model(TOY, 'random'), videos, outputs) == videos
    assert predict_videos(load_model(TOY, 'random'), videos, outputs, fps=20.0) == []
    result = json.loads((tmp_path / 'out' / 'cage.1_2.json').read_text())
    assert (result['count'], result['fps'], result['video']) == (4, 20, str(videos[1]))


def test_a_table_of_several_videos(tmp_path, capsys):
    broken = tmp_path / 'broken.mp4'
    broken.write_bytes(b'no video')
    videos = [write_video(tmp_path / 'a.mp4', 4), broken, write_video(tmp_path / 'b.mp4', 6)]
    predictor = load_model(TOY, 'random')
    outputs = Outputs(out_dir=tmp_path / 'out', settings={'fps': None})
    for resume, status in ((False, 'ok'), (True, 'skipped')):
        assert predict_videos(predictor, videos, outputs, resume=resume) == [broken]
        rows = read_table(tmp_path / 'out' / 'summary.csv', ['video', 'status', 'count', 'video_s'])
        assert [row.text('status') for row in rows] == [status, 'failed', status]
        assert [row.text('count') for row in rows] == ['4', '', '6']
        assert [row.text('video_s') for row in rows] == ['0.4', '', '0.6']
        assert 'broken.mp4' in rows[1].text('reason')
        error = capsys.readouterr().err
        assert 'video       status' in error and f'{tmp_path / "out" / "summary.csv"}\n' in error
    # of one there is none
    one = Outputs(out_dir=tmp_path / 'one', settings={})
    assert predict_videos(predictor, videos[:1], one) == []
    assert 'status' not in capsys.readouterr().err
    assert not (tmp_path / 'one' / 'summary.csv').exists()


def test_a_table_that_cannot_be_written_is_told_after_what_became_of_the_videos(
    tmp_path, capsys, monkeypatch
):
    def fail(*args):
        raise OSError('no room')

    monkeypatch.setattr('mmotion.inference.summary.write_table', fail)
    videos = [write_video(tmp_path / f'{name}.mp4') for name in 'ab']
    outputs = Outputs(out_dir=tmp_path / 'out', settings={})
    with pytest.raises(OSError, match='no room'):
        predict_videos(load_model(TOY, 'random'), videos, outputs)
    assert capsys.readouterr().err == 'mmotion: 2 of 2 videos done\n'


def test_a_result_says_how_many_frames_were_lost(tmp_path, capsys):
    whole = encode(tmp_path / 'whole.mp4', movflags='faststart')
    video = truncate(whole, tmp_path / 'clip.mp4', part=0.9)
    with pytest.warns(UserWarning, match='cut off'):
        assert predict_videos(load_model(TOY, 'random'), [video], Outputs(out_dir=tmp_path)) == []
    content = json.loads((tmp_path / 'clip.json').read_text())
    num_good = len(content['count_per_frame'])
    assert content['num_lost'] == 24 - num_good > 0
    said = f'{content["num_lost"]} frames are lost, beside {num_good} good ones'
    assert said in capsys.readouterr().out
