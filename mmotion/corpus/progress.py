"""How far a run over a corpus is: rate, failures, and when it will end."""

import sys
import time

# seconds between two lines where no terminal shows one that changes
LINE_S = 30.0


class Progress:
    """Says on stderr how far a run is.

    Args:
        total: Videos of this run.

    Attributes:
        done: Those that have their row.
        failed: Of these, those that failed.
    """

    def __init__(self, total: int) -> None:
        self.total = total
        self.done = self.failed = 0
        self._began_s = self._shown_s = time.monotonic()
        self._is_terminal = sys.stderr.isatty()

    def note(self, *, is_right: bool) -> None:
        """Count a video."""
        self.done += 1
        self.failed += not is_right

    def describe(self) -> str:
        """Say how far it is, in a line."""
        taken_s = max(time.monotonic() - self._began_s, 1e-9)
        rate = self.done / taken_s
        text = f'{self.done:,} of {self.total:,} videos, {self.failed:,} failed'
        if self.done:
            left_s = (self.total - self.done) / rate
            text += f', {describe_rate(rate)}, {describe_time(left_s)} left'
        return text

    def show(self, *, last: bool = False) -> None:
        """Show it, if it is time to."""
        now_s = time.monotonic()
        if self._is_terminal:
            # the end of a longer line before it is wiped out
            print(f'\r{self.describe()}\033[K', end='\n' if last else '', file=sys.stderr)
        elif now_s - self._shown_s >= LINE_S and not last:
            self._shown_s = now_s
            print(f'mmotion: {self.describe()}', file=sys.stderr)
        sys.stderr.flush()


def describe_rate(rate: float) -> str:
    """A number of videos a second, for people.

    Example:
        >>> describe_rate(12.34), describe_rate(0.5)
        ('12.3/s', '30/min')
    """
    return f'{rate:.3g}/s' if rate >= 2 else f'{60 * rate:.3g}/min'


def describe_time(seconds: float) -> str:
    """A time for people.

    Example:
        >>> describe_time(42.4), describe_time(3700), describe_time(200_000)
        ('42 s', '1 h 1 min', '2 d 7 h')
    """
    for size, name, below, inner in ((86400, 'd', 3600, 'h'), (3600, 'h', 60, 'min')):
        if seconds >= size:
            return f'{seconds // size:.0f} {name} {seconds % size // below:.0f} {inner}'
    return f'{seconds / 60:.0f} min' if seconds >= 120 else f'{seconds:.0f} s'
