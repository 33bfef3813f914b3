"""Write the network of a predictor to a file that other programs run, and try it.

What is written is described in `mmotion.inference.exported`. A file is done when its runtime has
answered for a video as the model itself does.
"""

import importlib
import json
import math
import tempfile
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from mmengine.config import Config
from numpy.typing import NDArray
from torch import Tensor, nn

from mmotion import __version__
from mmotion.atomic import write_atomically
from mmotion.checkpoint.released import describe_weights
from mmotion.inference.abilities import HasPortableNetwork, PortableNetwork
from mmotion.inference.exported import load_exported
from mmotion.inference.predictor import Predictor
from mmotion.inference.published import describe_config
from mmotion.inference.runtimes import KEY
from mmotion.structures.json_file import Rounded
from mmotion.structures.results import list_entries
from mmotion.video.frames import Video

# largest difference of a number, as a share of the largest of its kind in the result
MAX_DIFFERENCE = 1e-3
# where weights were rounded
MAX_HALF_DIFFERENCE = 1e-2
OPSET = 20
# one file holds no more
MAX_BYTES = 2_000_000_000


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """How a file answers for a video, beside the model that it was made of.

    Args:
        difference: Largest difference of a number, see `compare_results`.
        eager_s: Time that the model takes for the video, the shortest of a few.
        file_s: Time that the file takes.
        num_frames: Frames of the video.
    """

    difference: float
    eager_s: float
    file_s: float
    num_frames: int


class _Portable(nn.Module):
    """What `PortableNetwork` describes, as torch exports it."""

    def __init__(self, network: PortableNetwork) -> None:
        super().__init__()
        self.model = network.model
        self._run = network.run

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        return self._run(*inputs)


def export_model(
    predictor: Predictor[Any],
    file: str | Path,
    *,
    checkpoint: str | None = None,
    half: bool = False,
) -> None:
    """Write the network of a predictor.

    Args:
        predictor: From `load_model`.
        file: Where to write: .onnx, .pt2 for torch.export, or .xml for OpenVINO, which writes the
            weights to a .bin beside it.
        checkpoint: What `load_model` was told, for the metadata.
        half: Round matrices to float16, in .onnx and .xml.

    Raises:
        ValueError: If the predictor has no network that could be exported, or `half` is asked of
            a format without it.
        ImportError: If a package for it is not installed.
    """
    if not isinstance(predictor, HasPortableNetwork):
        raise ValueError(
            'predictor must have a network that can be exported, got '
            f'{type(predictor).__name__}; docs/export.md lists which have one'
        )
    suffix = Path(file).suffix
    if half and suffix == '.pt2':
        raise ValueError(f'half must be False for .pt2, got half=True for {file}; take .onnx')
    network = predictor.make_portable()
    size = sum(values.nbytes for values in network.model.state_dict().values())
    if size > MAX_BYTES:
        raise ValueError(
            f'weights must have less than {MAX_BYTES:.0e} bytes for one file, got {size}; take a '
            'smaller model'
        )
    meta = json.dumps(describe_model(predictor, network, checkpoint))
    with _as_exported():
        traced = torch.export.export(
            _Portable(network).eval(),
            tuple(network.inputs.values()),
            dynamic_shapes=(tuple(list_axes(network)),),
        )
        if suffix == '.pt2':
            with write_atomically(file) as temporary:
                torch.export.save(traced, temporary, extra_files={KEY: meta})
            return
        for name in ('onnx', 'onnxscript', *(('openvino',) if suffix == '.xml' else ())):
            _need(name, suffix)
        program: Any = torch.onnx.export(
            traced,
            opset_version=OPSET,
            input_names=list(network.inputs),
            output_names=list(network.outputs),
            verbose=False,
        )
    program.model.metadata_props[KEY] = meta
    if suffix == '.xml':
        _write_openvino(program.model_proto, file, meta, half)
        return
    with write_atomically(file) as temporary:
        if half:
            temporary.write_bytes(round_matrices(program.model_proto).SerializeToString())
        else:
            program.save(str(temporary), external_data=False)


