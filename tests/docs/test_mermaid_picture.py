import re

import pytest

pytest.importorskip('sphinx', reason='pip install -r requirements/docs.txt')
from mermaid_picture import draw_graph, place_in_layers

ARROWS = [('cli', 'video'), ('video', 'checks'), ('cli', 'checks')]


def test_each_name_stands_below_what_it_leads_to():
    rows, bends = place_in_layers(ARROWS)
    assert rows[0] == ['checks'] and rows[2] == ['cli']
    assert set(rows[1]) == {'video', ('cli', 'checks', 1)}
    assert bends['cli', 'checks'] == [('cli', 'checks', 1)]


def test_each_name_and_arrow_is_drawn_once():
    picture = draw_graph(ARROWS)
    assert re.findall(r'>(\w+)</text>', picture) == ['checks', 'video', 'cli']
    assert picture.count('marker-end') == 3


def test_a_circle_is_refused():
    with pytest.raises(ValueError, match='must not lead in a circle'):
        draw_graph([('a', 'b'), ('b', 'a')])
