"""The one drawing style: colors, text, shapes, and the strip below a picture.

Images are RGB (H, W, 3), uint8, and are changed in place, unless a function returns one. Places and
lengths are in pixels, x to the right and y down. Whatever is drawn is measured in hundredths of the
shorter side of the picture, so that it looks the same at 240p and at 4K.

What is said of a picture stands in a strip below it, never on it: nobody's head is covered.

Colors: Okabe and Ito, Color Universal Design, 2008, https://jfly.uni-koeln.de/color/: can be told
apart by people who see no red or no green.
"""

import itertools
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mmotion.video.writer import MAX_SIDE_PX

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont

Image: TypeAlias = NDArray[np.uint8]
Color: TypeAlias = tuple[int, int, int]

# smaller frames are enlarged before anything is drawn on them
MIN_SIDE_PX = 240
WHITE: Color = (255, 255, 255)
GREY: Color = (190, 190, 190)
DARK: Color = (80, 80, 80)
# ground of a strip
INK: Color = (24, 24, 24)
ORANGE: Color = (230, 159, 0)
SKY: Color = (86, 180, 233)
GREEN: Color = (0, 158, 115)
YELLOW: Color = (240, 228, 66)
BLUE: Color = (0, 114, 178)
VERMILLION: Color = (213, 94, 0)
PURPLE: Color = (204, 121, 167)
ACTIVE, ALARM = ORANGE, VERMILLION
# those that tell things apart; no second orange before all others
PALETTE = (ORANGE, SKY, GREEN, PURPLE, YELLOW, BLUE, VERMILLION)
# height of capital letters in sizes of the font, DejaVu Sans
CAPITALS = 0.729
# height of capital letters and of a line, in hundredths of the shorter side
TEXT, LINE = 5.4, 9.0


class Span(NamedTuple):
    """A stretch of a timeline.

    Attributes:
        start_s: When it begins, in seconds of the video.
        end_s: When it ends.
        name: Written on it where there is room, '' for none.
        color: Of the stretch.
    """

    start_s: float
    end_s: float
    name: str
    color: Color


class Timeline(NamedTuple):
    """A whole video from left to right.

    Attributes:
        spans: What happens in it.
        start_s: When it begins, in seconds of the video.
        end_s: When it ends.
    """

    spans: Sequence[Span]
    start_s: float
    end_s: float

    @property
    def thickness(self) -> float:
        """Its height in hundredths of the shorter side, more where names stand on it."""
        return 5.0 if any(span.name for span in self.spans) else 2.5


