"""Which clips are of one recording, and how to part a collection without parting a recording.

Clips that were cut from one recording look alike: of one that is in two parts, the second part
measures what was learnt by heart. A file names its recording: `v_Archery_g01_c02.avi` (UCF101) is
of `v_Archery_g01`, `<id>_<start>_<end>.mp4` with six digits a time (Kinetics) of `<id>`. Of other
names each file is taken for a recording, unless a pattern says what names it.
"""

import logging
import re
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

from mmengine.logging import print_log

GroupFinder: TypeAlias = Callable[[Path], str]

KNOWN_NAMES = r'(.+_g\d+)_c\d+$|(.+)_\d{6}_\d{6}$'


def make_group_finder(pattern: str | None = None) -> GroupFinder:
    """Make what names the recording of a file.

    Args:
        pattern: Regular expression that finds the name in that of the file without its suffix: its
            first group in parentheses or the whole match; None goes by the names above.

    Raises:
        ValueError: If it is no regular expression; or, when asked, does not match.

    Example:
        >>> make_group_finder()(Path('Archery/v_Archery_g01_c02.avi'))
        'v_Archery_g01'
    """
    try:
        search = re.compile(KNOWN_NAMES if pattern is None else pattern).search
    except re.error as error:
        raise ValueError(
            f'group_pattern must be a regular expression, got group_pattern={pattern!r} ({error})'
        ) from error

    def find_group(path: Path) -> str:
        match = search(path.stem)
        if match is None and pattern is not None:
            raise ValueError(
                f'group_pattern must match all file names, got group_pattern={pattern!r} and {path}'
            )
        return str(path) if match is None else next(filter(None, match.groups()), match[0])

    return find_group


def hold_out(
    classes: Mapping[str, Sequence[Path]], find_group: GroupFinder, val_share: float
) -> set[Path]:
    """Choose whole recordings, of each class about the same share of its clips.

    Args:
        classes: Clips by class.
        find_group: See `make_group_finder`.
        val_share: Share of the clips to hold out, in (0, 1). A class with two recordings has one
            on each side at least; that of a single recording is not held out.

    Returns:
        The clips that are held out, the same in whatever order they come: those that fit best, and
        of these the last ones by name.
    """
    is_val: dict[str, bool] = {}
    # by their first clips
    sizes = [Counter(map(find_group, sorted(paths))) for paths in classes.values()]
    # a class with few recordings has the least choice
    for groups in sorted(sizes, key=len):
        free = [group for group in reversed(groups) if group not in is_val]
        num_train = sum(not is_val.get(group) for group in groups)
        held = [group for group in groups if is_val.get(group)]
        missing = val_share * groups.total() - sum(groups[group] for group in held)
        while free and num_train > 1:
            left = [abs(missing - groups[group]) for group in free]
            if held and min(left) >= abs(missing):
                break
            group = free.pop(left.index(min(left)))
            held.append(group)
            missing, num_train = missing - groups[group], num_train - 1
        is_val |= dict.fromkeys(held, True) | dict.fromkeys(free, False)
    return {path for paths in classes.values() for path in paths if is_val[find_group(path)]}


def describe_split(
    classes: Mapping[str, Sequence[Path]], held_out: Collection[Path], find_group: GroupFinder
) -> str:
    """What was held out, in a line."""
    paths = [path for paths in classes.values() for path in paths]
    groups = {find_group(path) for path in paths}
    held_groups = {find_group(path) for path in held_out}
    without = [name for name, paths in classes.items() if not {*paths} & {*held_out}]
    text = (
        f'{len(held_out)} of {len(paths)} videos are held out, {len(held_groups)} of '
        f'{len(groups)} recordings'
    )
    if len(groups) == len(paths):
        text += ' (each file is taken for one: give a group_pattern if some are of the same)'
    if without:
        text += f'; none of {", ".join(without)}, which must have a second recording'
    return text


def warn_of_leaks(parts: Mapping[str, Collection[str]], where: str | Path) -> None:
    """Warn of recordings that are in several parts.

    Args:
        parts: Names of the recordings of each part.
        where: What was parted.
    """
    times = Counter(group for groups in parts.values() for group in {*groups})
    shared = sorted(group for group, number in times.items() if number > 1)
    if shared:
        print_log(
            f'{len(shared)} of {len(times)} recordings are in several of {", ".join(parts)} in '
            f'{where}, such as {shared[0]}: what is measured on them is too good; part the clips '
            'by recording',
            logger='current',
            level=logging.WARNING,
        )
