import json
import os
import shutil
import subprocess
import sys

import pytest
import torch

from mmotion.cli import main
from mmotion.cli.parser import NOBODY_READS
from mmotion.registry import PREDICTORS
from mmotion.tables import read_table
from tests.cameras import Camera, serve
from tests.command_lines import TOY, check_wrong_use, run
from tests.moving_boxes import write_pictures
from tests.video_files import encode, paint

WRONG_USE = {
    'option of no predictor': (
        ['predict', TOY, 'clip.mp4', '--predictor.no-such', '1'],
        'unrecognized arguments: --predictor.no-such 1',
    ),
    'option before its config': (
        ['predict', '--predictor.x', '1', TOY, 'clip.mp4'],
        'CONFIG must come first where --predictor.NAME is set, got --predictor.x before it',
    ),
    'help of a missing config': (['predict', 'no.py', '--help'], 'config must be a file or'),
    'predict without video': (['predict', TOY], 'arguments are required: VIDEO'),
    'missing video': (['predict', TOY, 'no.mp4'], "got 'no.mp4', which is not there"),
    'folder without video': (['predict', TOY, 'empty'], "got 'empty', a folder without any"),
    'negative start': (['predict', TOY, 'clip.mp4', '--start', '-1'], 'got --start -1'),
    'end before start': (
        ['predict', TOY, 'clip.mp4', '--start', '2', '--end', '1'],
        '--end must come after it, got --start 2 --end 1',
    ),
    'region that is none': (
        ['predict', TOY, 'clip.mp4', '--regions', '1,2,3'],
        "x1,y1,x2,y2 in pixels, name=x1,y1,x2,y2, or a JSON file that is there, got '1,2,3'",
    ),
    'region that swallows the video': (
        ['predict', TOY, '--regions', '0,0,20,20', 'clip.mp4'],
        'arguments are required: VIDEO',
    ),
    'box upside down': (
        ['predict', TOY, 'clip.mp4', '--regions', 'a=0,9,20,3'],
        "box_xyxy of region 'a' must be finite numbers with x1 < x2 and y1 < y2",
    ),
    'broken file of regions': (
        ['predict', TOY, 'clip.mp4', '--regions', 'text.pth'],
        'a file of regions must be JSON, got Expecting value: line 1 column 1 (char 0) in text.pth',
    ),
    'margin without regions': (
        ['predict', TOY, 'clip.mp4', '--region-margin', '0.2'],
        'got --region-margin 0.2 without --regions',
    ),
    'negative margin': (
        ['predict', TOY, 'clip.mp4', '--regions', '0,0,20,20', '--region-margin', '-1'],
        '--region-margin must be at least 0 and come with --regions, got --region-margin -1',
    ),
    'attention of regions': (
        ['predict', TOY, 'clip.mp4', '--attention', '--regions', '0,0,20,20'],
        '--attention must come without --regions, got both',
    ),
    'attention of a model without': (
        ['predict', TOY, 'clip.mp4', '--attention'],
        'attention must be drawn by a predictor of a model that has it, got ToyPredictor',
    ),
    'export of a model without': (
        ['predict', TOY, 'clip.mp4', '--export', 'csv'],
        "predictor must export ['csv'], got ToyPredictor; leave export out",
    ),
    'detector of a model without': (
        ['predict', TOY, 'clip.mp4', '--detector', 'mediapipe'],
        'a model that reads keypoints, got the predictor ToyPredictor; leave them out',
    ),
    'model of a detector of a model without': (
        ['predict', TOY, 'clip.mp4', '--model-path', 'other.pth'],
        'a model that reads keypoints, got the predictor ToyPredictor; leave them out',
    ),
    'predict without predictor': (
        ['predict', 'no_test.py', 'clip.mp4'],
        'got no_test.py without predictor',
    ),
    'unknown predictor': (
        ['predict', TOY, 'clip.mp4', '--checkpoint', 'random', '--cfg-options', 'predictor.type=X'],
        "type must be a name in the registry PREDICTORS, got type='X'",
    ),
    'no rate': (['predict', TOY, 'clip.mp4', '--fps', '0'], 'above 0 and finite, got --fps 0'),
    'rate that is no number': (
        ['predict', TOY, 'clip.mp4', '--fps', 'nan'],
        '--fps must be above 0 and finite, got --fps nan',
    ),
    'start that is no number': (['predict', TOY, 'clip.mp4', '--start', 'nan'], 'got --start nan'),
    'resuming lines': (
        ['predict', TOY, 'clip.mp4', '--json-lines', '-', '--resume'],
        '--json-lines must come without --resume, got both',
    ),
    'json lines and pictures': (
        ['predict', TOY, 'clip.mp4', '--json-lines', '-', '--draw'],
        '--json-lines must come without --draw, got both; leave out one',
    ),
    'json lines over a video': (
        ['predict', TOY, 'clip.mp4', '--json-lines', './clip.mp4'],
        '--json-lines must not name a VIDEO, got ./clip.mp4',
    ),
    'a camera that is not there': (
        ['predict', TOY, '987'],
        'must be plugged in, got /dev/video987',
    ),
    'a stream and pictures': (
        ['predict', TOY, 'rtsp://me:secret@cam/1', '--draw'],
        '--draw must be left out for a live source, got it with rtsp://cam/1',
    ),
    'alarms of a model without': (
        ['predict', TOY, 'rtsp://cam/1', '--on-alarm', 'true'],
        '--on-alarm must come with a predictor that raises alarms, got ToyPredictor',
    ),
    'a stream that is not there': (
        ['predict', 'repnet_small', 'rtsp://127.0.0.1:1/a'],
        'a live source must be there when it is begun with, got rtsp://127.0.0.1:1/a (Connection',
    ),
    'predict with other weights': (
        ['predict', TOY, 'clip.mp4', '--checkpoint', 'other.pth'],
        '0 of 9 tensors fit ToyCounter',
    ),
    'predict without weights': (
        ['predict', TOY, 'clip.mp4'],
        f'checkpoint must be given, as no weights ship with {TOY}; give the file',
    ),
    'unknown device': (['predict', TOY, 'clip.mp4', '--device', 'tpu9'], "got device='tpu9'"),
}


