import re

from mmotion.serving.page_style import SCRIPT, STYLE


def test_nothing_is_loaded_from_elsewhere():
    assert not re.search(r'https?:|//|@import|url\(', STYLE + SCRIPT)


def test_braces_are_closed():
    assert STYLE.count('{') == STYLE.count('}')
    assert SCRIPT.count('{') == SCRIPT.count('}')