def list_colors(number: int) -> list[Color]:
    """Colors that tell things apart; after the seven of the palette come paler ones, and so on.

    Example:
        >>> list_colors(8)[::7]
        [(230, 159, 0), (242, 207, 128)]
    """
    colors = []
    for turn, color in zip(range(number), itertools.cycle(PALETTE), strict=False):
        share = 0.5 ** (turn // len(PALETTE))
        colors.append(tuple(round(255 + share * (value - 255)) for value in color))
    return colors


def as_hex(color: Color) -> str:
    """A color as matplotlib takes it.

    Example:
        >>> as_hex(ORANGE)
        '#e69f00'
    """
    return '#{:02x}{:02x}{:02x}'.format(*color)


def measure_unit(image: Image) -> float:
    """A hundredth of the shorter side of an image, in pixels."""
    return min(image.shape[:2]) / 100


def add_strip(image: Image, *args: Any, **options: Any) -> Image:
    """Put what `draw_strip` draws below a picture (H, W, 3), which is left alone."""
    return np.concatenate([image, draw_strip(image.shape, *args, **options)])


def draw_strip(
    shape: Sequence[int],
    texts: Sequence[tuple[str, Color]],
    timeline: Timeline | None = None,
    part: float = 0.0,
    *,
    dial: float | None = None,
    ground: Color = INK,
) -> Image:
    """Draw a strip with words and a timeline, to stand below a picture.

    Square and upright pictures have the first words in a line of their own.

    Args:
        shape: Of the picture, (H, W) and more.
        texts: At least one, the most important first, and the color of each.
        timeline: What the whole video shows, if anything.
        part: How much of the video is over, in [0, 1].
        dial: A part, in [0, 1], of something that is done again and again; None for nothing.
        ground: Color behind the words.

    Returns:
        The strip (h, W, 3), whose height depends on the shape of the picture, on whether there is a
        timeline, and on whether there are several texts; 0 where a video cannot be higher.
    """
    height, width = shape[:2]
    unit = min(height, width) / 100
    is_wide = width >= 1.25 * height or len(texts) == 1
    lines = 1 if is_wide else 2
    size = LINE * lines + 1 + (timeline.thickness + 2 if timeline else 0)
    # x264 takes no higher ones
    num_rows = max(min(round(size * unit), MAX_SIDE_PX - height), 0)
    # a timeline stays on ink, for its colors to be seen
    strip = _fill_strip(num_rows, width, ground, round((LINE * lines + 1) * unit)).copy()
    if not num_rows:
        return strip
    left, right = 2.5 * unit, width - 2.5 * unit
    base = (0.5 + LINE / 2 + TEXT / 2) * unit
    if dial is not None:
        radius = 2.7 * unit
        center = (left + radius + unit, base - TEXT / 2 * unit)
        draw_arc(strip, center, radius, 1.0, DARK, 1.5 * unit)
        draw_arc(strip, center, radius, dial, texts[0][1], 1.5 * unit)
        left += 2 * radius + 3.5 * unit
    first, *others = texts
    share = 0.25 if len(others) > 3 else 0.45
    end = left + (right - left) * (share if is_wide and others else 1)
    write_text(strip, first[0], (left, base), TEXT * unit, first[1], end - left - 2 * unit)
    if not is_wide:
        end, base = 2.5 * unit, base + LINE * unit
    room = (right - end) / max(len(others), 1)
    sizes = [_choose_size(text, 0.75 * TEXT * unit, room - unit) for text, _ in others]
    for number, (text, color) in enumerate(others):
        place = (end + number * room, base)
        write_text(strip, text, place, min(sizes) * CAPITALS, color, room)
    if timeline:
        thickness = timeline.thickness * unit
        draw_timeline(
            strip, timeline, part, top=num_rows - thickness - 2 * unit, thickness=thickness
        )
    return strip


@lru_cache(maxsize=8)
def _fill_strip(num_rows: int, width: int, ground: Color, num_colored: int) -> Image:
    """An empty strip, of which the upper rows have this color; to fill it takes long."""
    strip = np.full((num_rows, width, 3), INK, np.uint8)
    strip[:num_colored] = ground
    return strip


def enlarge(image: Image) -> Image:
    """A multiple of an image that is large enough to write on, as far as a video can hold it."""
    height, width = image.shape[:2]
    factor = min(-(-MIN_SIDE_PX // min(height, width)), MAX_SIDE_PX // max(height, width))
    if factor <= 1:
        return image
    size = (width * factor, height * factor)
    import cv2

    return cv2.resize(image, size, interpolation=cv2.INTER_CUBIC).astype(np.uint8)


def darken(image: Image, x: float, y: float, width: float, height: float) -> None:
    """Make a rectangle dark enough for light text on it."""
    region = image[int(y) : int(y + height), int(x) : int(x + width)]
    np.multiply(region, 0.25, out=region, casting='unsafe')


def draw_bar(
    image: Image, x: float, y: float, width: float, height: float, part: float, color: Color
) -> None:
    """Fill the left part, in [0, 1], of a rectangle."""
    right = x + width * min(part, 1.0)
    if right - x >= 1:
        import cv2

        cv2.rectangle(image, (int(x), int(y)), (int(right), int(y + height)), color, cv2.FILLED)


def draw_arc(
    image: Image,
    center: Sequence[float],
    radius: float,
    part: float,
    color: Color,
    thickness: float,
) -> None:
    """Draw a part, in [0, 1], of a circle, clockwise from the top."""
    if 360 * part < 1:
        # an empty arc would be drawn as a dot in the middle
        return
    import cv2

    middle = (round(center[0]), round(center[1]))
    axes = (round(radius), round(radius))
    width = max(round(thickness), 1)
    cv2.ellipse(image, middle, axes, -90, 0, 360 * part, color, width, cv2.LINE_AA)


def write_text(
    image: Image,
    text: str,
    place: Sequence[float],
    height: float,
    color: Color,
    max_width: float,
) -> None:
    """Write text with capitals `height` pixels high, or less where it is wider than `max_width`.

    `place` (x, y) is the left end of the line that letters stand on. What lies outside of the image
    is left out.
    """
    mask, left, top = _render(text, _choose_size(text, height, max_width))
    x, y = round(place[0]) + left, round(place[1]) + top
    region = image[max(y, 0) : max(y + len(mask), 0), max(x, 0) : max(x + mask.shape[1], 0)]
    shown = mask[max(-y, 0) :, max(-x, 0) :][: region.shape[0], : region.shape[1], None]
    region[:] = np.rint(region + shown * (np.array(color, np.float32) - region))


@lru_cache
def _load_font(size: int) -> 'FreeTypeFont':
    """A font with the letters of most languages that are written from left to right."""
    import matplotlib
    from PIL import ImageFont

    return ImageFont.truetype(
        Path(matplotlib.get_data_path()) / 'fonts' / 'ttf' / 'DejaVuSans.ttf', size
    )


@lru_cache(maxsize=256)
def _measure(text: str, size: int) -> float:
    """How wide text is, in pixels."""
    return _load_font(size).getlength(text)


def _choose_size(text: str, height: float, max_width: float) -> int:
    """The size of the font for text of this height, or of less if it would be too wide."""
    size = max(round(height / CAPITALS), 1)
    width = _measure(text, size)
    return size if width <= max_width else max(int(size * max_width / width), 1)


@lru_cache
def _render(text: str, size: int) -> tuple[NDArray[np.float32], int, int]:
    """How much of each pixel text covers (h, w), and where that begins beside its base line."""
    from PIL import Image as Picture
    from PIL import ImageDraw

    font = _load_font(size)
    left, top, right, bottom = map(int, font.getbbox(text, anchor='ls'))
    mask = Picture.new('L', (max(right - left, 1), max(bottom - top, 1)))
    ImageDraw.Draw(mask).text((-left, -top), text, fill=255, font=font, anchor='ls')
    return (np.asarray(mask) / 255).astype(np.float32), left, top


def draw_timeline(
    image: Image, timeline: Timeline, part: float, *, top: float, thickness: float
) -> None:
    """Draw a timeline with its stretches, and a cursor.

    Args:
        image: Changed in place.
        timeline: What to draw; a name is left out where there is no room for it.
        part: How much of it is over, in [0, 1].
        top: Its upper edge, in pixels.
        thickness: Its height in pixels.
    """
    margin = thickness / 2
    length = image.shape[1] - 2 * margin
    scale = length / (timeline.end_s - timeline.start_s)
    draw_bar(image, margin, top, length, thickness, 1.0, DARK)
    for start_s, end_s, name, color in timeline.spans:
        begin, extent = margin + scale * (start_s - timeline.start_s), scale * (end_s - start_s)
        draw_bar(image, begin, top, extent, thickness, 1.0, color)
        if name and extent > 1.6 * thickness:
            place = (begin + 0.2 * thickness, top + 0.8 * thickness)
            ink = INK if sum(color) > 300 else WHITE
            write_text(image, name, place, 0.6 * thickness, ink, extent - 0.4 * thickness)
    now = margin + length * part
    draw_bar(
        image, now - thickness / 8, top - thickness / 5, thickness / 4, 1.4 * thickness, 1.0, WHITE
    )


def outline_box(image: Image, box_xyxy: NDArray[np.float64], label: str, color: Color) -> None:
    """Outline a box, with a label above it, else below it, else inside at its foot."""
    import cv2

    unit = measure_unit(image)
    left, top, right, bottom = (round(side) for side in box_xyxy.tolist())
    line = max(round(0.8 * unit), 1)
    cv2.rectangle(image, (left, top), (right - 1, bottom - 1), color, line)
    text_height, pad = 0.85 * TEXT * unit, 1.6 * unit
    height = text_height + 2 * pad
    width = min(_measure(label, max(round(text_height / CAPITALS), 1)) + 2 * pad, image.shape[1])
    # within the picture, and not on somebody's head
    x = max(min(left, image.shape[1] - width), 0)
    y = top - height if top >= height else min(bottom, image.shape[0] - height)
    darken(image, x, y, width, height)
    write_text(image, label, (x + pad, y + pad + text_height), text_height, color, width - 2 * pad)
