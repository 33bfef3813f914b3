"""Models of all systems, traced by torch: `export` with a free batch, `compile` in one graph."""

import itertools
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from mmotion.config import load_config
from mmotion.registry import MODELS

# what a network is given, for a batch of 2
INPUTS = {
    'repnet_small': (2, 3, 64, 96, 96),
    'repnet_pose': (2, 3, 64, 13, 1),
    'timesformer_shapes': (2, 1, 3, 8, 64, 64),
    'anomaly_shapes': (2, 1, 3, 8, 64, 64),
    'anomaly_shapes_knn': (2, 1, 3, 8, 64, 64),
    'anomaly_shapes_centroids': (2, 1, 3, 8, 64, 64),
    'anomaly_shapes_mahalanobis': (2, 1, 3, 8, 64, 64),
    'anomaly_shapes_pca': (2, 1, 3, 8, 64, 64),
    'bkind_shapes': (2, 1, 3, 64, 64),
    'pose_convlstm_shapes': (2, 64, 15, 3),
    'pose_lstm_shapes': (2, 64, 15, 3),
    'pose_transformer_shapes': (2, 64, 15, 3),
}


@pytest.fixture(params=INPUTS)
def case(request) -> tuple[nn.Module, tuple[int, ...]]:
    """A model in eval mode, and the shape of its inputs."""
    config = load_config(request.param)
    if 'backbone' in config.model:
        # weights to start from, which training makes first
        config.model.backbone.init = None
    model = MODELS.build(config.model).eval()
    if hasattr(getattr(model, 'scorer', None), 'fit'):
        model.scorer.fit(torch.randn(40, 96), torch.arange(40) % 3)
    return model, INPUTS[request.param]


def list_tensors(output: Tensor | tuple[Tensor, ...]) -> Iterator[Tensor]:
    return iter((output,) if isinstance(output, Tensor) else output)


def test_the_size_of_an_exported_batch_is_free(case):
    model, shape = case
    inputs = torch.randn(shape)
    with torch.no_grad():
        program = torch.export.export(
            model, (inputs,), dynamic_shapes=({0: torch.export.Dim('batch', min=1)},)
        )
        for size in (1, 3):
            inputs = torch.randn(size, *shape[1:])
            expected, found = model(inputs), program.module()(inputs)
            for pair in itertools.zip_longest(list_tensors(expected), list_tensors(found)):
                torch.testing.assert_close(*pair, rtol=1e-4, atol=1e-4)


def test_a_model_is_compiled_as_one_graph(case):
    model, shape = case
    torch.compiler.reset()
    # torch calls it experimental, and leaves networks with nn.LSTM in pieces without it
    with torch.no_grad(), torch._dynamo.config.patch(allow_rnn=True):
        found = torch._dynamo.explain(model)(torch.randn(shape))
    assert (found.graph_count, found.graph_break_count) == (1, 0), found.break_reasons
