"""A model that "mmotion export" wrote to one file, and what runs it: no torch is needed.

The metadata of the file has under the key `mmotion` a JSON object with
    name: of the config
    module, predictor: where the predictor's class is, and its name
    config: what a predictor reads of the config, of which `test_pipeline` says what happens to
        frames before the network; normalisation lies in the network
    classes: their names, if it has any
    what else a system keeps there, such as the threshold of alarms
    checkpoint, licence, mmotion_version: what it was made from
A network may have several parts with inputs and outputs of their own. A part that is not wanted is
given a batch of none.
"""

import json
import os
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mmotion.inference.lean import import_lean
from mmotion.inference.steps import Step, build_steps

KEY = 'mmotion'
# files that hold the weights too
SUFFIXES = ('.onnx',)
# side of a picture in a batch of none
SIDE_PX = 8


class Settings(dict[str, Any]):
    """A config as a predictor reads it, `config.model.backbone.get('num_frames')`.

    Args:
        values: As JSON has them.
    """

    def __init__(self, values: Mapping[str, Any]) -> None:
        nested = {k: Settings(v) if isinstance(v, dict) else v for k, v in values.items()}
        super().__init__(nested)

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None

    def to_dict(self) -> dict[str, Any]:
        """See mmengine's `Config`."""
        return dict(self)


class Network(Protocol):
    """What a runtime runs."""

    meta: Mapping[str, Any]

    def run(self, wanted: Sequence[str], inputs: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
        """Give the outputs of these names for inputs of these names."""
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
        try:
            import onnxruntime
        except ImportError as error:
            raise ImportError(
                f'onnxruntime must be installed to run {file}, got none; pip install onnxruntime'
            ) from error
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = int(os.environ.get('OMP_NUM_THREADS', '0'))
        try:
            self._session = onnxruntime.InferenceSession(
                str(file), options, providers=['CPUExecutionProvider']
            )
        # its own classes of errors have no common base
        except Exception as error:
            raise ValueError(
                f'a model must be an .onnx file that onnxruntime reads, got {file}: {error}'
            ) from error
        content = self._session.get_modelmeta().custom_metadata_map.get(KEY)
        if content is None:
            raise ValueError(
                f'a model must be a file of "mmotion export", got {file} without its metadata; '
                'export it with mmotion'
            )
        self.meta = json.loads(content)
        self._nothing = {part.name: _make_nothing(part) for part in self._session.get_inputs()}

    def run(self, wanted: Sequence[str], inputs: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
        """See `Network`."""
        return self._session.run(list(wanted), {**self._nothing, **inputs})


class Pipeline:
    """Steps one after the other, as mmengine's `Compose`.

    Args:
        transforms: From `mmotion.inference.steps.build_steps`.
    """

    def __init__(self, transforms: Sequence[Step]) -> None:
        self.transforms = transforms

    def __call__(self, results: dict[str, Any]) -> dict[str, Any]:
        """Run all of them."""
        for step in self.transforms:
            results = step(results)
        return results


class ExportedModel:
    """Stands for the model of a predictor: it takes and gives arrays.

    Args:
        network: What runs.

    Attributes:
        meta: Its metadata.
        config: What a predictor reads of the config.
        dataset_meta: The names of the classes, as a checkpoint has them.
    """

    def __init__(self, network: Network) -> None:
        self.network = network
        self.meta = network.meta
        self.config = Settings(network.meta['config'])
        self.dataset_meta = {'classes': network.meta.get('classes') or ()}

    @cached_property
    def pipeline(self) -> Any:
        """The steps before the network."""
        return Pipeline(build_steps(self.config['test_pipeline']))

    def collate(self, packed: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Stack the inputs that the pipeline gave."""
        return {name: np.stack([sample[name] for sample in packed]) for name in packed[0]}

    def __call__(self, *, mode: str = 'predict', **inputs: NDArray[Any]) -> list[SimpleNamespace]:
        """Answer for a batch: for each sample an object with the outputs as its fields."""
        outputs = self.network.run(self.meta['outputs'], inputs)
        columns = dict(zip(self.meta['outputs'], outputs, strict=True))
        number = len(outputs[0])
        return [
            SimpleNamespace(**{name: values[i] for name, values in columns.items()})
            for i in range(number)
        ]


def is_exported(path: str | Path) -> bool:
    """Whether a model is named by a file that was exported."""
    return Path(path).suffix.lower() in SUFFIXES


def open_network(file: str | Path) -> Network:
    """Open a file of "mmotion export" by the runtime for its format.

    Raises:
        FileNotFoundError: If it is not there.
        ImportError: If the runtime is not installed.
        ValueError: If it is another file.
    """
    if not Path(file).is_file():
        raise FileNotFoundError(f'a model must be a file, got {file}; export it with mmotion')
    return OnnxNetwork(file)


def load_exported(source: str | Path | Network, config: Settings | None = None) -> Any:
    """The predictor for a file of "mmotion export".

    Args:
        source: Such as 'repnet_small.onnx', or what `open_network` made of it.
        config: What is in the file, with other arguments of the predictor.

    Raises:
        FileNotFoundError: If it is not there.
        ImportError: If the runtime is not installed.
        ValueError: If it is another file.
    """
    network = open_network(source) if isinstance(source, str | Path) else source
    kind = find_predictor(network)
    model = kind.exported_type(network)
    config = config or model.config
    options = {name: value for name, value in config['predictor'].items() if name != 'type'}
    return kind(config=config, model=model, **options)


def find_predictor(network: Network) -> Any:
    """The class of the predictor for a network."""
    return getattr(import_lean(network.meta['module']), network.meta['predictor'])


def _make_nothing(part: Any) -> NDArray[Any]:
    """A batch of none for an input of onnxruntime; sizes that may vary have names instead."""
    shape = [size if isinstance(size, int) else SIDE_PX for size in part.shape]
    kind = {'tensor(uint8)': np.uint8, 'tensor(int64)': np.int64}.get(part.type, np.float32)
    return np.zeros([0, *shape[1:]], kind)
