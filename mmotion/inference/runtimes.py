"""What runs a network that "mmotion export" wrote, by the suffix of its file.

.onnx by onnxruntime, .xml with its .bin by OpenVINO, .pt2 by PyTorch.
"""

import importlib
import json
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mmotion.checks import read_num_threads

# where the metadata is in a file
KEY = 'mmotion'
# of inputs, as onnxruntime calls them
ONNX_TYPES = {'tensor(uint8)': np.uint8, 'tensor(int64)': np.int64, 'tensor(float)': np.float32}


class Network(Protocol):
    """What a runtime runs.

    Attributes:
        meta: The metadata, see `mmotion.inference.exported`.
    """

    meta: Mapping[str, Any]

    def run(self, wanted: Sequence[str], inputs: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
        """Give the outputs of these names; a part whose inputs are not given says nothing."""
        ...


class OnnxNetwork:
    """A network that onnxruntime runs on the CPU, on as many threads as OMP_NUM_THREADS says.

    Args:
        file: An .onnx file of `mmotion export`.

    Raises:
        ImportError: If onnxruntime is not installed.
        ValueError: If the file is another one.
    """

    def __init__(self, file: str | Path) -> None:
        onnxruntime = _import_runtime('onnxruntime', file)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = read_num_threads()
        try:
            self._session = onnxruntime.InferenceSession(
                str(file), options, providers=['CPUExecutionProvider']
            )
        # its own classes of errors have no common base
        except Exception as error:
            raise ValueError(
                f'a model must be an .onnx file that onnxruntime reads, got {file}: {error}'
            ) from error
        self.meta = _read_meta(self._session.get_modelmeta().custom_metadata_map.get(KEY), file)
        self._nothing = {
            part.name: np.zeros([0, *_fix(part.shape[1:])], ONNX_TYPES[part.type])
            for part in self._session.get_inputs()
        }

    def run(self, wanted: Sequence[str], inputs: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
        """See `Network`."""
        return self._session.run(list(wanted), {**self._nothing, **inputs})


class OpenVinoNetwork:
    """A network that OpenVINO runs on the CPU.

    Args:
        file: An .xml file of `mmotion export`, beside which its .bin lies.

    Raises:
        ImportError: If openvino is not installed.
        ValueError: If the file is another one.
    """

    def __init__(self, file: str | Path) -> None:
        openvino = _import_runtime('openvino', file)
        core = openvino.Core()
        try:
            model = core.read_model(file)
        except RuntimeError as error:
            raise ValueError(
                f'a model must be an .xml file that OpenVINO reads, got {file}: {error}'
            ) from error
        has_meta = model.has_rt_info([KEY])
        self.meta = _read_meta(model.get_rt_info([KEY]).astype(str) if has_meta else None, file)
        # the default of some processors is bfloat16
        options = {'INFERENCE_PRECISION_HINT': 'f32'}
        threads = read_num_threads()
        if threads:
            options['INFERENCE_NUM_THREADS'] = str(threads)
        self._compiled = core.compile_model(model, 'CPU', options)
        self._blank = _make_blank(self.meta)

    def run(self, wanted: Sequence[str], inputs: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
        """See `Network`."""
        found = self._compiled({**self._blank, **inputs})
        return [found[name] for name in wanted]


class TorchNetwork:
    """A network that torch exported and runs itself.

    Args:
        file: A .pt2 file of `mmotion export`.

    Raises:
        ImportError: If torch is not installed.
        ValueError: If the file is another one.
    """

    def __init__(self, file: str | Path) -> None:
        self._torch = torch = _import_runtime('torch', file)
        content = {KEY: ''}
        try:
            program = torch.export.load(file, extra_files=content)
        except (RuntimeError, ValueError, KeyError, OSError, zipfile.BadZipFile) as error:
            raise ValueError(
                f'a model must be a .pt2 file that torch reads, got {file}: {error}'
            ) from error
        self.meta = _read_meta(content[KEY], file)
        self._module = program.module()
        self._blank = _make_blank(self.meta)

    def run(self, wanted: Sequence[str], inputs: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
        """See `Network`."""
        given = {**self._blank, **inputs}
        tensors = [self._torch.from_numpy(np.array(given[name])) for name in self.meta['inputs']]
        with self._torch.inference_mode():
            found = self._module(*tensors)
        names = self.meta['outputs']
        return [found[names.index(name)].numpy() for name in wanted]


RUNTIMES = {'.onnx': OnnxNetwork, '.xml': OpenVinoNetwork, '.pt2': TorchNetwork}


def is_exported(path: str | Path) -> bool:
    """Whether a model is named by a file that was exported."""
    return Path(path).suffix.lower() in RUNTIMES


def open_network(file: str | Path) -> Network:
    """Open a file of "mmotion export" by the runtime for its format.

    Raises:
        FileNotFoundError: If it is not there.
        ImportError: If the runtime is not installed.
        ValueError: If it is another file.
    """
    if not Path(file).is_file():
        raise FileNotFoundError(f'a model must be a file, got {file}; export it with mmotion')
    return RUNTIMES[Path(file).suffix.lower()](file)


def _import_runtime(name: str, file: str | Path) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ImportError(
            f'{name} must be installed to run {file}, got none; pip install {name}'
        ) from error


def _read_meta(content: str | None, file: str | Path) -> dict[str, Any]:
    if not content:
        raise ValueError(
            f'a model must be a file of "mmotion export", got {file} without its metadata; '
            'export it with mmotion'
        )
    return json.loads(content)


def _fix(shape: Sequence[int | str]) -> list[int]:
    """A shape whose free sizes, which have names, are 1."""
    return [size if isinstance(size, int) else 1 for size in shape]


def _make_blank(meta: Mapping[str, Any]) -> dict[str, NDArray[Any]]:
    """A batch of one of each input, for parts that nobody asks: not all runtimes take none."""
    return {name: np.zeros([1, *shape[1:]], kind) for name, (shape, kind) in meta['inputs'].items()}
