"""People in space, seen from any side: joints between key points, and bars between joints.

Shape letters in this file: N moments, P parts, J places in space.
"""

from dataclasses import dataclass

import numpy as np

from .exercises import HIPS, LEFT_FOOT, LEFT_HAND, RIGHT_FOOT, RIGHT_HAND, SHOULDER, SHOULDERS
from .movers import HEAD, SHIN, SPRITE_SIZE, THIGH, UPPER_ARM, bar, sprite
from .scene import ByteArray, FloatArray, Part

HIP = 0.05
# thickness of what is drawn, in heights of the person: of head, torso, upper arm, ... and a ball
HEAD_WIDTH, TORSO_WIDTH, ARM_WIDTH, LEG_WIDTH, FOOT_WIDTH = 0.12, 0.15, 0.055, 0.085, 0.05
FOOT = 0.11
# how wide a bar is in its sprite, and one that is as round as it is long
_SPRITE_BAR, ROUND = 0.5, 0.94


@dataclass(frozen=True, kw_only=True)
class View:
    """From where and how large a person is seen.

    Attributes:
        azimuth: Of the camera around the person, in radians: 0 from the front, pi / 2 from the
            person's left.
        elevation: Of the camera above the horizon, in radians.
        roll: Turn of the picture, in radians.
        distance: In heights of the person; far away there is no perspective.
        scale: Pixels that a person is high.
        center: Place in space that is in the middle, (3,).
        middle: The middle, in world pixels.
    """

    azimuth: float
    elevation: float
    roll: float
    distance: float
    scale: float
    center: FloatArray
    middle: tuple[float, float]

    def project(self, places: FloatArray) -> tuple[FloatArray, FloatArray]:
        """World pixels (..., 2) of places in space (..., 3), and the factor of their size (...)."""
        x, y, z = np.moveaxis(places - self.center, -1, 0)
        right = x * np.sin(self.azimuth) + y * np.cos(self.azimuth)
        near = x * np.cos(self.azimuth) - y * np.sin(self.azimuth)
        up = z * np.cos(self.elevation) - near * np.sin(self.elevation)
        near = near * np.cos(self.elevation) + z * np.sin(self.elevation)
        size = self.distance / np.maximum(self.distance - near, 0.3 * self.distance)
        cos, sin = self.scale * np.cos(self.roll), self.scale * np.sin(self.roll)
        picture = np.stack([right * cos + up * sin, right * sin - up * cos], -1)
        return picture * size[..., None] + self.middle, size

    def depth(self, places: FloatArray) -> FloatArray:
        """How near places (..., 3) are, (...)."""
        x, y, z = np.moveaxis(places - self.center, -1, 0)
        near = x * np.cos(self.azimuth) - y * np.sin(self.azimuth)
        return near * np.cos(self.elevation) + z * np.sin(self.elevation)


def find_body(poses: FloatArray) -> dict[str, FloatArray]:
    """Joints of poses (N, 6, 3), by name (N, 3); what cannot be reached is reached for."""
    hips, shoulders = poses[:, HIPS], poses[:, SHOULDERS]
    up = shoulders - hips
    up /= np.linalg.norm(up, axis=-1, keepdims=True)
    body = {'hips': hips, 'neck': shoulders, 'chin': shoulders + 0.06 * up}
    body['head'] = shoulders + (HEAD - HEAD_WIDTH / 2) * up
    for side, hand, foot, sign in (
        ('left', LEFT_HAND, LEFT_FOOT, 1),
        ('right', RIGHT_HAND, RIGHT_FOOT, -1),
    ):
        shoulder = shoulders + np.array([0, sign * SHOULDER, 0])
        hip = hips + np.array([0, sign * HIP, 0])
        elbow, wrist = _bend(shoulder, poses[:, hand], UPPER_ARM, [-1, 0.5 * sign, -0.3])
        knee, ankle = _bend(hip, poses[:, foot], THIGH, [1, 0.15 * sign, 1])
        # the foot points away from the shin, to the front
        shin = (ankle - knee) / SHIN
        toe = np.array([1.0, 0.2 * sign, 0]) - 0.9 * shin[:, :1] * shin
        toe = ankle + FOOT * toe / np.linalg.norm(toe, axis=-1, keepdims=True)
        body |= {
            f'{side} shoulder': shoulder,
            f'{side} elbow': elbow,
            f'{side} wrist': wrist,
            f'{side} hip': hip,
            f'{side} knee': knee,
            f'{side} ankle': ankle,
            f'{side} toe': toe,
        }
    return body


