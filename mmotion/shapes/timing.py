"""When something repeats in a generated video, in seconds, and when its frames were taken.

Shape letters in this file: N moments or frames, C cycles of a set.
"""

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline

from .scene import FloatArray

# of cycles, in seconds
SHORTEST_S, LONGEST_S = 0.3, 30.0
MAX_COUNT = 40
# frames per second of cameras and of files
FRAME_RATES = (10, 12, 15, 20, 24, 25, 29.97, 30, 30, 30, 48, 50, 59.94, 60, 60, 90, 120, 240)
NO_SETS = 0.14
# share of the videos that are slow motion, and time lapse
SLOW, FAST = 0.1, 0.07


@dataclass(frozen=True)
class RepetitionSet:
    """Repetitions one after the other.

    Attributes:
        ends_s: When each cycle begins and the last one ends, (C + 1,).
        holds: Share of each cycle that is spent in one position, in [0, 1), (C,).
        hold_at: The phase of that position, in [0, 1).
    """

    ends_s: FloatArray
    holds: FloatArray
    hold_at: float = 0.0

    @property
    def count(self) -> int:
        """Cycles C."""
        return len(self.holds)

    @property
    def start_s(self) -> float:
        """When the first cycle begins."""
        return float(self.ends_s[0])

    @property
    def end_s(self) -> float:
        """When the last cycle ends."""
        return float(self.ends_s[-1])

    def pose_phase(self, cycles: FloatArray) -> FloatArray:
        """The phase of the motion after so many cycles in time, both (N,): it waits in a hold."""
        number = np.clip(np.floor(cycles), 0, self.count - 1)
        hold, phase = self.holds[number.astype(int)], cycles - number
        # before, in and after the hold, which lies in the middle of the time left to the motion
        start = self.hold_at * (1 - hold)
        moving = np.where(phase < start, phase, np.maximum(phase - hold, start))
        return number + moving / (1 - hold)


@dataclass(frozen=True)
class RepetitionLabels:
    """The truth at N moments; every array is (N,).

    Attributes:
        cycles: Repetitions done in the whole video so far, never falling.
        period_s: Length of the cycle that is going on, 0 where nothing repeats.
        set_number: Of the set, from 1 on, 0 where nothing repeats.
    """

    cycles: FloatArray
    period_s: FloatArray
    set_number: NDArray[np.int64]

    @property
    def repeats(self) -> NDArray[np.bool_]:
        """Whether a repetition is going on."""
        return self.set_number > 0

    @property
    def phase(self) -> FloatArray:
        """How much of the cycle is done, in [0, 1); 0 where nothing repeats."""
        return np.where(self.repeats, self.cycles % 1, 0.0)


@dataclass(frozen=True, kw_only=True)
class Timeline:
    """What happens when in a video.

    Attributes:
        duration_s: Length of the video.
        sets: In their order; they do not overlap.
        cuts_s: When another scene begins, never within a set.
        dissolves_s: How long the two scenes are seen at once, around each cut; 0 for a hard one.
        tempo: How fast everything happens, above 1 in time lapse, below 1 in slow motion.
    """

    duration_s: float
    sets: tuple[RepetitionSet, ...]
    cuts_s: tuple[float, ...] = ()
    dissolves_s: tuple[float, ...] = ()
    tempo: float = 1.0

    def label(self, times: FloatArray) -> RepetitionLabels:
        """The truth at these seconds (N,)."""
        cycles, period = np.zeros(len(times)), np.zeros(len(times))
        set_number = np.zeros(len(times), np.int64)
        for number, one in enumerate(self.sets, 1):
            cycles += np.interp(times, one.ends_s, np.arange(one.count + 1))
            inside = (times >= one.start_s) & (times < one.end_s)
            cycle = np.searchsorted(one.ends_s, times[inside], 'right') - 1
            period[inside] = np.diff(one.ends_s)[cycle]
            set_number[inside] = number
        return RepetitionLabels(cycles, period, set_number)


