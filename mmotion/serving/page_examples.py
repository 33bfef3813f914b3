"""Videos that the page makes itself, for somebody who has none at hand."""

from pathlib import Path
from typing import NamedTuple


class Example(NamedTuple):
    """A generated video.

    Attributes:
        title: What is seen, with the truth, so that an answer can be compared.
        index: Which of the test videos of `MotionShapes` it is.
    """

    title: str
    index: int


EXAMPLES = {
    'shape': Example('Generated: something moves to and fro 8 times', 1012),
    'quick': Example('Generated: something moves to and fro 7 times', 1014),
}
# frames per second, pixels a side, and frames of the shortest and longest
FPS, SIZE, NUM_FRAMES, PERIODS = 30.0, 160, (240, 300), (20.0, 40.0)


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
    import tempfile

    from mmotion.shapes import MotionShapes
    from mmotion.video import VideoWriter

    if name not in EXAMPLES:
        raise ValueError(f'the example must be one of {", ".join(EXAMPLES)}, got {name[:40]!r}')
    shapes = MotionShapes(split='test', size=SIZE, num_frames=NUM_FRAMES, periods=PERIODS)
    path = Path(tempfile.mkdtemp(dir=folder, prefix='example-')) / f'{name}.mp4'
    with VideoWriter(path, fps=FPS) as writer:
        for image in shapes[EXAMPLES[name].index].frames():
            writer.write(image)
    return path
