"""Arguments that several commands have, and how they are read; imports nothing heavy."""

import argparse
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mmotion.paths import find_config

if TYPE_CHECKING:
    from mmengine.config import Config

DETECTOR_HELP = """detectors of people and keypoints, and what MODEL is for each, if not its own:
  mediapipe      33 points; a Pose Landmarker bundle (.task); pip install "mmotion[pose]"
  keypoint_rcnn  17 points of COCO, by torchvision; its weights (.pth), 226 MB, slow without a GPU
  rtmlib         17 points of COCO, by RTMPose; a folder with a yolox*.onnx and an rtmpose*.onnx, or
                 an RTMO model (.onnx); pip install rtmlib onnxruntime
MODEL is a file, or a name of "mmotion models" such as pose_landmarker_heavy.
"""


def add_config_arguments(parser: argparse.ArgumentParser) -> None:
    """Add a config and the options that change its values."""
    parser.add_argument('config', metavar='CONFIG', help='a file, or the name of a bundled config')
    add_config_options(parser)


def add_config_options(
    parser: argparse.ArgumentParser, option: str = '--cfg-options', what: str = 'the config'
) -> None:
    """Add the options that change values of a config."""
    parser.add_argument(
        option,
        nargs='+',
        action='extend',
        type=_key_value,
        metavar='KEY=VALUE',
        help=f'change values of {what}, e.g. optim_wrapper.optimizer.lr=0.1',
    )


def add_run_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what a run of training or testing can be told."""
    parser.add_argument('--work-dir', metavar='DIR', help='folder for logs and checkpoints')
    parser.add_argument(
        '--launcher',
        choices=('none', 'pytorch', 'slurm'),
        help='what started the processes of a distributed run',
    )
    # launchers before torchrun tell the rank by an argument
    parser.add_argument('--local-rank', '--local_rank', type=int, help=argparse.SUPPRESS)


def add_detector_arguments(parser: argparse.ArgumentParser, summary: str) -> None:
    """Add the choice of a detector of people and keypoints, and what there is to choose from."""
    parser.epilog = DETECTOR_HELP
    parser.add_argument('--detector', metavar='NAME', help=f'{summary}; default: mediapipe')
    parser.add_argument('--model-path', metavar='MODEL', help='of the detector, see below')


def choice_before(place: str, option: str, choices: Sequence[str]) -> Callable[[str], str]:
    """What reads a choice of an option that takes several words, or none, and so what follows it.

    Args:
        place: What should stand before the option, as 'VIDEO'.
        option: As '--draw'.
        choices: At least two.
    """

    def read(text: str) -> str:
        if text in choices:
            return text
        names = f'{", ".join(choices[:-1])} or {choices[-1]}'
        raise argparse.ArgumentTypeError(
            f'must be {names}, got {text!r}; a {place} must stand before {option}'
        )

    return read


def read_config(config: str, cfg_options: list[str] | None, *required: str) -> 'Config':
    """Load the config of a command, and check that it can be used for it.

    Args:
        config: Path or name of a config, or of a published model, see `load_model`.
        cfg_options: What `--cfg-options` was given.
        required: Keys that the config must have.

    Raises:
        FileNotFoundError: If there is no such config.
        ValueError: If it cannot be read, or lacks one of those keys.
    """
    # a wrong name is answered at once, before torch is imported
    is_published = config.startswith('hf:') or Path(config).is_dir()
    if not is_published:
        find_config(config)
    from mmotion.config import load_config, read_options

    options = read_options(cfg_options or ())
    if is_published:
        from mmotion.inference.published import read_published

        loaded = read_published(config, options)
    else:
        loaded = load_config(config, options)
    missing = [key for key in required if loaded.get(key) is None]
    if missing:
        raise ValueError(
            f'a config must have {", ".join(required)} for this command, got '
            f'{loaded.filename} without {", ".join(missing)}'
        )
    return loaded


def set_local_rank(args: argparse.Namespace) -> None:
    """Hand the rank that an old launcher tells by an argument to torch."""
    if args.local_rank is not None:
        os.environ.setdefault('LOCAL_RANK', str(args.local_rank))


def _key_value(text: str) -> str:
    key, separator, _ = text.partition('=')
    if not (key and separator):
        raise argparse.ArgumentTypeError(f'must be KEY=VALUE, got {text!r}')
    return text
