"""Trackers of experiments: programs that show the curves of many runs, TensorBoard and others.

mmengine writes to them (`visualizer.vis_backends` of a config); each is a package of its own.
"""

import importlib.util
from collections.abc import Sequence

from mmengine.config import Config

# what `mmotion train --logger` knows
LOGGERS = {'tensorboard': 'TensorboardVisBackend', 'wandb': 'WandbVisBackend'}
# backend of mmengine: its package, and what to install
_PACKAGES = {
    'TensorboardVisBackend': ('tensorboard', 'mmotion[track]'),
    'WandbVisBackend': ('wandb', 'mmotion[track]'),
    'MLflowVisBackend': ('mlflow', 'mlflow'),
    'ClearMLVisBackend': ('clearml', 'clearml'),
    'NeptuneVisBackend': ('neptune', 'neptune'),
    'DVCLiveVisBackend': ('dvclive', 'dvclive'),
    'AimVisBackend': ('aim', 'aim'),
}


def add_loggers(config: Config, names: Sequence[str]) -> None:
    """Let a run write to trackers as well, besides those of its config.

    Args:
        config: Changed in place.
        names: Keys of `LOGGERS`.

    Raises:
        ValueError: If one is not installed, or W&B is not told whose account it is.
    """
    if not names:
        return
    visualizer = config.get('visualizer') or {'type': 'Visualizer'}
    backends = list(visualizer.get('vis_backends') or ())
    known = {backend.get('type') for backend in backends}
    wanted = [LOGGERS[name] for name in dict.fromkeys(names)]
    backends += [{'type': kind} for kind in wanted if kind not in known]
    config.visualizer = {**visualizer, 'vis_backends': backends}
    check_trackers(config)
    if 'wandb' in names:
        _log_in()


def check_trackers(config: Config) -> None:
    """Refuse a tracker that is not installed.

    Raises:
        ValueError: If there is one.
    """
    for number, backend in enumerate((config.get('visualizer') or {}).get('vis_backends') or ()):
        package, extra = _PACKAGES.get(backend.get('type'), ('', ''))
        if package and importlib.util.find_spec(package) is None:
            raise ValueError(
                f'a tracker must be installed, got visualizer.vis_backends.{number}.type='
                f'{backend["type"]} and no package {package}; pip install "{extra}"'
            )


def _log_in() -> None:
    """Say before any work starts what W&B would raise in the middle, in its own words."""
    wandb = importlib.import_module('wandb')
    try:
        wandb.login()
    except wandb.errors.UsageError as error:
        raise ValueError(
            f'W&B must know whose account it writes to, got "{error}"; run "wandb login", or set '
            'WANDB_MODE=offline and send it later by "wandb sync"'
        ) from error
