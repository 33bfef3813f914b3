"""Draw the arrows of a mermaid block as SVG, while the site is built.

mermaid itself is three megabytes of JavaScript that a browser would fetch. The only pictures here
are graphs of `name --> name`, for which a plain layout in layers (Sugiyama et al., 1981) does: each
name stands one layer below the lowest one that it leads to, long arrows bend at each layer that
they pass, and layers are ordered by the mean place of what they are tied to.
"""

import re
from collections import defaultdict
from itertools import pairwise

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from sphinx.util.typing import ExtensionMetadata

ARROW = re.compile(r'(\w+) --> (\w+)')
WIDTH, HEIGHT, GAP_X, GAP_Y = 106, 28, 14, 34
SWEEPS = 12

# a name, or the bend of an arrow in a layer: (from, to, layer)
Place = str | tuple[str, str, int]


class MermaidPicture(SphinxDirective):
    """A fenced block of the language mermaid."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        """Give the picture; a reader without pictures gets the text."""
        text = '\n'.join(self.content)
        picture = draw_graph(ARROW.findall(text))
        raw = nodes.raw('', f'<div class="table-wrapper">{picture}</div>', format='html')
        return [raw]


def draw_graph(arrows: list[tuple[str, str]]) -> str:
    """Draw arrows between names as SVG; what nothing leads to stands lowest.

    Example:
        >>> 'id="at-cli"' in draw_graph([('cli', 'video'), ('video', 'checks')])
        True
    """
    rows, bends = place_in_layers(arrows)
    width = max(len(row) for row in rows) * (WIDTH + GAP_X)
    at = {
        place: ((number + 0.5) * width / len(row), (layer + 0.5) * (HEIGHT + GAP_Y))
        for layer, row in enumerate(rows)
        for number, place in enumerate(row)
    }
    parts = []
    for (start, end), between in bends.items():
        (x, y), *rest = [at[place] for place in (start, *between, end)]
        path = f'M{x:.0f},{y - HEIGHT / 2:.0f}'
        y -= HEIGHT / 2
        for number, (next_x, middle) in enumerate(rest, 1):
            next_y = middle + (HEIGHT / 2 + 5 if number == len(rest) else 0)
            half = (y + next_y) / 2
            path += f' C{x:.0f},{half:.0f} {next_x:.0f},{half:.0f} {next_x:.0f},{next_y:.0f}'
            x, y = next_x, next_y
        parts.append(f'<path d="{path}" marker-end="url(#arrow)"/>')
    for name in (place for row in rows for place in row if isinstance(place, str)):
        x, y = at[name]
        parts.append(
            f'<g id="at-{name}"><rect x="{x - WIDTH / 2:.0f}" y="{y - HEIGHT / 2:.0f}" '
            f'width="{WIDTH}" height="{HEIGHT}" rx="5"/>'
            f'<text x="{x:.0f}" y="{y + 5:.0f}">{name}</text></g>'
        )
    words = ', '.join(f'{start} imports {end}' for start, end in arrows)
    height = len(rows) * (HEIGHT + GAP_Y)
    return (
        f'<svg class="graph" viewBox="0 0 {width} {height}" width="{width}" role="img" '
        f'aria-label="{words}"><defs><marker id="arrow" viewBox="0 0 8 8" refX="4" refY="4" '
        'markerWidth="7" markerHeight="7" orient="auto"><path d="M0,0 L8,4 L0,8 z"/></marker>'
        f'</defs>{"".join(parts)}</svg>'
    )


def place_in_layers(
    arrows: list[tuple[str, str]],
) -> tuple[list[list[Place]], dict[tuple[str, str], list[Place]]]:
    """Find the order in each layer, from the top, and where each arrow bends.

    Raises:
        ValueError: If the arrows lead in a circle.
    """
    depth = find_depths(arrows)
    rows: list[list[Place]] = [[] for _ in range(max(depth.values()) + 1)]
    for name, layer in sorted(depth.items()):
        rows[layer].append(name)
    bends: dict[tuple[str, str], list[Place]] = {}
    tied: dict[Place, set[Place]] = defaultdict(set)
    for start, end in arrows:
        between: list[Place] = [(start, end, n) for n in range(depth[start] - 1, depth[end], -1)]
        bends[start, end] = between
        way: list[Place] = [start, *between, end]
        for one, other in pairwise(way):
            tied[one].add(other)
            tied[other].add(one)
        for place in between:
            rows[place[2]].append(place)  # type: ignore[index]
    for sweep in range(SWEEPS):
        for row in rows[:: 1 if sweep % 2 else -1]:
            where = {p: (n + 0.5) / len(r) for r in rows for n, p in enumerate(r)}
            mean = {p: sum(where[t] for t in tied[p]) / len(tied[p]) for p in row}
            row.sort(key=lambda place: mean[place])
    return rows, bends


def find_depths(arrows: list[tuple[str, str]]) -> dict[str, int]:
    """How many arrows lead from each name at most, one after the other.

    Example:
        >>> find_depths([('a', 'b'), ('b', 'c'), ('a', 'c')])
        {'a': 2, 'b': 1, 'c': 0}
    """
    names = list(dict.fromkeys(name for arrow in arrows for name in arrow))
    depth = dict.fromkeys(names, 0)
    for _ in names:
        before = dict(depth)
        for start, end in arrows:
            depth[start] = max(depth[start], depth[end] + 1)
        if depth == before:
            return depth
    raise ValueError(f'arrows must not lead in a circle, got {arrows}')


def setup(app: Sphinx) -> ExtensionMetadata:
    """Tell Sphinx."""
    app.add_directive('mermaid', MermaidPicture)
    return {'parallel_read_safe': True, 'parallel_write_safe': True}
