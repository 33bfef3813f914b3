"""A shadow goes, what casts it stays: each method on a scene that it is made for."""

from typing import NamedTuple

import cv2
import numpy as np
import pytest

from mmotion.transforms.shadows import (
    ColorMask,
    build_remover,
    estimate_color,
    structural_similarity,
)

SIZE = 96
ORANGE = (250, 140, 30)


class Seen(NamedTuple):
    """A frame, its background, and masks (S, S) of the object and of its shadow."""

    frame: np.ndarray
    background: np.ndarray
    is_object: np.ndarray
    is_shadow: np.ndarray


def draw(left: int, *, color=ORANGE, light: float = 0.65, seed: int = 0, soft: float = 0) -> Seen:
    """Draw a square of 20 pixels on a textured floor, and its shadow below it."""
    rng = np.random.default_rng(7)
    floor = cv2.resize(rng.uniform(80, 180, (24, 24, 1)), (SIZE, SIZE))[..., None].repeat(3, 2)
    is_object, is_shadow = np.zeros((2, SIZE, SIZE), bool)
    is_object[30:50, left : left + 20] = True
    is_shadow[52:76, left : left + 20] = True
    shade = np.where(is_shadow, light, 1.0)
    if soft:
        shade = cv2.GaussianBlur(shade, (0, 0), soft)
    frame = floor * shade[..., None]
    frame[is_object] = np.array(color) * rng.uniform(0.9, 1, (int(is_object.sum()), 1))
    noise = np.random.default_rng(seed).normal(0, 1, frame.shape)
    picture = (frame + noise).clip(0, 255).astype(np.uint8)
    return Seen(picture, floor.astype(np.uint8), is_object, is_shadow)


def inside(mask: np.ndarray) -> np.ndarray:
    """Without the border of 3 pixels, where methods may be wrong."""
    return cv2.erode(mask.astype(np.uint8), np.ones((7, 7))).astype(bool)


def video(**options) -> list[np.ndarray]:
    return [draw(left, seed=left, **options).frame for left in range(0, 76, 3)]


@pytest.mark.parametrize('color', [ORANGE, (240, 30, 60), (230, 230, 230)], ids=str)
def test_hsv_keeps_an_object_of_one_color(color) -> None:
    remover = build_remover('hsv')
    assert remover.needs_frames
    remover.fit(video(color=color))
    seen = draw(40, color=color)
    kept = remover.remove(seen.frame, None).any(-1)
    assert kept[inside(seen.is_object)].mean() > 0.9
    assert kept[seen.is_shadow].mean() < 0.05
    assert kept[~seen.is_object].mean() < 0.05


def test_hues_of_red_are_on_both_sides_of_zero() -> None:
    low, high = estimate_color(video(color=(240, 30, 35)))
    assert low[0] > 160 > 20 > high[0]


def test_given_ranges_need_no_frames() -> None:
    remover = ColorMask(low=(5, 100, 200), high=(25, 255, 255))
    assert not remover.needs_frames
    remover.fit([])
    seen = draw(40)
    kept = remover.remove(seen.frame, None).any(-1)
    assert kept[inside(seen.is_object)].all()
    assert not kept[~seen.is_object].any()


def test_a_color_cannot_be_estimated_of_a_dark_object() -> None:
    with pytest.raises(ValueError, match=r'brighter than the background by 25 of 255.*give low'):
        estimate_color(video(color=(10, 10, 10)))
    with pytest.raises(ValueError, match='low and high must be given or estimated, got None'):
        ColorMask().remove(draw(40).frame, None)


def test_ssim_keeps_what_changed_in_structure() -> None:
    remover = build_remover('ssim')
    before, seen = draw(20, seed=1, soft=4), draw(44, seed=2, soft=4)
    kept = remover.remove(seen.frame, before.frame).any(-1)
    assert kept[inside(seen.is_object)].mean() > 0.6
    assert kept[inside(seen.is_shadow)].mean() < 0.1
    with pytest.raises(ValueError, match=r"method='ssim' must have another frame"):
        remover.remove(seen.frame, None)


def test_the_similarity_is_that_of_contrast_and_structure() -> None:
    image = np.random.default_rng(0).integers(0, 240, (SIZE, SIZE, 1), np.uint8).repeat(3, 2)
    np.testing.assert_allclose(structural_similarity(image, image), 1, atol=1e-5)
    # half the light: 2 k / (1 + k ** 2), but for the constant
    half = (image * 0.5).astype(np.uint8)
    np.testing.assert_allclose(structural_similarity(image, half), 0.8, atol=0.03)


def test_the_filter_flattens_a_soft_shadow() -> None:
    seen, lit = draw(40, soft=8), draw(40, light=1.0)
    remover = build_remover('filter')
    shadow = inside(seen.is_shadow)
    before, after = (
        np.abs(one.astype(float) - other)[shadow].mean()
        for one, other in (
            (seen.frame, lit.frame),
            (remover.remove(seen.frame, None), remover.remove(lit.frame, None)),
        )
    )
    assert after < 0.6 * before
    # edges stay
    flat = remover.remove(seen.frame, None).astype(float).mean(-1)
    assert abs(flat[40, 58] - flat[40, 64]) > 15


@pytest.mark.parametrize('light', [0.6, 0.8])
def test_the_background_replaces_its_darkened_copies(light: float) -> None:
    remover = build_remover('background')
    remover.fit(video(light=light))
    seen = draw(40, light=light)
    cleaned = remover.remove(seen.frame, None)
    error = np.abs(cleaned.astype(float) - seen.background).mean(-1)
    assert np.median(error[inside(seen.is_shadow)]) < 4
    kept = (cleaned == seen.frame).all(-1)
    assert kept[inside(seen.is_object)].mean() > 0.95
    # a second call gives the same: removing does not learn
    np.testing.assert_array_equal(remover.remove(seen.frame, None), cleaned)


@pytest.mark.parametrize(
    ('method', 'options', 'message'),
    [
        pytest.param('blur', {}, r"method must be one of hsv, .*, got method='blur'", id='method'),
        pytest.param('ssim', {'low': 1}, r"options must be those of method='ssim'", id='option'),
        pytest.param('ssim', {'threshold': 1}, r'threshold must lie in \(0, 1\)', id='ssim'),
        pytest.param('filter', {'radius': 0}, r'radius must lie in \(0, 1\)', id='radius'),
        pytest.param('background', {'darkest': 2}, 'darkest must lie in', id='darkest'),
        pytest.param('hsv', {'low': (0, 0, 0)}, 'low and high must be given together', id='one'),
        pytest.param(
            'hsv', {'low': (190, 0, 0), 'high': (9, 9, 9)}, 'low must be hue, .* 179', id='hue'
        ),
    ],
)
def test_wrong_options_are_refused(method, options, message) -> None:
    with pytest.raises(ValueError, match=message):
        build_remover(method, **options)


def test_a_background_must_be_learned_first() -> None:
    with pytest.raises(ValueError, match='the background must be known'):
        build_remover('background').remove(draw(40).frame, None)
