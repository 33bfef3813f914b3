"""What is said at the end of a training: how good it got, where the weights are, what is next."""

import os
import shlex
from pathlib import Path
from typing import Any

from mmotion.checkpoint.files import find_last_checkpoint

# of mmengine's message hub
SCORE, FILE = 'best_score', 'best_ckpt'
# seconds of each step, the first until it has its batch
WAITED, WHOLE = 'train/data_time', 'train/time'


def describe_end(runner: Any, config: str) -> str:
    """Say how a training ended, in a few lines.

    Args:
        runner: mmengine's, after `train`.
        config: What a command is told to find the config.
    """
    hub = runner.message_hub
    last = find_last_checkpoint(_shorten(runner.work_dir))
    lines = [f'training is done: {runner.work_dir}']
    known = hub.runtime_info
    best: Path | None = None
    for key in [key for key in known if key.startswith(FILE)]:
        file = _shorten(known[key])
        best = best or file
        # with several metrics, each has its name behind
        score = known.get(SCORE + key.removeprefix(FILE))
        name = key.removeprefix(FILE).lstrip('_') or _name_metric(runner)
        lines.append(f'best {name} {score:.4g}: {file}')
    lines += [f'last checkpoint: {last}'] if last else []
    # what is fitted at once, without steps, has none
    if WAITED in hub.log_scalars:
        waited, whole = (hub.log_scalars[key].data[0].sum() for key in (WAITED, WHOLE))
        lines.append(f'waited for data {waited / whole:.0%} of the time of the steps')
    chosen = best or last
    if chosen:
        words = [shlex.quote(str(word)) for word in (config, chosen)]
        asked = [
            (f'mmotion test {words[0]} {words[1]}', 'test_evaluator'),
            (f'mmotion predict {words[0]} VIDEO --checkpoint {words[1]}', 'predictor'),
        ]
        commands = [command for command, key in asked if runner.cfg.get(key)]
        lines += [f'next: {command}' for command in commands]
    return '\n'.join(lines)


def _shorten(path: str | Path) -> Path:
    """A path from here, if it is below."""
    short = os.path.relpath(path)
    return Path(path if short.startswith(os.pardir) else short)


def _name_metric(runner: Any) -> str:
    """The metric by which the best checkpoint was chosen."""
    names = [getattr(hook, 'key_indicators', None) or () for hook in runner.hooks]
    return next((names[0] for names in names if names), 'score')
