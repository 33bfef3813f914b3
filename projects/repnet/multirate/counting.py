"""Counting by time, in constant memory: from frames at any times to one number.

Frames are taken at a rate of at most 32 Hz by their own times: those nearest to evenly spaced
moments. Level i looks at every 2 ** i-th of these samples. Of each level only the last few hundred
samples are kept, over which the network is run again and again; what it says of a column is
replaced as long as the network sees more of what comes after. Testing, predicting and streaming all
go through the one `MultiRateCounter`.

Shape letters in this file: N frames or samples, D embedding size, T columns of 4 samples, P bins.
"""

import dataclasses
import itertools
import math
from array import array
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mmotion.checks import check_fps
from mmotion.structures.times import find_end, list_irregular
from projects.repnet.models import TEMPORAL_DILATION
from projects.repnet.multirate.clock import SampleClock
from projects.repnet.multirate.data import MAX_LEVELS, list_levels
from projects.repnet.multirate.decoding import (
    RATIOS,
    Decoded,
    MultiRateOptions,
    decode_periods,
    round_sets,
)
from projects.repnet.multirate.periods import join_levels
from projects.repnet.multirate.similarity import COLUMN
from projects.repnet.results import RepetitionCount, RunningCount, find_sets

# samples of a level that the network sees at once
WINDOW = 512
# columns that it needs before one: of its own level, and of the faster one, in columns of its own
REACH, FASTER_REACH = 25, 18
# samples between two runs of the network
STEP = 128
# columns of the first level that may still change, 9 minutes at 30 Hz
OPEN_COLUMNS = 4096
# samples that are further from any frame, in samples, are missing
MAX_DISTANCE = 1.01
# of the probability, below which an alternative is not told
LEAST_SHARE = 0.05


class LevelModel(Protocol):
    """What a model must offer to be counted with; MultiRateRepNet does, and a test's oracle."""

    def encode_frames(self, frames: Tensor) -> Tensor:
        """Frames (N, 3, H, W) to N maps."""
        ...

    def embed(self, maps: Tensor) -> Tensor:
        """Maps of samples of a level (N, ...) to embeddings (N, D)."""
        ...

    def score_levels(
        self, levels: list[Tensor], valid: list[Tensor], starts: list[int]
    ) -> list[Tensor]:
        """Embeddings of each level (1, N, D) to logits (1, T, bins)."""
        ...


class Sample(NamedTuple):
    """An evenly spaced moment of the video.

    Attributes:
        maps: Of the nearest frame.
        is_there: Whether that is near enough.
    """

    maps: Tensor
    is_there: bool


