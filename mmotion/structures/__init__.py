"""Results that several systems share."""

from mmotion.structures.actions import ActionScores, ActionSegment, RunningScores
from mmotion.structures.windows import WindowedResult

__all__ = ['ActionScores', 'ActionSegment', 'RunningScores', 'WindowedResult']
