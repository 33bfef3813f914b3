"""The tables of weights: those that ship, by their cards, and those that are fetched."""

import re
from pathlib import Path

import yaml

from mmotion.paths import find_root

# a page that is this link is the card, see `repository_links`
CARD = '[{name}](../../../{path})\n'


def make_pages() -> dict[str, str]:
    """Give the pages by their place in docs/generated."""
    root = find_root()
    cards = sorted(root.glob('projects/*/weights/*.md'))
    pages = {
        f'weights/{card.name}': CARD.format(name=card.stem, path=card.relative_to(root).as_posix())
        for card in cards
    }
    return pages | {'zoo/shipped.md': list_shipped(cards), 'zoo/released.md': list_released(root)}


def list_shipped(cards: list[Path]) -> str:
    """Give the page of the weights that come with mmotion."""
    rows = []
    for card in cards:
        text = card.read_text(encoding='utf-8')
        what = text.partition('\n')[0].removeprefix('# ').partition(': ')[2]
        told = dict(re.findall(r'^\| (\w+) \| (.*) \|$', text, re.MULTILINE))
        rows.append(
            f'| [{card.stem}](../weights/{card.name}) | {what} | {told.get("file", "")} '
            f'| {read_result(card.stem)} | {told.get("licence", "")} |'
        )
    return '\n'.join([
        '# Weights that ship', '',
        'They are there after installing: `mmotion predict NAME VIDEO`. How each was made, and '
        'what was measured on what, is on its card.', '',
        '| name | what it is | file | result | licence |', '|---|---|---|---|---|', *rows, '', '',
        '```{toctree}\n:hidden:\n:glob:\n\n../weights/*\n```',
    ]) + '\n'  # fmt: skip


def read_result(name: str) -> str:
    """The result that the first comment of a config ends in, '' without such a config."""
    file = find_root() / 'configs' / f'{name}.py'
    if not file.is_file():
        return ''
    comment = file.read_text(encoding='utf-8').partition('\n')[0]
    return comment.removeprefix('# ').split('; ')[-1].rstrip('.')


def list_released(root: Path) -> str:
    """Give the page of the weights that others have released."""
    table = yaml.safe_load((root / 'configs/released_weights.yaml').read_text(encoding='utf-8'))
    rows = []
    for name, entry in table.items():
        configs = ', '.join(f'`{config}`' for config in entry.get('configs', ()))
        commercial = {True: 'yes', False: 'no', None: 'nobody says'}[entry.get('commercial')]
        rows.append(
            f'| `{name}` | {entry["answers"]} | {configs} | {entry["size_mb"]} | '
            f'{entry["licence"]} | {commercial} | {entry["tried"]} |'
        )
    return '\n'.join([
        '# Weights of others', '',
        'They are fetched when they are first needed, and checked: [Released '
        'weights](../../released_weights.md). "Tried" says what was seen of the file itself.', '',
        '| name | answers | configs | MB | licence | commercial use | tried |',
        '|---|---|---|---|---|---|---|', *rows,
    ]) + '\n'  # fmt: skip
