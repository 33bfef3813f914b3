import pytest

pytest.importorskip('sphinx', reason='pip install -r requirements/docs.txt')
from command_pages import make_pages


def test_each_command_has_a_page_with_its_options():
    pages = make_pages()
    assert '--resume' in pages['commands/predict.md']
    assert 'It belongs to the system pose_sequence.' in pages['system_commands/cross-validate.md']
