"""Scaling of frames as Pillow and OpenCV do it, to the last digit, also where they are not.

Pillow, src/libImaging/Resample.c: along one side and then along the other, with weights in whole
numbers of 2 ** -22, and a rounding to whole grey levels after each. The sums are whole numbers that
a double holds, so products of matrices give the same. Pillow 13 begins with the height where that
shrinks more (python-pillow/Pillow#9549), older ones always with the width; here each does as 13.
"""

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

try:
    from PIL import Image
except ImportError:
    # where an exported model runs, there may be no more than it needs
    Image = None
try:
    import cv2
except ImportError:
    cv2 = None

# bits of a weight behind the point
PRECISION_BITS = 32 - 8 - 2
# columns or rows that are worked out at once: neighbours read mostly the same pixels
BLOCK = 4


def resize_bilinear(image: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    """Scale a frame (H, W, 3) by Pillow's bilinear filter, which averages where it shrinks."""
    old_height, old_width = image.shape[:2]
    is_high = old_height > height and old_height - height > 2 * (old_width - width)
    if (old_height, old_width) == (height, width):
        return image
    if Image is None:
        return resize_without_pillow(image, width, height, rows_first=is_high)
    between = Image.fromarray(image).resize(
        (old_width, height) if is_high else (width, old_height), Image.Resampling.BILINEAR
    )
    return np.asarray(between.resize((width, height), Image.Resampling.BILINEAR))


def resize_without_pillow(
    image: NDArray[np.uint8], width: int, height: int, *, rows_first: bool
) -> NDArray[np.uint8]:
    """What `resize_bilinear` gives, by NumPy; about three times as slow.

    Args:
        image: The frame (H, W, 3).
        width: Of what is given, in pixels.
        height: Of what is given, in pixels.
        rows_first: Whether it is made lower before it is made narrower.
    """
    rows: NDArray[np.generic] = image.reshape(len(image), -1)
    passes = [(_resize_columns, width), (_resize_rows, height)]
    for resize, size in reversed(passes) if rows_first else passes:
        rows = resize(rows, size)
    return rows.astype(np.uint8).reshape(height, width, 3)


def _resize_columns(rows: NDArray[np.generic], size: int) -> NDArray[np.float64]:
    """(n, 3 * W) to (n, 3 * size)."""
    sums = np.empty((len(rows), 3 * size))
    for start, first, weights in _list_blocks(rows.shape[1] // 3, size):
        part = rows[:, 3 * first : 3 * first + len(weights)].astype(np.float64) @ weights
        sums[:, 3 * start : 3 * start + part.shape[1]] = part
    return _round(sums)


def _resize_rows(rows: NDArray[np.generic], size: int) -> NDArray[np.float64]:
    """(H, n) to (size, n)."""
    weights, sums = _find_weights(len(rows), size), np.empty((size, rows.shape[1]))
    for start in range(0, size, BLOCK):
        part = weights[:, start : start + BLOCK]
        used = np.flatnonzero(part.any(1))
        some = slice(used[0], used[-1] + 1)
        sums[start : start + BLOCK] = part[some].T @ rows[some].astype(np.float64)
    return _round(sums)


@lru_cache(maxsize=8)
def _find_weights(length: int, size: int) -> NDArray[np.float64]:
    """Weights of the pixels of a side (length, size), whole numbers."""
    scale = length / size
    reach = max(scale, 1.0)
    weights = np.zeros((length, size))
    for i in range(size):
        center = (i + 0.5) * scale
        first = max(int(center - reach + 0.5), 0)
        end = min(int(center + reach + 0.5), length)
        places = (np.arange(first, end) - center + 0.5) / reach
        share = np.maximum(1 - np.abs(places), 0)
        share = share / math.fsum(share)
        weights[first:end, i] = np.floor(share * (1 << PRECISION_BITS) + 0.5)
    return weights


@lru_cache(maxsize=8)
def _list_blocks(length: int, size: int) -> list[tuple[int, int, NDArray[np.float64]]]:
    """First column, first pixel, and the weights of the pixels of a few columns, of 3 channels."""
    weights, blocks = _find_weights(length, size), []
    for start in range(0, size, BLOCK):
        part = weights[:, start : start + BLOCK]
        used = np.flatnonzero(part.any(1))
        first, end = used[0], used[-1] + 1
        blocks.append((start, int(first), np.kron(part[first:end], np.eye(3))))
    return blocks


def _round(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Grey levels of sums of weighted grey levels."""
    levels = np.floor((sums + (1 << (PRECISION_BITS - 1))) / (1 << PRECISION_BITS))
    return np.clip(levels, 0, 255)


def resize_linear(image: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    """Scale a frame (H, W, 3) by OpenCV's `INTER_LINEAR`."""
    if cv2 is None:
        return resize_without_opencv(image, width, height)
    return np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)


def resize_without_opencv(image: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    """What `resize_linear` gives, by NumPy.

    OpenCV 5, modules/imgproc/src/resize.cpp: weights in whole numbers of 2 ** -11, and sums whose
    lowest bits are cut off; what is halved is the mean of four pixels.
    """
    old_height, old_width = image.shape[:2]
    if (old_width, old_height) == (2 * width, 2 * height):
        fours = image.reshape(height, 2, width, 2, -1).astype(np.int64).sum((1, 3))
        return ((fours + 2) >> 2).astype(np.uint8)
    left, share_x = _find_places(old_width, width)
    top, share_y = _find_places(old_height, height)
    # beyond the sides a pixel stands for itself, but above and below for both of its row
    share_x = np.where((left < 0) | (left >= old_width - 1), 0, share_x)
    lines = []
    for row, share in ((top, 1 - share_y), (top + 1, share_y)):
        pixels = image[np.clip(row, 0, old_height - 1)].astype(np.int64)
        first = pixels[:, np.clip(left, 0, old_width - 1)] * _weigh(1 - share_x)[:, None]
        sums = first + pixels[:, np.clip(left + 1, 0, old_width - 1)] * _weigh(share_x)[:, None]
        lines.append((_weigh(share)[:, None, None] * (sums >> 4)) >> 16)
    return np.clip((lines[0] + lines[1] + 2) >> 2, 0, 255).astype(np.uint8)


def _find_places(length: int, size: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The pixel before each place of a side (size,), and how far it is from there to the next."""
    places = ((np.arange(size) + 0.5) * (length / size) - 0.5).astype(np.float32)
    before = np.floor(places).astype(np.int64)
    return before, (places - before).astype(np.float32)


def _weigh(shares: NDArray[np.floating]) -> NDArray[np.int64]:
    return np.rint(shares * 2048).astype(np.int64)


def resize_area(image: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Scale a frame (H, W, 3) to a square by OpenCV's `INTER_AREA`, or linearly where it grows."""
    height, width = image.shape[:2]
    if (height, width) == (size, size):
        return image
    if size > min(height, width):
        return resize_linear(image, size, size)
    if cv2 is None:
        return average_areas(image, size)
    return np.asarray(cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA), np.uint8)


def average_areas(image: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """What `resize_area` gives of a larger frame, by NumPy; of a mean between two, the even one.

    OpenCV rounds the mean of four pixels up there, and its sums of single precision differ from
    these by a grey level in fewer than one value of ten thousand.
    """
    height, width = image.shape[:2]
    sums = image.reshape(height, -1).astype(np.float64)
    sums = _find_areas(height, size).T @ sums
    sums = np.moveaxis(sums.reshape(size, width, 3), 2, 1) @ _find_areas(width, size)
    halves_up = (height, width) == (2 * size, 2 * size)
    levels = np.floor(sums + 0.5) if halves_up else np.rint(sums)
    return np.moveaxis(levels, 1, 2).astype(np.uint8)


@lru_cache(maxsize=8)
def _find_areas(length: int, size: int) -> NDArray[np.float64]:
    """Which share of each place of a side the pixels have (length, size)."""
    edges = np.arange(size + 1) * (length / size)
    pixels = np.arange(length)[:, None]
    shared = np.minimum(edges[1:], pixels + 1) - np.maximum(edges[:-1], pixels)
    return np.clip(shared, 0, None) * (size / length)
