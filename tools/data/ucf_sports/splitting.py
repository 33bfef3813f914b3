"""Divide clips into train, val and test by recording, and multiply them by augmentation."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from projects.anomaly.transforms import KINDS, Augmentation


@dataclass(frozen=True)
class Clip:
    """A video of a class.

    Attributes:
        path: Below OUT, or absolute.
        class_name: Name of its class.
        group: Recording that it is a part of.
    """

    path: str
    class_name: str
    group: str


def split_groups(
    clips: Sequence[Clip], val_share: float, test_share: float, *, seed: int
) -> dict[str, str]:
    """Divide the recordings into train, val and test, with the classes alike in all of them.

    Classes with few recordings choose first. A class needs train most, then val: what it never saw
    would raise alarms on normal clips, and what val lacks is missing from the threshold.

    Returns:
        The part of each recording.
    """
    sizes: dict[str, Counter[str]] = defaultdict(Counter)
    for clip in clips:
        sizes[clip.class_name][clip.group] += 1
    parts: dict[str, str] = {}
    for name in sorted(sizes, key=lambda name: (len(sizes[name]), name)):
        groups = sizes[name]
        free = sorted(group for group in groups if group not in parts)
        Random(f'{seed} {name}').shuffle(free)
        has_train = any(parts.get(group) == 'train' for group in groups)
        for part, share in (('val', val_share), ('test', test_share)):
            goal = share * groups.total()
            have = sum(n for group, n in groups.items() if parts.get(group) == part)
            while have < goal and len(free) > (not has_train):
                fitting = [group for group in free if groups[group] <= goal - have]
                if have and not fitting:
                    break
                group = fitting[0] if fitting else min(free, key=lambda group: groups[group])
                free.remove(group)
                parts[group] = part
                have += groups[group]
        parts |= dict.fromkeys(free, 'train')
    for groups in sizes.values():
        # where other classes took them all
        if 'train' not in {parts[group] for group in groups}:
            parts[max(groups, key=lambda group: groups[group])] = 'train'
    return parts


def balance(
    clips: Sequence[Clip], num_clips: int, *, kinds: Sequence[str], seed: int
) -> list[tuple[Clip, str]]:
    """Make as many clips as asked for: each as it is, then each in turn augmented, all different.

    Args:
        clips: Clips of one class.
        num_clips: How many; 0 takes them as they are. Of more than these, some are drawn.
        kinds: How they may be augmented.
        seed: Of what is drawn.

    Returns:
        Clips with the text of their augmentation; fewer if there are no more different ones.
    """
    if not num_clips or not clips:
        return [(clip, '') for clip in clips]
    order = sorted(clips, key=lambda clip: clip.path)
    Random(f'{seed} {order[0].class_name}').shuffle(order)
    # in the order that they are made, each once
    made = dict.fromkeys((clip, '') for clip in order[:num_clips])
    rounds = 1
    while len(made) < num_clips and rounds < 4 * num_clips:
        for clip in order[: num_clips - len(made)]:
            augmentation = sample_augmentation(Random(f'{seed} {clip.path} {rounds}'), kinds)
            made[clip, str(augmentation)] = None
        rounds += 1
    return [*made]


def sample_augmentation(rng: Random, kinds: Sequence[str]) -> Augmentation:
    """Draw an augmentation of moderate size: 0.8 of the frame at least, 0.8 to 1.25 times as fast.

    Args:
        rng: Where it is drawn from.
        kinds: What may change.
    """

    def between(low: float, high: float) -> float:
        return round(rng.uniform(low, high), 3)

    size = between(0.8, 1.0)
    drawn = {
        'flip': rng.random() < 0.5,
        'crop': (between(0, 1 - size), between(0, 1 - size), size),
        'speed': between(0.8, 1.25),
        'color': (*(between(0.8, 1.2) for _ in range(3)), between(-0.03, 0.03)),
    }
    return Augmentation(**{kind: drawn[kind] for kind in KINDS if kind in kinds})
