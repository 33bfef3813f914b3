"""The metric by a hand-computed case."""

import torch

from projects.example_project.metrics import DirectionAccuracy


def test_two_of_three_are_right():
    metric = DirectionAccuracy()
    for label, scores in [(0, [0.9, 0.1]), (1, [0.4, 0.6]), (1, [0.8, 0.2])]:
        metric.process({}, [dict(gt_label=label, pred_scores=torch.tensor(scores))])
    assert metric.evaluate(size=3) == {'single_clip/accuracy': 2 / 3}