@pytest.mark.parametrize(('arguments', 'message'), WRONG_USE.values(), ids=WRONG_USE)
def test_wrong_use_is_answered_in_one_line(folder, capsys, arguments, message):
    check_wrong_use(capsys, arguments, message)


def test_predict(folder, capsys, checkpoint):
    code, out, _ = run(
        capsys, 'predict', TOY, 'clip.mp4', '--checkpoint', checkpoint, '--out', 'o', '--draw',
        '--start', '0.2', '--end', '0.5', '--device', 'cpu',
    )  # fmt: skip
    assert code == 0
    assert 'clip.mp4: count 3' in out
    result = json.loads((folder / 'o' / 'clip.json').read_text())
    assert (result['count'], result['fps'], result['checkpoint']) == (3, 10, checkpoint)
    assert (result['video'], result['config']) == ('clip.mp4', TOY)
    assert (folder / 'o' / 'clip.png').is_file()


def test_predict_regions(folder, capsys, checkpoint):
    (folder / 'boxes.json').write_text('{"regions": [{"name": "p", "box_xyxy": [8, 8, 32, 32]}]}')
    code, out, _ = run(
        capsys, 'predict', TOY, 'clip.mp4', '--checkpoint', checkpoint, '--out', 'o',
        '--regions', '0,0,20,20', 'b=10,0,32,32', '--regions', 'boxes.json',
        '--region-margin', '0', '--end', '0.5',
    )  # fmt: skip
    assert code == 0
    assert 'clip.mp4, b: count 5' in out
    result = json.loads((folder / 'o' / 'clip.json').read_text())
    assert [part['name'] for part in result['regions']] == ['1', 'b', 'p']


