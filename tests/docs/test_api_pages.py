import pytest

pytest.importorskip('sphinx', reason='pip install -r requirements/docs.txt')
import api_pages

import mmotion
from mmotion.metrics import ActionMetric


def test_each_name_of_the_front_door_and_of_the_registries_is_on_one_page():
    pages = api_pages.make_pages()
    documented = [
        line.split(':: ')[1] for page in pages.values() for line in page.split('\n')
        if line.startswith('.. auto')
    ]  # fmt: skip
    assert len(documented) == len(set(documented))
    wanted = [getattr(mmotion, name) for name in mmotion.__all__] + [
        thing for _, thing in api_pages.find_registered()
    ]
    names = {f'{thing.__module__}.{thing.__qualname__}' for thing in wanted}
    assert len(names) > 100
    assert names <= {*documented}


def test_what_a_class_names_is_found():
    named = {thing.__name__ for thing in api_pages.find_named(mmotion.Predictor)}
    assert {'Region', 'RegionResults'} <= named


def test_only_what_is_ours_counts():
    assert api_pages.is_ours(ActionMetric)
    assert not api_pages.is_ours(pytest.Item)
