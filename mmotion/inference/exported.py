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

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmotion.inference.lean import import_lean
from mmotion.inference.runtimes import Network, open_network
from mmotion.inference.steps import Step, build_steps


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

    def build_pipeline(self) -> Any:
        """The steps before the network, as a function of a sample."""
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
    settings: Settings = config or model.config
    options = {name: value for name, value in settings['predictor'].items() if name != 'type'}
    return kind(config=settings, model=model, **options)


def find_predictor(network: Network) -> Any:
    """The class of the predictor for a network."""
    return getattr(import_lean(network.meta['module']), network.meta['predictor'])