@dataclass(frozen=True)
class Wander:
    """Random smooth curves of unit size that do not repeat, at any time of a stretch."""

    curve: CubicSpline = field(repr=False)

    @classmethod
    def sample(
        cls,
        rng: np.random.Generator,
        span_s: tuple[float, float],
        spacing_s: float,
        *shape: int,
    ) -> 'Wander':
        """One knot each `spacing_s`, curves of this shape; constant beyond the span."""
        start, end = span_s
        num_knots = min(max(4, math.ceil((end - start) / spacing_s) + 2), 5000)
        knots = np.linspace(start, end, num_knots)
        return cls(CubicSpline(knots, rng.standard_normal((num_knots, *shape))))

    def __call__(self, times: FloatArray) -> FloatArray:
        """The curves at these seconds (N,), (N, *shape)."""
        return self.curve(np.clip(times, self.curve.x[0], self.curve.x[-1]))


def sample_tempo(rng: np.random.Generator) -> float:
    """Choose whether a video is slow motion, time lapse or neither."""
    kind = rng.random()
    if kind < SLOW:
        return float(np.exp(rng.uniform(math.log(1 / 8), math.log(1 / 2))))
    if kind < SLOW + FAST:
        return float(np.exp(rng.uniform(math.log(1.5), math.log(6))))
    return 1.0


