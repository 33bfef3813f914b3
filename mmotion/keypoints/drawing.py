"""Draw people's skeletons on a frame.

Left is warm and right is cool, so that a swap of the two can be seen; a bone is as pale as the less
certain of its two points is.

Shape letters in this file: H and W height and width of a frame in pixels, K points.
"""

from collections.abc import Sequence

import cv2
import numpy as np

from mmotion.keypoints.poses import Person
from mmotion.keypoints.skeletons import Skeleton
from mmotion.visualization.drawing import ACTIVE, SKY, WHITE, Color, Image, measure_unit

RIGHT: Color = SKY
MIDDLE: Color = WHITE
# certain enough to be drawn
MIN_SCORE = 0.1


def draw_people(
    image: Image, people: Sequence[Person], skeleton: Skeleton, *, scale: float = 1.0
) -> None:
    """Draw the bones and points of people on an image, in place.

    Args:
        image: RGB (H, W, 3).
        people: With the K points of the skeleton; points that are missing, or whose score is below
            0.1, are left out.
        skeleton: Which points a bone joins.
        scale: Size of the image, in sizes of the video that the keypoints belong to.
    """
    unit = max(measure_unit(image), 1.0)
    for person in people:
        shown = (person.scores >= MIN_SCORE) & np.isfinite(person.keypoints).all(axis=1)
        # far outside of the picture OpenCV's integers would overflow
        places = np.rint(np.clip(np.nan_to_num(person.keypoints * scale), -10_000, 10_000))
        places = places.astype(int).tolist()
        for first, second in skeleton.edges:
            if shown[first] and shown[second]:
                certainty = float(min(person.scores[first], person.scores[second]))
                color = _shade(point_color(skeleton, first, second), certainty)
                width = max(round(0.8 * unit), 1)
                cv2.line(image, places[first], places[second], color, width, cv2.LINE_AA)
        for point in np.flatnonzero(shown).tolist():
            color = _shade(point_color(skeleton, point), float(person.scores[point]))
            radius = max(round(0.9 * unit), 1)
            cv2.circle(image, places[point], radius, color, cv2.FILLED, cv2.LINE_AA)


def point_color(skeleton: Skeleton, *points: int) -> Color:
    """Color of a point, or of the bone between two: that of their side.

    Example:
        >>> from mmotion.keypoints.skeletons import COCO17
        >>> point_color(COCO17, COCO17.points.index('nose'))
        (255, 255, 255)
    """
    names = ' '.join(skeleton.points[point] for point in points)
    if ('left' in names) == ('right' in names):
        return MIDDLE
    return ACTIVE if 'left' in names else RIGHT


def _shade(color: Color, certainty: float) -> Color:
    """Darker where it is less certain."""
    share = 0.4 + 0.6 * certainty
    red, green, blue = (round(value * share) for value in color)
    return red, green, blue