def round_matrices(model: Any) -> Any:
    """Keep the matrices of an ONNX model as float16; they are float32 again when it is loaded.

    Args:
        model: An `onnx.ModelProto`, which is changed.
    """
    from onnx import TensorProto, helper, numpy_helper

    casts = []
    for weights in model.graph.initializer:
        if weights.data_type == TensorProto.FLOAT and len(weights.dims) > 1:
            name, values = weights.name, numpy_helper.to_array(weights)
            weights.CopyFrom(numpy_helper.from_array(values.astype(np.float16), f'{name}_half'))
            casts.append(helper.make_node('Cast', [f'{name}_half'], [name], to=TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return model


def _write_openvino(model: Any, file: str | Path, meta: str, half: bool) -> None:
    """Write an ONNX model as OpenVINO's .xml and .bin."""
    import openvino

    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / 'model.onnx'
        source.write_bytes(model.SerializeToString())
        converted = openvino.convert_model(source)
    converted.set_rt_info(meta, [KEY])
    Path(file).parent.mkdir(parents=True, exist_ok=True)
    openvino.save_model(converted, file, compress_to_fp16=half)


def _need(package: str, suffix: str) -> None:
    try:
        importlib.import_module(package)
    except ImportError as error:
        extra = 'openvino' if package == 'openvino' else 'onnx'
        raise ImportError(
            f'{package} must be installed to write {suffix}, got none; '
            f'pip install "mmotion[{extra}]"'
        ) from error


def list_axes(network: PortableNetwork) -> Iterator[dict[int, Any]]:
    """The axes of each input whose sizes are free, for torch."""
    names = {size for sizes in network.free.values() for size in sizes.values()}
    # one object a name: what has the same name has the same size
    dims = {name: torch.export.Dim(name, min=1) for name in names}
    for name in network.inputs:
        yield {axis: dims[size] for axis, size in network.free[name].items()}


def describe_model(
    predictor: Predictor[Any], network: PortableNetwork, checkpoint: str | None
) -> dict[str, Any]:
    """The metadata of a file, see `mmotion.inference.exported`."""
    config: Config = predictor.config
    kind = type(predictor)
    return {
        'mmotion_version': __version__,
        'name': Path(config.filename or 'config').stem,
        'module': kind.__module__,
        'predictor': kind.__name__,
        'config': describe_config(config),
        'inputs': {
            name: (list(values.shape), str(values.dtype).removeprefix('torch.'))
            for name, values in network.inputs.items()
        },
        'outputs': list(network.outputs),
        **describe_weights(config, checkpoint),
        **network.meta,
    }


def compare_file(
    predictor: Predictor[Any],
    file: str | Path,
    video: Video,
    *,
    times: int = 3,
    limit: float = MAX_DIFFERENCE,
) -> Comparison:
    """Predict a video by a model and by a file that was made of it, in turns.

    Args:
        predictor: The model's.
        file: Made by `export_model`.
        video: A file, or frames that can be read again.
        times: How often each; the shortest time counts.
        limit: Largest difference, see `compare_results`.

    Raises:
        ValueError: If they differ in more than roundings.
    """
    other = load_exported(file)
    seconds: dict[str, list[float]] = {'eager': [], 'file': []}
    results = {}
    for _ in range(times):
        for name, each in (('eager', predictor), ('file', other)):
            start = time.perf_counter()
            results[name] = each.predict(video)
            seconds[name].append(time.perf_counter() - start)
    eager, found = (list_entries(results[name]) for name in ('eager', 'file'))
    difference = compare_results(eager, found)
    if difference > limit:
        raise ValueError(
            f'{file} must answer as its model within {limit:g}, got a difference of '
            f'{difference:.2g}'
        )
    return Comparison(
        difference=difference,
        eager_s=min(seconds['eager']),
        file_s=min(seconds['file']),
        num_frames=results['eager'].num_frames,
    )


def compare_results(first: Any, second: Any, where: str = 'result') -> float:
    """The largest difference of two results, as a share of the largest number in its list.

    Args:
        first: Plain JSON types, arrays, and iterators of these.
        second: The same.
        where: What they are, for messages.

    Raises:
        ValueError: If they differ in a word, a whole number or a length.

    Example:
        >>> compare_results({'label': 'run', 'x': [2.0, 1.0]}, {'label': 'run', 'x': [2.0, 1.1]})
        0.05...
    """
    if isinstance(first, Iterator) and isinstance(second, Iterator):
        return compare_results(list(first), list(second), where)
    if isinstance(first, Mapping) and isinstance(second, Mapping) and [*first] == [*second]:
        pairs = [(first[name], second[name], f'{where}.{name}') for name in first]
        return max((compare_results(*pair) for pair in pairs), default=0.0)
    one, other = _read_numbers(first), _read_numbers(second)
    if one is not None and other is not None and one.shape == other.shape:
        if (np.isnan(one) != np.isnan(other)).any():
            # a number in place of none is not near
            return math.inf
        scale = np.nanmax(np.abs([one, other]), initial=np.finfo(float).tiny)
        return float(np.nanmax(np.abs(one - other), initial=0.0) / scale)
    if isinstance(first, list) and isinstance(second, list) and len(first) == len(second):
        pairs = [
            (a, b, f'{where}[{i}]') for i, (a, b) in enumerate(zip(first, second, strict=True))
        ]
        return max((compare_results(*pair) for pair in pairs), default=0.0)
    if not np.array_equal(cast('Any', first), cast('Any', second)):
        raise ValueError(f'{where} must be {first}, as the model says, got {second}')
    return 0.0


def _read_numbers(values: Any) -> NDArray[np.float64] | None:
    """Numbers that need not be the same to the last digit, as an array; None for anything else."""
    if isinstance(values, Rounded):
        values = values.values
    if isinstance(values, float) or (isinstance(values, np.ndarray) and values.dtype.kind == 'f'):
        return np.asarray(values, np.float64)
    if isinstance(values, list) and values and all(isinstance(v, float | None) for v in values):
        return np.array(values, np.float64)
    return None


@contextmanager
def _as_exported() -> Iterator[None]:
    """While the block runs, torch writes transformers as what they consist of, and is quiet."""
    is_fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter('ignore')
        try:
            yield
        finally:
            torch.backends.mha.set_fastpath_enabled(is_fast)
