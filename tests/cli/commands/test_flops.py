import pytest

from mmotion.cli import main


def test_a_table_is_printed(capsys) -> None:
    options = ['--views', '10', '--cfg-options', 'model.backbone.vit.depth=1']
    assert main(['flops', 'timesformer_shapes', *options]) == 0
    out, error = capsys.readouterr()
    assert 'Warning' not in error
    *_, row = out.splitlines()
    name, shape, parameters, gflops, tflops, _ = row.split()
    assert (name, shape) == ('timesformer_shapes', '8x64x64')
    assert float(parameters) == pytest.approx(0.24, abs=0.02)
    assert float(tflops) == pytest.approx(10 * float(gflops) / 1e3, abs=1e-3)


def test_models_of_other_systems_are_counted_at_a_given_shape(capsys) -> None:
    assert main(['flops', 'repnet_shapes', '--shape', '64', '32', '32']) == 0
    assert 'repnet_shapes' in capsys.readouterr().out


def test_a_shape_must_be_known(capsys) -> None:
    assert main(['flops', 'repnet_shapes']) == 2
    message = '--shape must be given where a config does not say what clips it takes, got repnet_s'
    assert message in capsys.readouterr().err
