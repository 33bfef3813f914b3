import pytest

from mmotion.serving.page_examples import EXAMPLES, make_motions, render_example
from mmotion.video import inspect_video


@pytest.mark.parametrize('name', EXAMPLES)
def test_an_example_shows_what_its_title_says(name, tmp_path):
    path = render_example(name, tmp_path)
    info = inspect_video(path)
    assert info.fps == 30 and 8 <= info.num_frames / info.fps <= 10
    example = EXAMPLES[name]
    assert f' {make_motions()[example.index].count:g} times' in example.title


def test_an_unknown_example_is_refused(tmp_path):
    with pytest.raises(ValueError, match='the example must be one of figure, shape, got'):
        render_example('../secret', tmp_path)
