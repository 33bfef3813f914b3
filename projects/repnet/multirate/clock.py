"""Evenly spaced moments of a video whose frames come at any times."""

import math

# moments a second that are looked at, unless somebody wants others
MAX_RATE_HZ = 32.0


class SampleClock:
    """Say which frame stands for which of the evenly spaced moments, the nearest for each.

    Args:
        fps: Frames per second on average.
        max_rate_hz: Most moments a second; every k-th frame is taken, with the smallest k.

    Example:
        >>> clock = SampleClock(fps=50.0, max_rate_hz=32.0)
        >>> clock.rate_hz, [clock.count_before(number / 50) for number in range(1, 6)]
        (25.0, [1, 0, 1, 0, 1])
    """

    def __init__(self, *, fps: float, max_rate_hz: float) -> None:
        # what rounding added is no reason to leave out frames
        self.rate_hz = fps / math.ceil(fps / max_rate_hz - 1e-6)
        self.num_samples = 0

    def count_before(self, time_s: float) -> int:
        """Moments that are left before a time, in seconds from the first frame; they are taken."""
        end = math.ceil(time_s * self.rate_hz - 1e-6)
        count = max(end - self.num_samples, 0)
        self.num_samples += count
        return count
