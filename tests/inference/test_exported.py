import pytest

from mmotion.inference.exported import Settings, is_exported, load_exported

onnx = pytest.importorskip('onnx')
pytest.importorskip('onnxruntime')


def test_settings_are_read_as_a_config_is():
    settings = Settings({'model': {'backbone': {'num_frames': 8}}, 'predictor': {'type': 'X'}})
    assert settings.model.backbone.get('num_frames') == 8
    settings.predictor.update(report_every_s=2.0)
    assert settings.to_dict()['predictor'] == {'type': 'X', 'report_every_s': 2.0}
    assert settings.get('test_pipeline') is None
    with pytest.raises(AttributeError, match='nothing'):
        _ = settings.nothing


def test_a_file_is_told_by_its_name():
    assert is_exported('a/b.onnx') and is_exported('B.ONNX')
    assert not is_exported('repnet_small') and not is_exported('a.py')


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'a model must be a file, got .*none.onnx'):
        load_exported(tmp_path / 'none.onnx')


def test_a_broken_file_is_named(tmp_path):
    file = tmp_path / 'broken.onnx'
    file.write_bytes(b'no model')
    with pytest.raises(ValueError, match=r'must be an .onnx file that .* reads, got .*broken'):
        load_exported(file)


def test_a_file_of_another_program_is_named(tmp_path):
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    ends = [helper.make_tensor_value_info(name, kind, [1]) for name in 'xy']
    graph = helper.make_graph([helper.make_node('Relu', ['x'], ['y'])], 'g', ends[:1], ends[1:])
    opset = helper.make_opsetid('', 20)
    model = helper.make_model(graph, opset_imports=[opset], ir_version=9)
    onnx.save(model, tmp_path / 'other.onnx')
    with pytest.raises(ValueError, match=r'must be a file of "mmotion export", got .*other.onnx'):
        load_exported(tmp_path / 'other.onnx')
