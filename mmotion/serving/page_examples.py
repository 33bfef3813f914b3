"""Videos that the page makes itself, for somebody who has none at hand."""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from mmotion.shapes import MotionShapes


class Example(NamedTuple):
    """A generated video.

    Attributes:
        title: What is seen, with the truth, so that an answer can be compared.
        index: Which of `make_motions` it is.
    """

    title: str
    index: int


EXAMPLES = {
    'figure': Example('A generated figure that moves its limbs to and fro 8 times', 1031),
    'shape': Example('A generated shape that turns to and fro 7 times', 1014),
}
FPS = 30.0


def make_motions() -> 'MotionShapes':
    """The family of videos that the examples are from: eight to ten seconds each."""
    from mmotion.shapes import MotionShapes

    return MotionShapes(split='test', size=160, num_frames=(240, 300), periods=(20.0, 40.0))


def render_example(name: str, folder: Path) -> Path:
    """Write an example as MP4, which takes about a second.

    Args:
        name: One of `EXAMPLES`.
        folder: Where to.

    Returns:
        The file, whose name nobody has yet.

    Raises:
        ValueError: If there is no such example.
    """
    from mmotion.video import VideoWriter

    if name not in EXAMPLES:
        raise ValueError(f'the example must be one of {", ".join(EXAMPLES)}, got {name[:40]!r}')
    path = Path(tempfile.mkdtemp(dir=folder, prefix='example-')) / f'{name}.mp4'
    with VideoWriter(path, fps=FPS) as writer:
        for image in make_motions()[EXAMPLES[name].index].frames():
            writer.write(image)
    return path
