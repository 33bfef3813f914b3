import pytest

pytest.importorskip('sphinx', reason='pip install -r requirements/docs.txt')
from zoo_pages import make_pages, read_result

from mmotion.paths import find_root


def test_all_weights_are_there():
    pages = make_pages()
    for file in find_root().glob('projects/*/weights/*.pth'):
        assert f'[{file.stem}](../weights/{file.stem}.md)' in pages['zoo/shipped.md']
        assert f'/{file.stem}.md)' in pages[f'weights/{file.stem}.md']
    assert '| `timesformer_base_k400` | 400 actions of Kinetics-400 |' in pages['zoo/released.md']


def test_the_result_is_that_of_the_config():
    assert read_result('repnet_small') == 'OBO 0.90'
    assert read_result('no_such_config') == ''
