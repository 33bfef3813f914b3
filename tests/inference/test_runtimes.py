import sys

import pytest

from mmotion.inference.runtimes import is_exported, open_network

onnx = pytest.importorskip('onnx')
pytest.importorskip('onnxruntime')


def test_a_file_is_told_by_its_name():
    assert all(map(is_exported, ('a/b.onnx', 'B.ONNX', 'c.pt2', 'd.xml')))
    assert not is_exported('repnet_small') and not is_exported('a.py')


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'a model must be a file, got .*none.onnx'):
        open_network(tmp_path / 'none.onnx')


def test_a_broken_file_is_named(tmp_path):
    file = tmp_path / 'broken.onnx'
    file.write_bytes(b'no model')
    with pytest.raises(ValueError, match=r'must be an .onnx file that .* reads, got .*broken'):
        open_network(file)


def test_a_file_of_another_program_is_named(tmp_path):
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    ends = [helper.make_tensor_value_info(name, kind, [1]) for name in 'xy']
    graph = helper.make_graph([helper.make_node('Relu', ['x'], ['y'])], 'g', ends[:1], ends[1:])
    opset = helper.make_opsetid('', 20)
    model = helper.make_model(graph, opset_imports=[opset], ir_version=9)
    onnx.save(model, tmp_path / 'other.onnx')
    with pytest.raises(ValueError, match=r'must be a file of "mmotion export", got .*other.onnx'):
        open_network(tmp_path / 'other.onnx')


def test_a_runtime_that_is_missing_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, 'onnxruntime', None)
    (tmp_path / 'a.onnx').write_bytes(b'')
    with pytest.raises(ImportError, match=r'onnxruntime must be installed to run .*; pip install'):
        open_network(tmp_path / 'a.onnx')


@pytest.mark.parametrize(('name', 'program'), [('a.pt2', 'torch'), ('a.xml', 'OpenVINO')])
def test_other_broken_files_are_named(tmp_path, name, program):
    if program == 'OpenVINO':
        pytest.importorskip('openvino')
    (tmp_path / name).write_bytes(b'no model')
    with pytest.raises(ValueError, match=rf'must be an? \.\w+ file that {program} reads, got'):
        open_network(tmp_path / name)
