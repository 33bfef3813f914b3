"""The answer: checked, plain, and drawn."""

import dataclasses

import numpy as np
import pytest
from matplotlib.figure import Figure

from mmotion.visualization import make_caption, make_painter, plot_result, plot_row
from projects.example_project.results import DotDirection

RESULT = DotDirection(label='left', score=0.75, fps=10.0, num_frames=20, start_s=1.0)


def test_words():
    assert RESULT.describe() == 'left 0.75'
    assert RESULT.to_dict() == dict(label='left', score=0.75, fps=10.0, num_frames=20, start_s=1.0)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        pytest.param(dict(score=1.1), r'got score=1.1', id='score'),
        pytest.param(dict(fps=0.0), 'fps must', id='fps'),
        pytest.param(dict(num_frames=0), 'num_frames must be at least 1', id='no frames'),
    ],
)
def test_nonsense_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(RESULT, **change)


def test_looks(tmp_path):
    image = np.full((128, 128, 3), 100, np.uint8)
    painted = make_painter(RESULT)(image, 0)
    assert (image == 100).all()
    # text in a strip below the picture, which is as it was
    assert (painted[128:] == 255).any()
    np.testing.assert_array_equal(painted[:128], image)
    assert make_caption(RESULT, 0) == ('left', True)

    plot_result(RESULT, tmp_path / 'plot.png', title='clip')
    assert (tmp_path / 'plot.png').is_file()
    axes = Figure().subplots()
    assert plot_row(RESULT, axes) == 'left 0.75'
    (line,) = axes.collections[0].get_segments()
    assert line.tolist() == [[1.0, 0.75], [3.0, 0.75]]
