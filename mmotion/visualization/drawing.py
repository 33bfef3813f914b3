"""Shapes and text on an image: the bricks of `mmotion.visualization`.

Images are RGB (H, W, 3), uint8, and are changed in place, unless a function returns one. Places and
lengths are in pixels, x to the right and y down.
"""

from collections.abc import Iterable, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from mmotion.video.writer import MAX_SIDE_PX

Image: TypeAlias = NDArray[np.uint8]
Color: TypeAlias = tuple[int, int, int]

# smaller frames are enlarged before anything is drawn on them
MIN_SIDE_PX = 256
WHITE: Color = (255, 255, 255)
GREY: Color = (190, 190, 190)
DARK: Color = (80, 80, 80)
ACTIVE: Color = (255, 179, 64)
# cv2.FONT_HERSHEY_DUPLEX: results are drawn where OpenCV is, and used where it is not
FONT = 2


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
    *,
    centered: bool = False,
) -> None:
    """Write text `height` pixels high, or less if it is wider than `max_width` pixels.

    `place` (x, y) is its lower left corner, or its middle.
    """
    import cv2

    (natural_width, natural_height), _ = cv2.getTextSize(text, FONT, 1.0, 1)
    scale = min(height / natural_height, max_width / natural_width)
    x, y = place
    if centered:
        x -= natural_width * scale / 2
        y += natural_height * scale / 2
    thickness = max(round(scale), 1)
    cv2.putText(image, text, (round(x), round(y)), FONT, scale, color, thickness, cv2.LINE_AA)


def draw_timeline(
    image: Image,
    spans: Iterable[tuple[float, float, str, Color]],
    *,
    start_s: float,
    duration_s: float,
    part: float,
    margin: float,
    rise: float,
    thickness: float,
) -> None:
    """Draw a whole video as a dark strip near the lower edge, with stretches of it, and a cursor.

    Args:
        image: Changed in place.
        spans: Begin and end in seconds of the video, name ('' for none, and left out where there is
            no room for it), color.
        start_s: Where the strip begins in the video.
        duration_s: How long it is.
        part: How much of it is over, in [0, 1].
        margin: Distance from the left and right edges, in hundredths of the shorter side, as are
            the next two.
        rise: Distance of its upper from the lower edge of the image.
        thickness: Its height.
    """
    height, width = image.shape[:2]
    unit = min(height, width) / 100
    left, length, thick = margin * unit, width - 2 * margin * unit, thickness * unit
    top = height - rise * unit
    darken(image, left - unit, top - unit, length + 2 * unit, thick + 2 * unit)
    for begin_s, end_s, name, color in spans:
        begin = left + length * (begin_s - start_s) / duration_s
        extent = length * (end_s - begin_s) / duration_s
        draw_bar(image, begin, top, extent, thick, 1.0, color)
        if name and extent > 8 * unit:
            place = (begin + unit, top + 4.5 * unit)
            write_text(image, name, place, 3.2 * unit, WHITE, extent - 2 * unit)
    now = left + length * part
    draw_bar(image, now - 0.6 * unit, top - unit, 1.2 * unit, thick + 2 * unit, 1.0, WHITE)


def outline_box(
    image: Image, box_xyxy: NDArray[np.float64], label: str, unit: float, color: Color
) -> None:
    """Outline a box, and write a label above it, or inside where the picture ends above."""
    import cv2

    left, top, right, bottom = (round(side) for side in box_xyxy.tolist())
    line = max(round(0.8 * unit), 1)
    cv2.rectangle(image, (left, top), (right - 1, bottom - 1), color, line)
    text_height, pad = 6 * unit, 1.6 * unit
    height = text_height + 2 * pad
    (natural_width, natural_height), _ = cv2.getTextSize(label, FONT, 1.0, 1)
    width = min(natural_width * text_height / natural_height + 2 * pad, image.shape[1])
    # within the picture
    x = max(min(left, image.shape[1] - width), 0)
    y = top - height if top >= height else top
    darken(image, x, y, width, height)
    place = (x + pad, y + pad + text_height)
    write_text(image, label, place, text_height, color, width - 2 * pad)