def _bend(
    root: FloatArray, target: FloatArray, length: float, hint: list[float]
) -> tuple[FloatArray, FloatArray]:
    """Middle and end of two bones of one length from a root towards a target, (N, 3) each."""
    way = target - root
    far = np.linalg.norm(way, axis=-1, keepdims=True).clip(1e-6)
    way = way / far
    far = far.clip(0.2 * length, 1.98 * length)
    aside = np.array(hint) - (way @ np.array(hint))[:, None] * way
    aside /= np.linalg.norm(aside, axis=-1, keepdims=True).clip(1e-6)
    middle = root + way * far / 2 + aside * np.sqrt(length**2 - (far / 2) ** 2)
    return middle, root + way * far


@dataclass(frozen=True, kw_only=True)
class Outfit:
    """How a person looks: the sprites of the limbs, and how stout they are."""

    girth: float
    skin: ByteArray
    shirt: ByteArray
    trousers: ByteArray
    hair: ByteArray
    shoes: ByteArray
    sleeves: ByteArray
    thing: ByteArray
    thing_size: float

    @classmethod
    def sample(cls, rng: np.random.Generator) -> 'Outfit':
        """Dress somebody."""
        skin, shirt, trousers, shoes = (sprite(rng, bar(_SPRITE_BAR)) for _ in range(4))
        return cls(
            girth=rng.uniform(0.75, 1.35),
            skin=skin,
            shirt=shirt,
            trousers=trousers,
            hair=sprite(rng, bar(ROUND)),
            shoes=shoes,
            sleeves=shirt if rng.random() < 0.5 else skin,
            thing=sprite(rng, bar(ROUND)),
            thing_size=rng.uniform(0.05, 0.16),
        )

    def draw(self, body: dict[str, FloatArray], view: View) -> list[tuple[FloatArray, Part]]:
        """Each part with how near it is (N,), in no order."""
        shoulders = np.stack([body['left shoulder'], body['right shoulder']], 1)
        flat, _ = view.project(shoulders)
        across = np.linalg.norm(flat[:, 0] - flat[:, 1], axis=-1) / view.scale
        parts = [
            self._bar(self.shirt, body['hips'], body['neck'], view, TORSO_WIDTH, 0.4 * across),
            self._bar(
                self.hair, body['chin'], body['head'], view, HEAD_WIDTH / self.girth, share=ROUND
            ),
        ]
        for side in ('left', 'right'):
            joint = {name: body[f'{side} {name}'] for name in _LIMB_JOINTS}
            for sprite_of, start, end, width in (
                (self.sleeves, 'shoulder', 'elbow', ARM_WIDTH),
                (self.skin, 'elbow', 'wrist', 0.85 * ARM_WIDTH),
                (self.trousers, 'hip', 'knee', LEG_WIDTH),
                (self.trousers, 'knee', 'ankle', 0.8 * LEG_WIDTH),
                (self.shoes, 'ankle', 'toe', FOOT_WIDTH),
            ):
                parts.append(self._bar(sprite_of, joint[start], joint[end], view, width))
        return parts

    def _bar(
        self,
        texture: ByteArray,
        start: FloatArray,
        end: FloatArray,
        view: View,
        width: float,
        extra: FloatArray | float = 0.0,
        *,
        share: float = _SPRITE_BAR,
    ) -> tuple[FloatArray, Part]:
        wide = self.girth * width + extra
        middle = (start + end) / 2
        return view.depth(middle), Part(texture, place_bar(start, end, view, wide, share=share))


_LIMB_JOINTS = ('shoulder', 'elbow', 'wrist', 'hip', 'knee', 'ankle', 'toe')


def place_bar(
    start: FloatArray,
    end: FloatArray,
    view: View,
    width: FloatArray | float,
    *,
    share: float = ROUND,
) -> FloatArray:
    """Placements (N, 2, 3) of a bar between places (N, 3), its round ends beyond them.

    Args:
        start: Place of one end, (N, 3).
        end: Place of the other.
        view: From where it is seen.
        width: Of the bar, in heights of a person.
        share: Width of the bar in its sprite.
    """
    (first, size), (last, _) = view.project(start), view.project(end)
    way = last - first
    length = np.linalg.norm(way, axis=-1)
    # what points at the camera is as round as it is wide
    along = np.where((length > 1e-6)[:, None], way, [0.0, 1.0])
    along = along / np.linalg.norm(along, axis=-1, keepdims=True)
    across = np.stack([along[:, 1], -along[:, 0]], -1)
    wide = view.scale * size * width
    matrix = np.empty((len(first), 2, 3))
    matrix[:, :, 0] = across * (wide / (share * SPRITE_SIZE))[:, None]
    matrix[:, :, 1] = along * ((length + wide) / (0.94 * SPRITE_SIZE))[:, None]
    center = np.full(2, SPRITE_SIZE / 2)
    matrix[:, :, 2] = (first + last) / 2 - matrix[:, :, :2] @ center
    return matrix