def test_a_region_outside_of_a_video_fails_that_video(folder, capsys, checkpoint):
    code, _, error = run(
        capsys, 'predict', TOY, 'clip.mp4', '--checkpoint', checkpoint, '--regions', '40,0,80,30'
    )
    assert code == 1
    assert '1 of 1 videos failed: clip.mp4' in error
    assert not (folder / 'results').exists()


def test_predict_names_what_failed(folder, capsys, checkpoint):
    (folder / 'bad.mp4').write_bytes(b'no video')
    code, out, error = run(capsys, 'predict', TOY, '.', '--checkpoint', checkpoint)
    assert code == 1
    assert 'clip.mp4: count 6' in out
    assert '1 of 2 videos failed: bad.mp4' in error
    assert (folder / 'results' / 'clip.json').is_file()


@pytest.mark.parametrize('target', ['-', 'new/lines.jsonl'])
def test_predict_json_lines(folder, capsys, checkpoint, target):
    (folder / 'bad.mp4').write_bytes(b'no video')
    code, out, error = run(
        capsys, 'predict', TOY, 'bad.mp4', 'clip.mp4', '--checkpoint', checkpoint,
        '--json-lines', target, '--start', '0.2', '--end', '0.5',
    )  # fmt: skip
    assert code == 1
    assert '1 of 2 videos failed: bad.mp4' in error
    text = out if target == '-' else (folder / target).read_text()
    (line,) = map(json.loads, text.splitlines())
    assert (line['video'], line['count'], line['fps']) == ('clip.mp4', 3, 10)
    assert not (folder / 'results').exists()


@pytest.mark.parametrize('target', ['-', 'lines.jsonl'])
def test_predict_a_stream(folder, capsys, checkpoint, target):
    """Without --json-lines, lines go to stdout."""
    with serve(Camera(plan=[(30, 'end'), (0, 'refuse')])) as camera:
        code, out, error = run(
            capsys, 'predict', TOY, f'{camera.url}/a.mjpg', '--checkpoint', checkpoint, '--stats',
            '--retries', '1', *(() if target == '-' else ('--json-lines', target)),
        )  # fmt: skip
    assert code == 1
    assert f'{camera.url}/a.mjpg: failed' in error
    text = out if target == '-' else (folder / target).read_text()
    lines = [json.loads(line) for line in text.splitlines()]
    assert [line.get('event') for line in lines] == ['lost', 'failed', None, 'ended']
    assert lines[2]['count'] == 30 and lines[3]['latency_s'] >= 0


def test_predict_what_is_piped_in(folder, checkpoint):
    """As in `ffmpeg ... -f matroska - | mmotion predict CONFIG -`; its writer is not hurried."""
    encode(folder / 'piped.mkv', [paint(number % 24) for number in range(200)], fps=20)
    command = [sys.executable, '-m', 'mmotion.cli', 'predict', TOY, '-', '--queue', '2']
    with open('piped.mkv', 'rb') as pipe:
        done = subprocess.run(
            [*command, '--checkpoint', checkpoint], stdin=pipe, capture_output=True, timeout=120
        )
    assert done.returncode == 0, done.stderr.decode()
    answer, last = map(json.loads, done.stdout.splitlines())
    assert (answer['count'], answer['fps'], answer['video']) == (200, 20, '-')
    assert (last['event'], last['given'], last['dropped']) == ('ended', 200, 0)


def test_an_empty_pipe_is_told_what_to_pipe_in(folder, checkpoint):
    command = [sys.executable, '-m', 'mmotion.cli', 'predict', TOY, '-', '--checkpoint', checkpoint]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=120)
    assert done.returncode == 2 and not done.stdout
    assert b'pipe in what can be read from its front on' in done.stderr


