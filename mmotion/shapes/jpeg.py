"""What JPEG does to pictures, by torch, in batches and on any device.

Nothing is encoded: pictures are cut into blocks, whose frequencies are rounded to the steps of a
quality and put together again, in the way of libjpeg, by which OpenCV reads and writes.

Standard: ITU-T T.81 (09/92), annexes A and K, https://www.w3.org/Graphics/JPEG/itu-t81.pdf
Reference code: libjpeg-turbo/libjpeg-turbo@3.1.2, src/jcparam.c (steps by quality), jcsample.c and
    jdsample.c (color at half of the size, `h2v2_fancy_upsample`)

Shape letters in this file: N pictures, H and W height and width in pixels, R and C rows and columns
of blocks.
"""

import functools

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor

BLOCK = 8
# steps of brightness and of color at quality 50, T.81 tables K.1 and K.2
BRIGHTNESS_STEPS = (
    *(16, 11, 10, 16, 24, 40, 51, 61),
    *(12, 12, 14, 19, 26, 58, 60, 55),
    *(14, 13, 16, 24, 40, 57, 69, 56),
    *(14, 17, 22, 29, 51, 87, 80, 62),
    *(18, 22, 37, 56, 68, 109, 103, 77),
    *(24, 35, 55, 64, 81, 104, 113, 92),
    *(49, 64, 78, 87, 103, 121, 120, 101),
    *(72, 92, 95, 98, 112, 100, 103, 99),
)
COLOR_STEPS = (
    *(17, 18, 24, 47, 99, 99, 99, 99),
    *(18, 21, 26, 66, 99, 99, 99, 99),
    *(24, 26, 56, 99, 99, 99, 99, 99),
    *(47, 66, 99, 99, 99, 99, 99, 99),
    *[99] * 32,
)
# of red, green and blue to brightness, blueness and redness
TO_YCC = (
    (0.299, 0.587, 0.114),
    (-0.168735892, -0.331264108, 0.5),
    (0.5, -0.418687589, -0.081312411),
)
TO_RGB = ((1, 0, 1.402), (1, -0.344136286, -0.714136286), (1, 1.772, 0))


def compress_jpeg(pictures: Tensor, quality: Tensor) -> Tensor:
    """Lose what JPEG would lose, with color at half of the size.

    Args:
        pictures: RGB in grey levels from 0 to 255, float32 (N, 3, H, W).
        quality: Of each picture, from 0 to 100, (N,) on the same device; 0 is as 1.

    Returns:
        Whole grey levels of the same shape.
    """
    height, width = pictures.shape[-2:]
    # the border goes on to whole blocks of color
    beyond = (0, -width % (2 * BLOCK), 0, -height % (2 * BLOCK))
    padded = F.pad(pictures, beyond, mode='replicate')
    ycc = _mix(padded, TO_YCC).round_()
    brightness = _round_blocks(ycc[:, :1] - 128, _steps(BRIGHTNESS_STEPS, quality))
    # halves go down and up in turns, as in h2v2_downsample
    color = _round_in_turns(F.avg_pool2d(ycc[:, 1:], 2), -1 / 8)
    color = _round_blocks(color, _steps(COLOR_STEPS, quality))
    planes = torch.cat([brightness + 128, _enlarge(color)], dim=1)
    return _mix(planes, TO_RGB).round_().clamp_(0, 255)[..., :height, :width]


@functools.lru_cache(maxsize=16)
def _send(table: tuple, device: torch.device) -> Tensor:
    """A table on the device, which is waited for at the first time alone."""
    return torch.tensor(table, device=device, dtype=torch.float32)


def _mix(pictures: Tensor, matrix: tuple[tuple[float, ...], ...]) -> Tensor:
    return torch.einsum('ij,njhw->nihw', _send(matrix, pictures.device), pictures)


def _steps(table: tuple[int, ...], quality: Tensor) -> Tensor:
    """Steps of a table at qualities (N,), (N, 1, 1, 1, 8, 8)."""
    quality = quality.view(-1, 1, 1, 1, 1, 1).float().clamp(min=1)
    percent = torch.where(quality < 50, (5000 / quality).floor(), 200 - 2 * quality)
    steps = _send(table, quality.device).view(BLOCK, BLOCK)
    return ((steps * percent + 50) / 100).floor().clamp_(1, 255)


def _round_blocks(planes: Tensor, steps: Tensor) -> Tensor:
    """Round the frequencies of the blocks of planes (N, P, H, W) around 0 to whole steps."""
    place = torch.arange(BLOCK, device=planes.device, dtype=torch.float32)
    waves = torch.cos((2 * place + 1) * place[:, None] * torch.pi / (2 * BLOCK)) / 2
    waves[0] /= 2**0.5
    blocks = rearrange(planes, 'n p (r i) (c j) -> n p r c i j', i=BLOCK, j=BLOCK)
    frequencies = waves @ blocks @ waves.T
    frequencies = (frequencies / steps).round_() * steps
    blocks = (waves.T @ frequencies @ waves).round_().clamp_(-128, 127)
    return rearrange(blocks, 'n p r c i j -> n p (r i) (c j)')


def _enlarge(planes: Tensor) -> Tensor:
    """Twice as high and wide: each pixel is three quarters the nearest one of either axis."""
    height, width = planes.shape[-2:]
    size = (2 * height, 2 * width)
    large = F.interpolate(planes, size=size, mode='bilinear', align_corners=False)
    return _round_in_turns(large, 1 / 32)


def _round_in_turns(values: Tensor, first: float) -> Tensor:
    """Round in place what has been moved by `first` in even columns, in the others against it."""
    values[..., ::2] += first
    values[..., 1::2] -= first
    return values.round_()
