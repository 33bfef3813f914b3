import io
import json
from types import SimpleNamespace

import pytest

from mmotion.keypoints.files import read_poses
from mmotion.serving.limits import Limits, RefusedError
from mmotion.serving.worker import NUM_WARM, Worker, make_harmless, shorten
from tests.pose_videos import make_video


def make_request(clip, folder, **more):
    source = folder / 'input' / 'clip.mp4'
    source.parent.mkdir()
    source.write_bytes(clip.read_bytes())
    return {
        'id': 'a', 'name': 'clip.mp4', 'model': 'm', 'config': 'repnet_small', 'checkpoint': None,
        'source': str(source), 'out_dir': str(folder / 'output'), 'limits': vars(Limits()),
        'start_s': 0.0, 'end_s': None, 'draw': False, 'live': False, **more,
    }  # fmt: skip


def answers_of(request, worker=None, canceled=''):
    stream = io.StringIO()
    worker = worker or Worker(stream)
    worker.answers, worker.canceled = stream, canceled
    worker.work(request)
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_it_says_what_it_is_at(clip, tmp_path):
    said = answers_of(make_request(clip, tmp_path, draw=True))
    stages = [answer.get('stage') for answer in said]
    assert list(dict.fromkeys(stages)) == ['loading', 'watching', 'drawing', None]
    shares = [answer['progress'] for answer in said if answer.get('stage') == 'watching']
    assert shares == sorted(shares) and 0 <= shares[0] <= shares[-1] <= 1
    assert said[-1]['done']['duration_s'] == pytest.approx(3.0, abs=0.1)
    assert {path.name for path in (tmp_path / 'output').iterdir()} == {
        'result.json', 'summary.csv', 'overlay.mp4', 'plot.png'
    }  # fmt: skip


def test_what_is_not_wanted_ends_at_the_next_frame(clip, tmp_path):
    said = answers_of(make_request(clip, tmp_path), canceled='a')
    assert said == [{'stage': 'loading', 'progress': None}, {'canceled': True}]


def test_errors_are_lines_and_defects_are_named_by_their_kind(clip, tmp_path, monkeypatch, capsys):
    request = make_request(clip, tmp_path, end_s=0.0001, start_s=50.0)
    assert 'must' in answers_of(request)[-1]['failed']

    def fail(*_, **__):
        raise ZeroDivisionError('no such luck')

    monkeypatch.setattr('mmotion.inference.predictor.Predictor.predict', fail)
    last = answers_of({**request, 'start_s': 0.0, 'end_s': None})[-1]
    assert last == {'failed': 'the server could not work on this file (ZeroDivisionError)'}
    assert 'no such luck' in capsys.readouterr().err


def test_a_video_that_is_longer_than_its_header_says_is_refused(clip, tmp_path, monkeypatch):
    monkeypatch.setattr('mmotion.serving.worker.check_header', lambda *_, **__: 0.0)
    request = make_request(clip, tmp_path, limits=vars(Limits(max_seconds=1)))
    assert 'at most 1 s' in answers_of(request)[-1]['failed']


def test_few_models_are_kept(clip, tmp_path, monkeypatch):
    loaded = []
    worker = Worker(io.StringIO())
    monkeypatch.setattr('mmotion.inference.load_model', lambda *key: loaded.append(key) or key)
    for config in ('a', 'b', 'a', 'c', 'a', 'b'):
        worker.load(config, None)
    assert NUM_WARM == 2 and [config for config, _ in loaded] == ['a', 'b', 'c', 'b']


def test_keypoints_lose_the_path_of_their_video_and_nothing_else(tmp_path):
    from mmotion.keypoints.files import write_poses

    poses = make_video()
    path = tmp_path / 'poses.json'
    write_poses(poses, path)
    before = json.loads(path.read_text())
    make_harmless(path, Limits())
    assert json.loads(path.read_text()) == before | {'source': 'keypoints'}
    assert read_poses(path).num_frames == poses.num_frames
    path.write_text(json.dumps({'info': {'source': '/a/b.mp4'}, 'annotations': []}))
    make_harmless(path, Limits())
    assert json.loads(path.read_text())['info'] == {'source': 'keypoints'}


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        ('{"width": 100000, "height": 100000}', 'pixels'),
        ('{"info": {"width": 100000, "height": 100000}}', 'pixels'),
        ('{"fps": 1, "num_frames": 1e12}', 'at most 600 s'),
        ('{"fps"', 'must be JSON'),
        ('[' * 100_000, 'must be JSON'),
    ],
)
def test_keypoints_of_too_much_are_refused(tmp_path, content, message):
    path = tmp_path / 'poses.json'
    path.write_text(content)
    with pytest.raises(RefusedError, match=message):
        make_harmless(path, Limits())


@pytest.mark.parametrize(
    ('message', 'shown'),
    [
        ('file /srv/jobs/1/input/clip.mp4 is\nbroken', 'file clip.mp4 is'),
        ('got /srv/other place/x.mp4, and "/etc/passwd"', 'got other place/x.mp4, and "passwd"'),
        ('24/25 frames and/or 1/2', '24/25 frames and/or 1/2'),
        ('x' * 1000, 'x' * 300),
        ('', 'ValueError'),
    ],
)
def test_messages_have_one_line_and_no_folders(tmp_path, message, shown):
    from pathlib import Path

    assert shorten(ValueError(message), Path('/srv/jobs/1/input')) == shown


@pytest.mark.parametrize('suffix', ['.h5', '.csv', '.npy'])
def test_other_kinds_of_keypoint_files_are_refused(clip, tmp_path, monkeypatch, suffix):
    request = make_request(clip, tmp_path)
    source = tmp_path / 'input' / f'poses{suffix}'
    source.write_bytes(b'whatever is in it')
    kind = SimpleNamespace(keypoint_suffixes=('.json', '.h5', '.csv', '.npy'))
    monkeypatch.setattr('mmotion.inference.load_model', lambda *_: kind)
    said = answers_of({**request, 'source': str(source)})
    assert 'must be a video' in said[-1]['failed']