def test_a_reader_of_lines_may_leave(folder, checkpoint, monkeypatch):
    """As in `mmotion predict ... --json-lines - | head -1`."""
    reader, writer = os.pipe()
    os.close(reader)
    command = ['predict', TOY, 'clip.mp4', '--checkpoint', checkpoint, '--json-lines', '-']
    with open(writer, 'w') as stdout:
        monkeypatch.setattr(sys, 'stdout', stdout)
        assert main(command) == NOBODY_READS


def test_predict_hands_the_detector_to_the_predictor(folder, capsys, checkpoint, monkeypatch):
    asked = {}

    class PosePredictor(PREDICTORS.get('ToyPredictor')):
        def __init__(self, *, detector=None, model_path=None, **options):
            asked.update(detector=detector, model_path=model_path)
            super().__init__(**options)

    monkeypatch.setitem(PREDICTORS.module_dict, 'ToyPredictor', PosePredictor)
    command = ['predict', TOY, 'clip.mp4', '--checkpoint', checkpoint]
    assert run(capsys, *command, '--detector', 'rtmlib', '--model-path', 'm.onnx')[0] == 0
    assert asked == {'detector': 'rtmlib', 'model_path': 'm.onnx'}
    assert run(capsys, *command)[0] == 0
    assert asked == {'detector': None, 'model_path': None}


@pytest.fixture
def slow_predictor(monkeypatch):
    """What the toy predictor was given; it has an option."""
    given = {}

    class SlowPredictor(PREDICTORS.get('ToyPredictor')):
        """A toy.

        Args:
            config: See `Predictor`.
            model: The toy.
            device: Where it is.
            pause_s: Rest after each frame.
        """

        def __init__(self, *, config, model, device='cpu', pause_s: float | None = 0.5):
            given.update(pause_s=pause_s)
            super().__init__(config=config, model=model, device=device)

    monkeypatch.setitem(PREDICTORS.module_dict, 'ToyPredictor', SlowPredictor)
    return given


def test_help_of_a_config_lists_what_its_predictor_can_be_told(capsys, slow_predictor):
    code, out, _ = run(capsys, 'predict', TOY, '--help')
    assert code == 0
    assert '--predictor.pause-s NUMBER|none' in out
    assert 'Rest after each frame. Default: 0.5' in out
    assert '--predictor.model' not in out
    # a value of the config is the default
    option = 'predictor.pause_s=0.25'
    _, out, _ = run(capsys, 'predict', TOY, '--cfg-options', option, '--help')
    assert 'Default: 0.25, by the config' in ' '.join(out.split())


def test_options_of_the_predictor_are_set(folder, capsys, checkpoint, slow_predictor):
    command = ['predict', TOY, 'clip.mp4', '--checkpoint', checkpoint]
    assert run(capsys, *command, '--predictor.pause-s', '2')[0] == 0
    assert slow_predictor == {'pause_s': 2.0}
    assert run(capsys, *command, '--predictor.pause-s', 'none')[0] == 0
    assert slow_predictor == {'pause_s': None}
    # also over the options of the config
    options = ['--cfg-options', 'predictor.pause_s=3', '--predictor.pause-s=4']
    assert run(capsys, *command, *options)[0] == 0
    assert slow_predictor == {'pause_s': 4.0}
    assert run(capsys, *command)[0] == 0
    assert slow_predictor == {'pause_s': 0.5}


