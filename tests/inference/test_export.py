"""Files of "mmotion export", and that they answer as the models do, without torch."""

import json
import math

import numpy as np
import pytest

from mmotion.inference import load_model
from mmotion.inference.export import compare_file, compare_results, export_model
from mmotion.inference.exported import load_exported
from mmotion.shapes import MotionShapes
from tests.inference.lean_cases import predict_lean, run_lean
from tests.video_files import encode


def test_numbers_may_differ_by_roundings_alone():
    first = {'label': 'run', 'count': 2.0, 'scores': np.array([4.0, 1.0]), 'times': [1.0, None]}
    assert compare_results(first, first) == 0
    second = {**first, 'count': 2.02, 'scores': np.array([4.0, 1.2])}
    assert compare_results(first, second) == pytest.approx(0.05)
    # what is there in one of the two alone is not near
    assert compare_results(first, {**first, 'times': [1.0, 2.0]}) == math.inf


@pytest.mark.parametrize(
    ('name', 'value'),
    [
        ('label', 'walk'),
        ('stride', 2),
        ('times', [1.0]),
        ('segments', [{'count': 1.0, 'name': 'b'}]),
    ],
)
def test_words_and_whole_numbers_must_be_equal(name, value):
    segments = [{'count': 1.0, 'name': 'a'}]
    first = {'label': 'run', 'stride': 1, 'times': [1.0, 2.0], 'segments': segments}
    with pytest.raises(ValueError, match=rf'result.{name}.* must be .*, as the model says, got'):
        compare_results(first, {**first, name: value})


@pytest.fixture(scope='module')
def counter():
    return load_model('repnet_small', device='cpu')


@pytest.fixture(scope='module')
def counter_file(counter, tmp_path_factory):
    pytest.importorskip('onnxscript')
    pytest.importorskip('onnxruntime')
    file = tmp_path_factory.mktemp('exported') / 'repnet_small.onnx'
    export_model(counter, file)
    return file


@pytest.fixture(scope='module')
def workout(tmp_path_factory):
    # larger than what the network sees, and wider than high
    images = MotionShapes(split='test', size=128, num_frames=(200, 200))[3].render()[:, :112]
    return encode(tmp_path_factory.mktemp('videos') / 'workout.mp4', images)


def test_one_file_holds_all(counter_file):
    assert [path.name for path in counter_file.parent.iterdir()] == ['repnet_small.onnx']


def test_the_metadata_says_what_it_is(counter_file):
    meta = load_exported(counter_file).model.meta
    assert meta['name'] == 'repnet_small'
    assert meta['config']['test_pipeline'][0] == {'type': 'ResizeFrames', 'size': 96}
    assert meta['counting']['threshold'] == 0.45
    assert meta['checkpoint'] == 'projects/repnet/weights/repnet_small.pth'


def test_the_counter_counts_as_its_model_does(counter, counter_file, workout):
    found = compare_file(counter, counter_file, workout, times=1)
    assert found.difference < 1e-4
    assert found.num_frames == 200


def test_a_stream_is_counted_too(counter, counter_file, workout):
    last = [list(each.stream(workout))[-1] for each in (counter, load_exported(counter_file))]
    assert last[0].count == pytest.approx(last[1].count, rel=1e-4)


def test_batches_have_any_size(counter_file):
    model = load_exported(counter_file).model
    frames = np.random.default_rng(0).integers(0, 256, (5, 96, 96, 3), dtype=np.uint8)
    all_of_them = model.encode_frames(frames)
    one_by_one = [model.encode_frames(frames[i : i + 1])[0] for i in range(5)]
    np.testing.assert_allclose(all_of_them, one_by_one, rtol=1e-3, atol=1e-4)
    windows = np.stack([all_of_them[np.arange(64) % 5]] * 3)
    assert model.rate_windows(windows).shape == (3, 2, 64)


def test_nothing_but_the_runtime_is_needed(counter, counter_file, workout, tmp_path):
    printed = predict_lean(counter_file, workout, '--out', tmp_path)
    result = counter.predict(workout)
    assert f'count {result.repetitions}' in printed
    written = json.loads((tmp_path / 'workout.json').read_text())
    assert written['count'] == pytest.approx(result.count, rel=1e-4)
    assert written['config'] == str(counter_file)
    # what is done is not done again
    assert 'count' not in predict_lean(counter_file, workout, '--out', tmp_path, '--resume')
    lines = predict_lean(counter_file, workout, '--json-lines', '-').splitlines()
    assert json.loads(lines[-1])['count'] == pytest.approx(result.count, rel=1e-3)


def test_load_model_takes_the_file(counter, counter_file, workout):
    code = """
import mmotion
print(mmotion.load_model(sys.argv[1]).predict(sys.argv[2]).count)
"""
    printed = run_lean(code, counter_file, workout)
    assert float(printed) == pytest.approx(counter.predict(workout).count, rel=1e-4)
    for options in ({'checkpoint': 'a.pth'}, {'device': 'cuda'}):
        with pytest.raises(ValueError, match=r'checkpoint and device must be left out for a model'):
            load_model(counter_file, **options)


@pytest.mark.parametrize('suffix', ['.onnx', '.xml'])
def test_half_as_many_bytes_count_the_same(counter, workout, tmp_path, suffix):
    pytest.importorskip('openvino' if suffix == '.xml' else 'onnxscript')
    for half in (False, True):
        export_model(counter, tmp_path / f'{half}{suffix}', half=half)
    written = suffix.replace('.xml', '.bin')
    sizes = [(tmp_path / f'{half}{written}').stat().st_size for half in (True, False)]
    assert sizes[0] < 0.6 * sizes[1]
    # the weights that ship are rounded already
    file = tmp_path / f'True{suffix}'
    assert compare_file(counter, file, workout, times=1).difference < 1e-3


def test_strides_share_frames_in_torchs_own_format(counter, workout, tmp_path):
    export_model(counter, tmp_path / 'counter.pt2')
    assert compare_file(counter, tmp_path / 'counter.pt2', workout, times=1).difference < 1e-4
    with pytest.raises(ValueError, match=r'half must be False for .pt2, got half=True'):
        export_model(counter, tmp_path / 'counter.pt2', half=True)


def test_what_has_no_network_to_export_is_refused(tmp_path):
    predictor = load_model('repnet_pose', device='cpu')
    with pytest.raises(ValueError, match=r'must have a network .* PoseRepetition'):
        export_model(predictor, tmp_path / 'pose.onnx')
