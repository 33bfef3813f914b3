"""Results that several systems share."""

from mmotion.structures.actions import ActionScores, ActionSegment, RunningScores
from mmotion.structures.results import Result, time_at
from mmotion.structures.windows import WindowedResult

__all__ = [
    'ActionScores',
    'ActionSegment',
    'Result',
    'RunningScores',
    'WindowedResult',
    'time_at',
]