@pytest.mark.parametrize(
    ('source', 'name', 'option'),
    [
        pytest.param('boxes.json', 'clip.json', '--regions', id='regions'),
        pytest.param('weights.pth', 'clip.json', '--checkpoint', id='checkpoint'),
        pytest.param('clip.mp4', 'clip.json', '', id='video called like a result'),
        pytest.param('clip.mp4', 'clip_overlay.mp4', '', id='video called like an overlay'),
        pytest.param('boxes.json', 'clip.json', None, id='annotation that is not read'),
        pytest.param('result.json', 'clip.json', None, id='result of another video'),
    ],
)
def test_no_input_is_written_over(folder, capsys, checkpoint, source, name, option):
    (folder / 'boxes.json').write_text('{"regions": [{"name": "p", "box_xyxy": [8, 8, 32, 32]}]}')
    (folder / 'result.json').write_text('{"count": 3, "video": "other/clip.mp4"}')
    shutil.copy(checkpoint, folder / 'weights.pth')
    (folder / 'd').mkdir()
    shutil.copy(folder / source, folder / 'd' / name)
    before = (folder / 'd' / name).read_bytes()
    weights = [] if option == '--checkpoint' else ['--checkpoint', checkpoint]
    named = [] if option is None else [*([option] if option else []), f'd/{name}']
    code, _, error = run(
        capsys, 'predict', TOY, 'clip.mp4', *named, *weights, '--out', 'd', '--draw'
    )
    assert code == 1
    assert 'videos failed: clip.mp4' in error
    assert (folder / 'd' / name).read_bytes() == before


def test_draw_takes_no_video(folder, capsys):
    code, _, error = run(capsys, 'predict', TOY, '--draw', 'clip.mp4')
    assert code == 2
    assert "must be video, gif or sheet, got 'clip.mp4'; a VIDEO must stand before --draw" in error


def test_a_video_is_predicted_again(folder, capsys, checkpoint):
    command = ['predict', TOY, '--draw', '--checkpoint', checkpoint, '--out', 'd']
    assert run(capsys, *command, 'clip.mp4')[0] == 0
    # from a folder, what was drawn is no video
    shutil.copytree('d', 'e')
    shutil.copy('clip.mp4', 'e/clip.mp4')
    assert run(capsys, *command, './clip.mp4', '--end', '0.5')[0] == 0
    assert json.loads((folder / 'd' / 'clip.json').read_text())['count'] == 5
    # a clip of another folder is another video
    code, _, error = run(capsys, *command, 'e/clip.mp4')
    assert (code, 'videos failed: e/clip.mp4' in error) == (1, True)
    assert json.loads((folder / 'd' / 'clip.json').read_text())['count'] == 5


def test_lines_of_before_stay_if_every_video_fails(folder, checkpoint, capsys):
    (folder / 'bad.mp4').write_bytes(b'no video')
    (folder / 'old.jsonl').write_text('old\n')
    command = ['predict', TOY, 'bad.mp4', '--checkpoint', checkpoint, '--json-lines', 'old.jsonl']
    assert run(capsys, *command)[0] == 1
    assert (folder / 'old.jsonl').read_text() == 'old\n'
    command[2] = 'clip.mp4'
    assert run(capsys, *command)[0] == 0
    assert json.loads((folder / 'old.jsonl').read_text())['count'] == 6


@pytest.fixture
def no_model(monkeypatch):
    """Whoever loads a model fails."""

    def load(*_, **__):
        raise AssertionError

    monkeypatch.setattr('mmotion.inference.load_model', load)


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        pytest.param(
            ['clip.mp4', 'pictures'],
            '--fps must be given for pictures, and for keypoints that do not tell it, got none for '
            'pictures; --fps 30 is the most usual',
            id='rate of pictures',
        ),
        pytest.param(['clip.mp4', '--out', 'text.pth'], 'must be a folder that can be', id='out'),
        pytest.param(
            ['clip.mp4', '--json-lines', 'text.pth/lines'], 'must be a folder that', id='lines'
        ),
    ],
)
def test_wrong_use_is_found_before_the_model_is_loaded(
    folder, capsys, no_model, arguments, message
):
    write_pictures(folder / 'pictures', 3)
    check_wrong_use(capsys, ['predict', TOY, *arguments, '--checkpoint', 'random'], message)


