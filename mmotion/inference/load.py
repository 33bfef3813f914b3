"""From a config and a checkpoint, or from an exported file, to a predictor.

What a config needs is imported when one is loaded: an exported model runs without torch.
"""

import contextlib
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmotion.inference.exported import load_exported
from mmotion.inference.predictor import Predictor
from mmotion.inference.runtimes import is_exported

if TYPE_CHECKING:
    from mmengine.config import Config

# where there is torch, its checkpoints are read safely from now on, whoever reads them
with contextlib.suppress(ModuleNotFoundError):
    import mmotion.checkpoint  # noqa: F401


def load_model(
    config: 'str | Path | Config',
    checkpoint: str | Path | None = None,
    *,
    device: str | None = None,
) -> Predictor[Any]:
    """Build the model and the predictor of a config.

    What the checkpoint says of the data that it was trained on, the names of classes for instance,
    is in `model.dataset_meta`, a dictionary.

    Args:
        config: Path of a config, bare name of a bundled one such as 'repnet_shapes', or a config;
            what "mmotion publish" wrote, a folder, or 'hf:OWNER/NAME' on the Hugging Face Hub; or
            a file of "mmotion export", which holds all, needs no torch and runs on the CPU.
        checkpoint: File with the weights, or a name of "mmotion models"; None takes those of the
            config, which ship with it or are fetched, and 'random' none at all, for a model that
            knows nothing.
        device: 'cpu', 'cuda', 'cuda:1', ...; None takes a GPU if there is one.

    Raises:
        FileNotFoundError: If there is no such config.
        ImportError: If the runtime of an exported file is not installed.
        ValueError: If the config names no predictor, the device is not there, or an exported file
            is asked for other weights or another device.
        CheckpointError: If there are no weights, or they cannot be read or do not fit.
    """
    if isinstance(config, str | Path) and is_exported(config):
        if checkpoint is not None or device not in (None, 'cpu'):
            raise ValueError(
                'checkpoint and device must be left out for a model that was exported, got '
                f'checkpoint={checkpoint!r}, device={device!r} with {config}; export the model '
                'with what it asks for'
            )
        return load_exported(config)
    from mmengine.config import Config

    from mmotion.config import import_modules, load_config
    from mmotion.inference.published import is_published, read_published

    if isinstance(config, Config):
        # it may come from another process
        import_modules(config.get('custom_imports'), config.filename)
    else:
        config = read_published(config) if is_published(config) else load_config(config)
    if not config.get('predictor'):
        raise ValueError(
            f'config must have the key predictor, got none in {config.filename}; add '
            "predictor = dict(type='...') with a name of the registry PREDICTORS"
        )
    return _build_predictor(config, checkpoint, device)


def _build_predictor(
    config: 'Config', checkpoint: str | Path | None, device: str | None
) -> Predictor[Any]:
    """Build what `load_model` found, with its weights."""
    from mmengine.logging import print_log

    from mmotion.checkpoint import find_weights, load_weights
    from mmotion.checkpoint.carried import built_for
    from mmotion.checks import choose_device
    from mmotion.registry import MODELS, PREDICTORS

    device = choose_device(device)
    checkpoint = find_weights(config, checkpoint)
    with built_for(checkpoint):
        model = MODELS.build(config.model)
    meta: Any = {}
    if checkpoint is None:
        print_log('the weights are random, as was asked for', 'current', logging.WARNING)
    else:
        meta = load_weights(model, checkpoint).get('meta')
    # other programs may mean something else by these names
    dataset_meta = meta.get('dataset_meta') if isinstance(meta, Mapping) else None
    model.dataset_meta = dataset_meta if isinstance(dataset_meta, Mapping) else {}
    model.to(device).eval()
    return PREDICTORS.build(
        config.predictor, default_args={'config': config, 'model': model, 'device': device}
    )
