"""The kinds of cases, and how many of each there are in 3,000."""

from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import NamedTuple

from tests.fuzz import commands, doors
from tests.fuzz.verdict import Case


class Kind(NamedTuple):
    """A door, and its share of the cases."""

    door: Callable[[Random, Path], Case]
    share: float


KINDS = {
    'videos': Kind(doors.video_door, 0.3),
    'pictures': Kind(doors.picture_door, 0.08),
    'checkpoints': Kind(doors.checkpoint_door, 0.1),
    'json': Kind(doors.json_door, 0.13),
    'tables': Kind(doors.table_door, 0.12),
    'arrays': Kind(doors.array_door, 0.07),
    'configs': Kind(commands.config_door, 0.08),
    'config_files': Kind(commands.config_file_door, 0.04),
    'commands': Kind(commands.command_door, 0.08),
}