def test_options_of_the_predictor_may_be_written_as_in_the_config(
    folder, capsys, checkpoint, slow_predictor
):
    command = ['predict', TOY, 'clip.mp4', '--checkpoint', checkpoint, '--predictor.pause_s', '2']
    assert run(capsys, *command)[0] == 0
    assert slow_predictor == {'pause_s': 2.0}
    assert '--predictor.pause_s' not in run(capsys, 'predict', TOY, '--help')[1]


def test_resume(folder, capsys, checkpoint):
    def list_results():
        return {*(folder / 'results').iterdir()} - {folder / 'results' / 'summary.csv'}

    def list_statuses():
        rows = read_table(folder / 'results' / 'summary.csv', ['video', 'status', 'count'])
        assert all(row.text('count') for row in rows if row.text('status') != 'failed')
        return {row.text('video'): row.text('status') for row in rows}

    (folder / 'bad.mp4').write_bytes(b'no video')
    shutil.copy('clip.mp4', 'more.mp4')
    command = ['predict', TOY, '.', '--checkpoint', checkpoint, '--resume', '--draw']
    code, out, error = run(capsys, *command)
    assert (code, 'predicted again' in out) == (1, False)
    assert 'mmotion: 2 of 3 videos done\n' in error
    # what became of the videos is told anew by each run
    assert list_statuses() == {'bad.mp4': 'failed', 'clip.mp4': 'ok', 'more.mp4': 'ok'}
    before = {file.name: file.read_bytes() for file in list_results()}
    times = {file: file.stat().st_mtime_ns for file in list_results()}

    # what has failed is tried again
    code, out, error = run(capsys, *command)
    assert (code, out) == (1, '')
    assert 'mmotion: 0 of 3 videos done, 2 were done before\n' in error
    assert error.endswith('mmotion: 1 of 3 videos failed: bad.mp4\n')
    assert {file: file.stat().st_mtime_ns for file in list_results()} == times
    assert list_statuses() == {'bad.mp4': 'failed', 'clip.mp4': 'skipped', 'more.mp4': 'skipped'}

    # a file that is gone, and a run that was killed before it had drawn
    (folder / 'bad.mp4').unlink()
    (folder / 'results' / 'clip.png').unlink()
    whole = (folder / 'results' / 'more.json').read_text()
    (folder / 'results' / 'more.json').write_text(whole[: whole.index(', "made_from"')] + '}')
    assert run(capsys, *command)[0] == 0
    assert {file.name: file.read_bytes() for file in list_results()} == before

    # other settings, weights, and another video of the same name
    code, out, _ = run(capsys, *command, '--end', '0.5', '--cfg-options', 'model.width=16')
    assert 'clip.mp4: predicted again, not as before: end_s, config.model' in out
    assert json.loads((folder / 'results' / 'clip.json').read_text())['count'] == 5
    code, out, _ = run(capsys, *command)
    assert out.count('predicted again') == 2
    os.utime('clip.mp4')
    weights = torch.load(checkpoint)
    weights['state_dict']['head.bias'] += 1
    torch.save(weights, folder / 'other.pth')
    command[command.index(checkpoint)] = 'other.pth'
    _, out, _ = run(capsys, *command)
    assert 'clip.mp4: predicted again, not as before: video, weights' in out
    assert 'more.mp4: predicted again, not as before: weights' in out


@pytest.mark.parametrize(
    ('source', 'hint'), [('rtsp://camera/1', ''), ('a.mp4', '; "--resume" goes on with the videos')]
)
def test_stopping_a_camera_does_not_speak_of_resume(folder, capsys, monkeypatch, source, hint):
    def stop(*args, **kwargs):
        raise KeyboardInterrupt

    (folder / 'a.mp4').touch()
    monkeypatch.setattr('mmotion.cli.opened_model._open_config', stop)
    code, _, error = run(capsys, 'predict', TOY, source)
    assert code == 130 and error.startswith(f'\nmmotion: stopped{hint}')
    assert ('--resume' in error) == bool(hint)
