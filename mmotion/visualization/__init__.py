"""Pictures of results: onto the video, and as plots; see `mmotion.visualization.results`."""

from mmotion.visualization.drawing import Image
from mmotion.visualization.results import (
    PLOT_LINE,
    PLOT_TRUTH,
    Caption,
    Painter,
    StripPainter,
    describe_certainty,
    draw_result,
    make_caption,
    make_painter,
    place_legend,
    plot_result,
    plot_row,
    plot_similarity,
    save_figure,
    style_axes,
)

__all__ = [
    'PLOT_LINE',
    'PLOT_TRUTH',
    'Caption',
    'Image',
    'Painter',
    'StripPainter',
    'describe_certainty',
    'draw_result',
    'make_caption',
    'make_painter',
    'place_legend',
    'plot_result',
    'plot_row',
    'plot_similarity',
    'save_figure',
    'style_axes',
]
