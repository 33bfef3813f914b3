"""MultiRateRepNet: counting by time, at all rates at once."""