def sample_timeline(
    rng: np.random.Generator, duration_s: tuple[float, float], period_s: float, tempo: float
) -> Timeline:
    """Choose sets, rests and cuts.

    Args:
        rng: Source of the choices.
        duration_s: Shortest and longest video.
        period_s: Typical length of a cycle at tempo 1.
        tempo: See `Timeline`.
    """
    shortest, longest = duration_s
    budget = math.exp(rng.uniform(math.log(shortest), math.log(longest)))
    if rng.random() < NO_SETS:
        cuts = np.sort(rng.uniform(0, budget, rng.choice(3, p=(0.6, 0.25, 0.15))))
        return _with_cuts(rng, budget, (), [float(cut) for cut in cuts], tempo)
    period = period_s * math.exp(rng.normal(0, 0.35)) / tempo
    period = float(np.clip(period, 1.3 * SHORTEST_S, min(LONGEST_S / 1.3, longest / 2.8)))
    budget = max(budget, min(2.8 * period, longest))
    is_trimmed = rng.random() < 0.25
    # most of the video repeats, or a part of it
    active = budget * (1.0 if is_trimmed else rng.uniform(0.4, 0.9))
    most = int(active / period)
    num_sets = 1 if is_trimmed else int(rng.choice([1, 2, 3, 4], p=(0.5, 0.25, 0.15, 0.1)))
    num_sets = max(1, min(num_sets, most // 2))
    gaps = np.zeros(num_sets + 1) if is_trimmed else _sample_gaps(rng, num_sets, tempo)
    gaps *= min(1.0, 0.5 * longest / max(gaps.sum(), 1e-9))
    sets, cuts, now = [], [], gaps[0]
    for number in range(num_sets):
        room = float(longest - gaps.sum()) / num_sets
        limit = max(2.0, min(MAX_COUNT, most / num_sets, room / period))
        count = round(math.exp(rng.uniform(math.log(2), math.log(limit))))
        if is_trimmed or (num_sets == 1 and rng.random() < 0.6):
            count = round(limit)
        one = _sample_set(rng, float(now), count, period, room)
        sets.append(one)
        gap = float(gaps[number + 1])
        if number < num_sets - 1 and (gap < 0.4 / tempo or rng.random() < 0.35):
            cuts.append(one.end_s + gap * rng.uniform(0, 1))
        now = one.end_s + gap
    if gaps[0] > 1 and rng.random() < 0.35:
        cuts.insert(0, float(gaps[0] * rng.uniform(0.2, 1)))
    if gaps[-1] > 1 and rng.random() < 0.25:
        cuts.append(now - float(gaps[-1] * rng.uniform(0.2, 1)))
    if rng.random() < 0.25 and num_sets > 1:
        # another scene in the middle of a rest
        k = int(rng.integers(1, num_sets))
        start, end = sets[k - 1].end_s, sets[k].start_s
        cuts += [float(start + share * (end - start)) for share in rng.uniform(0, 1, 2)]
    if not is_trimmed:
        now = max(now, shortest)
    apart: list[float] = []
    for cut in sorted(cuts):
        # what would flash by is left out
        if not apart or cut > apart[-1] + 0.3:
            apart.append(cut)
    return _with_cuts(rng, now, tuple(sets), apart, tempo)


def _sample_gaps(rng: np.random.Generator, num_sets: int, tempo: float) -> FloatArray:
    """Seconds before, between and after the sets; some videos begin or end with one."""
    gaps = np.exp(rng.uniform(math.log(0.6), math.log(12), num_sets + 1))
    gaps[[0, -1]] *= rng.random(2) < 0.75
    # a cut takes the place of some rests
    gaps[1:-1] *= rng.random(num_sets - 1) < 0.85
    return gaps / min(tempo, 2.0)


def _sample_set(
    rng: np.random.Generator, start_s: float, count: int, period_s: float, longest_s: float
) -> RepetitionSet:
    """Choose how long each cycle lasts; what does not fit into the longest set is left out."""
    lengths = np.exp(rng.uniform(0, 0.12) * rng.standard_normal(count))
    if rng.random() < 0.4:
        # getting tired, or faster
        lengths *= np.linspace(1, math.exp(rng.uniform(-0.25, 0.35)), count)
    holds = np.zeros(count)
    if rng.random() < 0.35:
        # every cycle holds for a moment, or some hold long
        holds[:] = rng.uniform(0.1, 0.5) if rng.random() < 0.6 else 0
        long = rng.random(count) < rng.choice([0, 0.2])
        holds[long] = rng.uniform(0.3, 0.65, int(long.sum()))
        lengths = lengths * (1 - holds.min()) / (1 - holds)
    lengths = np.clip(period_s * lengths, SHORTEST_S, min(LONGEST_S, longest_s / 2))
    count = max(2, int((lengths.cumsum() <= longest_s).sum()))
    ends = start_s + np.concatenate([[0], lengths[:count].cumsum()])
    return RepetitionSet(ends, holds[:count], float(rng.choice([0.0, 0.5])))


def _with_cuts(
    rng: np.random.Generator,
    duration_s: float,
    sets: tuple[RepetitionSet, ...],
    cuts_s: list[float],
    tempo: float,
) -> Timeline:
    dissolves = []
    limits = np.array([0, duration_s, *(t for one in sets for t in (one.start_s, one.end_s))])
    for number, cut in enumerate(cuts_s):
        # half of a dissolve lies on either side, and neither in a set or beyond another cut
        others = np.array([c for k, c in enumerate(cuts_s) if k != number])
        room = min(np.abs(limits - cut).min(), np.abs(others - cut).min(initial=np.inf) / 2)
        wanted = rng.uniform(0.2, 1.2) if rng.random() < 0.4 else 0.0
        dissolves.append(float(min(wanted, 2 * room)))
    return Timeline(
        duration_s=duration_s,
        sets=sets,
        cuts_s=tuple(cuts_s),
        dissolves_s=tuple(dissolves),
        tempo=tempo,
    )


def sample_frame_times(rng: np.random.Generator, duration_s: float) -> FloatArray:
    """When the frames of a video are taken (N,), in seconds from 0 on, at an even rate or not."""
    fps = float(rng.choice(FRAME_RATES))
    kind = rng.choice(['even', 'dark', 'dropped', 'uneven'], p=(0.75, 0.1, 0.08, 0.07))
    if kind == 'dark':
        # a telephone takes longer for each frame where it is dark
        slow = max(fps / rng.uniform(1.5, 4), 8.0)
        change = duration_s * rng.uniform(0.2, 0.8)
        rates = [fps, slow] if rng.random() < 0.5 else [slow, fps]
        first = np.arange(0, change, 1 / rates[0])
        rest = np.arange(first[-1] + 1 / rates[1], duration_s, 1 / rates[1])
        return np.concatenate([first, rest])
    times = np.arange(0, duration_s, 1 / fps)
    if kind == 'dropped':
        kept = rng.random(len(times)) >= rng.uniform(0.02, 0.3)
        kept[0] = True
        times = times[kept]
    elif kind == 'uneven':
        times = np.sort(np.abs(times + rng.uniform(-0.4, 0.4, len(times)) / fps))
        times -= times[0]
    return times
