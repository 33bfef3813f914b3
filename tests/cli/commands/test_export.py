import pytest

from mmotion.cli import main
from tests.video_files import encode


@pytest.fixture
def video(tmp_path):
    return encode(tmp_path / 'workout.mp4')


def export(*arguments: object) -> int:
    return main(['export', 'repnet_small', *map(str, arguments)])


def test_a_file_is_written_tried_and_used(video, tmp_path, capsys):
    pytest.importorskip('onnxscript')
    pytest.importorskip('onnxruntime')
    file = tmp_path / 'out' / 'counter.onnx'
    assert export('--out', file, '--video', video) == 0
    header, _, eager, exported = capsys.readouterr().out.splitlines()
    assert header.startswith('| model | MB | frames a second | times as fast | largest relative')
    assert eager.startswith('| PyTorch | 8.6 |')
    assert exported.startswith('| counter.onnx | 9.0 |')
    assert float(exported.split('|')[-2]) < 1e-3
    assert [path.name for path in file.parent.iterdir()] == ['counter.onnx']

    results = tmp_path / 'results'
    assert main(['predict', str(file), str(video), '--out', str(results)]) == 0
    assert (results / 'workout.json').is_file()
    assert main(['predict', str(file), str(video), '--device', 'cpu']) == 2
    assert '--device must be left out for a model that was exported' in capsys.readouterr().err
    assert main(['predict', str(file), '--help']) == 0
    assert '--predictor.report-every-s' in capsys.readouterr().out


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['--out', 'a.pt', '--video', 'workout.mp4'], '--out must end in .onnx for this format'),
        (['--out', 'a.onnx', '--video', 'none.mp4'], '--video must be there, got none.mp4'),
    ],
)
def test_wrong_use_is_answered_at_once(video, capsys, monkeypatch, arguments, message):
    monkeypatch.chdir(video.parent)
    assert export(*arguments) == 2
    assert message in capsys.readouterr().err


def test_a_file_whose_answers_differ_is_not_kept(video, tmp_path, capsys, monkeypatch):
    pytest.importorskip('onnxscript')
    pytest.importorskip('onnxruntime')
    monkeypatch.setattr('mmotion.inference.export.MAX_DIFFERENCE', -1)
    assert export('--out', tmp_path / 'out' / 'a.onnx', '--video', video) == 2
    assert 'must answer as its model within -1, got a difference of' in capsys.readouterr().err
    assert not list((tmp_path / 'out').iterdir())
