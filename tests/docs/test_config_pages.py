import re
from pathlib import Path

import pytest

pytest.importorskip('sphinx', reason='pip install -r requirements/docs.txt')
from config_pages import find_parts, list_options, make_pages, show_type

from mmotion.config import KNOWN_KEYS
from mmotion.registry import MODELS
from mmotion.transforms.sampling import SampleClip

PAGE = Path(__file__).resolve().parents[2] / 'docs' / 'reference' / 'configs.md'


def test_each_top_level_key_is_told():
    rows = PAGE.read_text().partition('## Top-level keys')[2].split('\n')
    told = {key for row in rows if row.startswith('| `')
            for key in re.findall(r'`(\w+)`', row.split('|')[1])}  # fmt: skip
    assert told == KNOWN_KEYS


def test_keys_are_those_of_signature_and_docstring():
    pages = make_pages()
    assert '### SampleClip' in pages['configs/mmotion.md']
    for option in list_options(SampleClip):
        assert f'| `{option.name}` |' in pages['configs/mmotion.md']
    # of a dict without a type, which the model hands on
    assert '### CountingOptions' in pages['configs/repnet.md']
    # a key without a word about it is not told
    for name, page in pages.items():
        empty = [row for row in page.split('\n') if re.match(r'\| `.*\|\s*\|$', row)]
        assert not empty, name


def test_parts_are_named_by_docstrings():
    names = {part.__name__ for part in find_parts([MODELS.get('RepNet')])}
    assert {'CountingOptions', 'PeriodHead', 'RepNetLoss', 'SelfSimilarity'} <= names


@pytest.mark.parametrize(
    ('annotation', 'text'),
    [
        pytest.param(str | None, 'str | None', id='union'),
        pytest.param(tuple[Path, ...], 'tuple[Path, ...]', id='place_left_out'),
        pytest.param('torch.nn.Module', 'Module', id='text'),
    ],
)
def test_types_are_shown_as_one_writes_them(annotation, text):
    assert show_type(annotation) == text