class MultiRateCounter:
    """Count while the frames of a video arrive.

    Args:
        model: The network, in eval mode.
        fps: Frames per second of the video, on average, above 0.
        options: How to count.
        prepare: Makes frames for the encoder (n, 3, H, W) of a list of those that were pushed; only
            those that are looked at come to it.
        keep_rows: Keep some numbers a frame, which `result` needs. Without, memory stays the same
            for ever and only `running` answers.

    Raises:
        ValueError: If `fps` is not above 0.
    """

    def __init__(
        self,
        model: LevelModel,
        *,
        fps: float,
        options: MultiRateOptions,
        prepare: Callable[[list[Any]], Tensor] = torch.stack,
        keep_rows: bool = True,
    ) -> None:
        check_fps(fps)
        self.model, self.fps, self.options = model, fps, options
        self.start_s = 0.0
        self.num_frames = 0
        self._prepare = prepare
        self._clock = SampleClock(fps=fps, max_rate_hz=options.max_rate_hz)
        self._times_s = array('d') if keep_rows else deque[float](maxlen=3)
        # the newest frame, whose end is not known, and prepared ones with the samples of each
        self._last: Any = None
        self._waiting: list[tuple[Tensor, list[bool]]] = []
        self._levels = [_Level() for _ in range(MAX_LEVELS)]
        self._boards: list[_Board] = []
        self._columns = _Columns(keep_rows=keep_rows)

    @property
    def rate_hz(self) -> float:
        """Samples per second."""
        return self._clock.rate_hz

    @property
    def end_s(self) -> float:
        """When the last frame so far disappears."""
        recent_s = itertools.islice(reversed(self._times_s), 3)
        return find_end([*recent_s][::-1], self.fps)

    @torch.no_grad()
    def push(self, frames: Sequence[Any], times_s: Sequence[float] | None = None) -> None:
        """Take the next frames of the video.

        Args:
            frames: Of any kind that `prepare` takes.
            times_s: When each appears (n,); None for all frames if they are evenly spaced.
        """
        if times_s is None:
            times_s = [(self.num_frames + i) / self.fps for i in range(len(frames))]
        chosen, samples = [], []
        for frame, time_s in zip(frames, times_s, strict=True):
            if self.num_frames:
                # up to the middle between it and the next one
                there = self._take_samples((self._times_s[-1] + time_s) / 2)
                if there:
                    chosen.append(self._last)
                    samples.append(there)
            else:
                self.start_s = time_s
            self._last = frame
            self._times_s.append(time_s)
            self.num_frames += 1
        if chosen:
            self._waiting += zip(self._prepare(chosen), samples, strict=True)
        if len(self._waiting) >= self.options.frame_batch:
            self._encode_waiting()

    @torch.no_grad()
    def running(self) -> RunningCount:
        """The count so far: what `result` would say if the video ended here.

        Raises:
            ValueError: If no frame came yet.
        """
        rest = self._read_rest()
        totals = self._columns.sum_up(rest, self._num_columns())
        rate, score = float(rest.rate[-1]), float(rest.score[-1])
        return RunningCount(
            num_frames=self.num_frames,
            time_s=self.end_s,
            count=totals.count,
            period_s=1 / (rate * self.rate_hz) if rate else math.nan,
            periodicity=score,
            confidence=totals.confidence(self.options),
            stride=self._stride(),
        )

    @torch.no_grad()
    def result(self) -> RepetitionCount:
        """The count of the frames so far.

        Raises:
            ValueError: If no frame came yet, or rows were not kept.
        """
        rest = self._read_rest()
        totals = self._columns.sum_up(rest, self._num_columns())
        rate, score, step = self._columns.join(rest)
        times_s = np.array(self._times_s)
        edges = (np.append(times_s, self.end_s) - self.start_s) * self.rate_hz
        column = ((edges[1:] + edges[:-1]) / (2 * COLUMN)).astype(int).clip(0, len(rate) - 1)
        lasts = np.diff(edges)
        result = RepetitionCount.from_rates(
            step[column] * lasts,
            score[column],
            cycle_rate=rate[column] * lasts,
            fps=self.fps,
            confidence=totals.confidence(self.options),
            stride=self._stride(),
            start_s=self.start_s,
            frame_times_s=list_irregular(self._times_s, self.fps),
        )
        return dataclasses.replace(result, alternatives=totals.alternatives())

    def _stride(self) -> int:
        return max(round(self.fps / self.rate_hz), 1)

    def _num_columns(self) -> float:
        """Length of the video in columns."""
        return max((self.end_s - self.start_s) * self.rate_hz / COLUMN, 1e-6)

    def _take_samples(self, time_s: float) -> list[bool]:
        """Samples up to a time that the newest frame stands for, and whether it is near enough."""
        first = self._clock.num_samples
        count = self._clock.count_before(time_s - self.start_s)
        place = (self._times_s[-1] - self.start_s) * self.rate_hz
        return [abs(first + i - place) <= MAX_DISTANCE for i in range(count)]

    def _encode_waiting(self) -> None:
        """Encode what waits, and hand it to the levels."""
        while self._waiting:
            batch = self._waiting[: self.options.frame_batch]
            del self._waiting[: self.options.frame_batch]
            encoded = self.model.encode_frames(torch.stack([frame for frame, _ in batch]))
            for maps, (_, there) in zip(encoded, batch, strict=True):
                # a view would keep the maps of the whole batch alive
                maps = maps.clone()
                for is_there in there:
                    self._add(Sample(maps, is_there))

    def _add(self, sample: Sample) -> None:
        """Hand the next sample to the levels that look at it."""
        number = self._levels[0].num_samples
        for i, level in enumerate(self._levels):
            if number % 2**i == 0:
                level.add(sample)
        if (number + 1) % STEP == 0:
            self._boards = self._score([])
            if self._boards[0].end - self._columns.num_settled > OPEN_COLUMNS:
                self._columns.settle(self._decode(self._boards), STEP // COLUMN)
                settled = self._columns.num_settled
                self._boards = [b.forget((settled >> i) - 1) for i, b in enumerate(self._boards)]
            for level in self._levels:
                level.forget()

    def _score(self, tail: list[Sample]) -> list['_Board']:
        """What the network says of all open columns, with some samples that may yet change."""
        number = self._levels[0].num_samples
        num_levels = len(list_levels(number + len(tail)))
        rows, there, starts = [], [], []
        for i, level in enumerate(self._levels[:num_levels]):
            own = [sample for j, sample in enumerate(tail) if (number + j) % 2**i == 0]
            embeddings, is_there = level.read(self.model, own)
            rows.append(embeddings[None])
            there.append(is_there[None])
            starts.append(level.start // COLUMN)
        scored = self.model.score_levels(rows, there, starts)
        boards = []
        for i, (logits, start) in enumerate(zip(scored, starts, strict=True)):
            # what does not see the beginning of the windows is better than before
            known = start + REACH if start else 0
            if i and starts[i - 1]:
                known = max(known, starts[i - 1] // 2 + FASTER_REACH)
            board = self._boards[i] if i < len(self._boards) else None
            boards.append(_Board.renew(board, logits[0].cpu(), start, known))
        return boards

    def _read_rest(self) -> Decoded:
        """What is believed of all columns that may still change, if the video ended here."""
        if self.num_frames == 0:
            raise ValueError('a video must have at least one frame to be counted, got none')
        self._encode_waiting()
        taken = self._clock.num_samples
        there = self._take_samples(self.end_s)
        self._clock.num_samples = taken
        tail = []
        if there or not taken:
            maps = self.model.encode_frames(self._prepare([self._last]))[0]
            tail = [Sample(maps, is_there) for is_there in there or [True]]
        boards = self._score(tail)
        return self._decode(boards)

    def _decode(self, boards: list['_Board']) -> Decoded:
        """Believe something of each open column of the first level."""
        starts = [board.start for board in boards]
        columns = torch.arange(self._columns.num_settled, boards[0].end)
        logits = join_levels([board.logits[None] for board in boards], starts, columns)[0]
        if not torch.isfinite(logits).all():
            raise ValueError('scores must be finite, got others; the weights may not be')
        logits = self.options.apply_hints(logits, self.rate_hz)
        decoded = decode_periods(logits, self.options.threshold)
        last = min(max(self._num_columns() - (boards[0].end - 1), 0.0), 1.0)
        return round_sets(
            decoded, min_count=self.options.min_count, last=last, begun=self._columns.begun
        )


def count_by_time(
    model: LevelModel, frames: Tensor, *, fps: float, options: MultiRateOptions
) -> RepetitionCount:
    """Count the repetitions in a video that fits into memory, evenly spaced frames (N, 3, H, W).

    Raises:
        ValueError: If there is no frame, or `fps` is not above 0.
    """
    counter = MultiRateCounter(model, fps=fps, options=options)
    for chunk in frames.split(options.frame_batch):
        counter.push([*chunk])
    return counter.result()


class Totals(NamedTuple):
    """Sums over the columns of a video.

    Attributes:
        count: Repetitions.
        certainty: Mean of the probability of what is believed, in [0, 1].
        others: For each of `RATIOS` the sum of its probability, over columns that repeat.
    """

    count: float
    certainty: float
    others: NDArray[np.float64]

    def confidence(self, options: MultiRateOptions) -> float:
        """How likely the count is within one, see `MultiRateOptions`."""
        curve = options.confidence_curve
        if self.count < 0.5 and options.zero_curve is not None:
            curve = options.zero_curve
        if curve is None:
            return min(max(self.certainty, 0.0), 1.0)
        slope, offset = curve
        return 1 / (1 + math.exp(-(slope * self.certainty + offset)))

    def alternatives(self) -> tuple[tuple[float, float], ...]:
        """Counts that may be meant, at other ratios of the period, and their probabilities."""
        total = self.others.sum()
        if total <= 0:
            return ()
        found = [
            (self.count / ratio, float(mass / total))
            for ratio, mass in zip(RATIOS, self.others, strict=True)
            if mass >= LEAST_SHARE * total
        ]
        return tuple(sorted(found, key=lambda other: -other[1]))


class _Level:
    """The last samples of a level."""

    def __init__(self) -> None:
        self.num_samples = 0
        # number of the first sample that is kept, and embeddings that no longer change
        self.start = 0
        self.rows: list[Tensor] = []
        self.there: list[bool] = []
        # of samples whose embedding may change, and of those before them that it needs
        self.maps: list[Tensor] = []

    def add(self, sample: Sample) -> None:
        self.maps.append(sample.maps)
        self.there.append(sample.is_there)
        self.num_samples += 1

    def read(self, model: LevelModel, tail: list[Sample]) -> tuple[Tensor, Tensor]:
        """Embeddings (n, D) of all that is kept and of more samples, and which there are (n,)."""
        maps = [*self.maps, *(sample.maps for sample in tail)]
        first = self.num_samples - len(self.maps)
        num_final = self.start + len(self.rows)
        rows = model.embed(torch.stack(maps))[num_final - first :]
        there = [*self.there, *(sample.is_there for sample in tail)]
        every = torch.cat([torch.stack(self.rows), rows]) if self.rows else rows
        # what has all samples after it that it needs stays
        done = max(self.num_samples - TEMPORAL_DILATION - num_final, 0)
        self.rows += [*rows[:done].clone()]
        self.maps = self.maps[max(num_final + done - TEMPORAL_DILATION - first, 0) :]
        kept = torch.tensor(there, device=every.device)
        size = -(-len(every) // COLUMN) * COLUMN - len(every)
        every = torch.nn.functional.pad(every, (0, 0, 0, size))
        kept = torch.nn.functional.pad(kept, (0, size))
        return every, kept

    def forget(self) -> None:
        excess = max(len(self.rows) - WINDOW, 0) // COLUMN * COLUMN
        del self.rows[:excess], self.there[:excess]
        self.start += excess


class _Board(NamedTuple):
    """What the network says of the open columns of a level.

    Attributes:
        logits: (T, bins).
        start: Number of the first column.
    """

    logits: Tensor
    start: int

    @property
    def end(self) -> int:
        return self.start + len(self.logits)

    @staticmethod
    def renew(board: '_Board | None', logits: Tensor, start: int, known: int) -> '_Board':
        """A board with new logits (t, bins), which begin at a column, from another one on."""
        if board is None:
            return _Board(logits, start)
        known = min(max(known, board.start), board.end)
        return _Board(
            torch.cat([board.logits[: known - board.start], logits[known - start :]]), board.start
        )

    def forget(self, column: int) -> '_Board':
        """Without what comes before a column."""
        excess = max(min(column - self.start, len(self.logits) - 1), 0)
        return _Board(self.logits[excess:], self.start + excess)


class _Columns:
    """What is believed of columns that no longer change: their sums, and perhaps each of them."""

    def __init__(self, *, keep_rows: bool) -> None:
        self.num_settled = 0
        # repetitions of the set in which the settled columns end
        self.begun = 0.0
        self.kept: list[NDArray[np.float64]] | None = [] if keep_rows else None
        self.sums = np.zeros(2 + len(RATIOS))

    def settle(self, decoded: Decoded, num_columns: int) -> None:
        """Take the oldest of the open columns."""
        self.sums += _sums(decoded)[:num_columns].sum(0)
        self.begun = self._count_begun(decoded, num_columns)
        if self.kept is not None:
            self.kept.append(_rows(decoded)[:, :num_columns])
        self.num_settled += num_columns

    def _count_begun(self, decoded: Decoded, num_columns: int) -> float:
        """What was counted of a set that goes on beyond some of the open columns."""
        for first, end in find_sets(decoded.rate * COLUMN):
            if first < num_columns < end:
                before = 0.0 if first else self.begun
                return before + COLUMN * float(decoded.step[first:num_columns].sum())
        return 0.0

    def sum_up(self, rest: Decoded, num_columns: float) -> Totals:
        """The sums over a video of so many columns, of which the last need not be whole."""
        parts = _sums(rest)
        parts[-1] *= num_columns - (self.num_settled + len(parts) - 1)
        sums = self.sums + parts.sum(0)
        return Totals(max(COLUMN * float(sums[0]), 0.0), float(sums[1]) / num_columns, sums[2:])

    def join(self, rest: Decoded) -> NDArray[np.float64]:
        """Rate, score and step of all columns (3, T)."""
        if self.kept is None:
            raise ValueError('result must be asked of a counter with keep_rows=True; use running')
        return np.concatenate([*self.kept, _rows(rest)], axis=1)


def _sums(decoded: Decoded) -> NDArray[np.float64]:
    """What is summed up over the columns (T, 2 + A)."""
    return np.column_stack([decoded.step, decoded.certainty, decoded.others])


def _rows(decoded: Decoded) -> NDArray[np.float64]:
    """What is kept of each column (3, T)."""
    return np.stack([decoded.rate, decoded.score, decoded.step])
