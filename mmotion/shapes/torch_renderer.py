"""Scenes drawn by torch, a batch at a time, on the device on which they are needed.

Does what `Scene.frames` does, which draws by OpenCV, frame by frame: the same warps, blends and
rounding, so that the pictures are the same but for a grey level here and there. What is drawn is
still described by NumPy, from the same random numbers, and so are the labels.

A layer, the k-th part from the back of all clips in all of their frames, is a few operations on one
tensor. Sizes and orders are known before anything is sent to the device, which is never waited for.

Shape letters in this file: B clips, T frames a clip, S frame size in pixels, K parts of all clips,
n clips of a layer, h and w height and width of what is drawn.
"""

import functools
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from einops import rearrange
from numpy.typing import NDArray
from torch import Tensor

from .jpeg import compress_jpeg
from .scene import Scene, find_boxes, grain_corner, grain_field, place_backgrounds, place_part

# drawn at once by kind of device: on a GPU in about half a gigabyte, elsewhere one clip, whose
# pictures stay in the cache of a CPU
CHUNK_PIXELS = {'cuda': 2**23}


def render_scenes(scenes: Sequence[Scene], *, device: torch.device | str = 'cpu') -> Tensor:
    """Draw all frames of a batch.

    Args:
        scenes: As many frames T, of one size S, each.
        device: Where.

    Returns:
        RGB, uint8 (B, 3, T, S, S).

    Raises:
        ValueError: If the scenes, their backgrounds or their sprites differ in size.

    Example:
        >>> from mmotion.shapes import MotionShapes
        >>> scenes = [MotionShapes(num_frames=(96, 96))[number] for number in range(2)]
        >>> render_scenes(scenes).shape
        torch.Size([2, 3, 96, 64, 64])
    """
    device = torch.device(device)
    _check_sizes(scenes)
    # those with the most parts first, so that a layer is of the first n clips
    order = np.argsort([-len(scene.parts) for scene in scenes], kind='stable')
    pixels = len(scenes[0]) * scenes[0].size ** 2
    step = max(1, CHUNK_PIXELS.get(device.type, 0) // pixels)
    chosen = [scenes[number] for number in order]
    drawn = [_render(chosen[k : k + step], device) for k in range(0, len(chosen), step)]
    return torch.cat(drawn)[_send(np.argsort(order), device)]


def _check_sizes(scenes: Sequence[Scene]) -> None:
    for what, sizes in (
        ('frames', {(len(scene), scene.size) for scene in scenes}),
        ('backgrounds', {image.shape for scene in scenes for image in scene.backgrounds}),
        ('sprites', {part.sprite.shape for scene in scenes for part in scene.parts}),
    ):
        if len(sizes) > 1 or not scenes:
            raise ValueError(
                f'scenes must have {what} of one number and size, got {sorted(sizes)}; draw them '
                'one by one'
            )


def _send(array: NDArray, device: torch.device) -> Tensor:
    """Copy to the device without waiting for it."""
    tensor = torch.from_numpy(np.ascontiguousarray(array))
    if device.type == 'cuda':
        tensor = tensor.pin_memory()
    return tensor.to(device, non_blocking=True)


def _render(scenes: Sequence[Scene], device: torch.device) -> Tensor:
    """Draw scenes, those with the most parts first, (B, 3, T, S, S) uint8."""
    # grey levels are whole numbers in float32, colors first: (3, B, T, S, S)
    frames = _draw_backgrounds(scenes, device)
    _draw_parts(frames, scenes, device)
    light = _send(np.array([scene.light for scene in scenes], np.float32), device)
    frames = (frames * light[..., None, None]).round_().clamp_(0, 255)
    noise = np.array([scene.noise for scene in scenes], np.float32)
    if noise.any():
        grains = _grains(scenes[0].size, len(scenes[0]), device)[:, None]
        grains = grains * _send(noise, device)[:, None, None, None]
        frames = frames.add_(grains.trunc_()).clamp_(0, 255)
    frames = _apply_looks(frames, scenes, device)
    return rearrange(frames, 'c b t h w -> b c t h w').to(torch.uint8, copy=True)


def _draw_backgrounds(scenes: Sequence[Scene], device: torch.device) -> Tensor:
    """What is behind all parts, (3, B, T, S, S) float32."""
    num_frames, size = len(scenes[0]), scenes[0].size
    places = np.stack([place_backgrounds(scene) for scene in scenes])
    matrices = _send(_look_up(places, scenes[0].backgrounds[0].shape), device)
    frames = torch.empty(3, len(scenes), num_frames, size, size, device=device)
    for shot in range(max(len(scene.backgrounds) for scene in scenes)):
        clips = [i for i, scene in enumerate(scenes) if len(scene.backgrounds) > shot]
        images = _send(np.stack([scenes[i].backgrounds[shot] for i in clips]), device)
        chosen = _send(np.array(clips), device)
        drawn = _sample(_as_pictures(images), matrices[chosen], (size, size), 'reflection')
        if not shot:
            frames.copy_(drawn)
            continue
        shots = np.stack([scenes[i].shot for i in clips])
        here = _send(shots == shot, device)[..., None, None]
        frames[:, chosen] = torch.where(here, drawn, frames[:, chosen])
    return frames


def _draw_parts(frames: Tensor, scenes: Sequence[Scene], device: torch.device) -> None:
    """Blend the parts of all scenes into frames (3, B, T, S, S), in place, from back to front."""
    size = scenes[0].size
    depth = len(scenes[0].parts)
    layers = [[(s, s.parts[k]) for s in scenes if len(s.parts) > k] for k in range(depth)]
    if not layers:
        return
    places = np.stack([place_part(part, s.camera) for layer in layers for s, part in layer])
    sprites = np.stack([part.sprite for layer in layers for _, part in layer])
    starts, stops = find_boxes(places, sprites.shape[1:3], size)
    # the largest box of a layer in all its frames; what is not in the picture has none
    spans = np.where((stops > starts).all(-1, keepdims=True), stops - starts, 0).max(1)
    counts = [len(layer) for layer in layers]
    ends = np.cumsum(counts, dtype=np.int64)
    windows = np.maximum.reduceat(spans, ends - counts)
    starts = np.minimum(starts, size - np.repeat(windows, counts, axis=0)[:, None])
    # of each part in each frame the first pixel of its window, counted through all frames
    places[..., 2] -= starts
    clips = np.concatenate([np.arange(count) for count in counts])
    first_frames = clips[:, None] * len(scenes[0]) + np.arange(len(scenes[0]))
    firsts = _send((first_frames * size + starts[..., 1]) * size + starts[..., 0], device)
    matrices = _send(_look_up(places, sprites.shape[1:]), device)
    pictures = _as_pictures(_send(sprites, device))
    pixels = torch.arange(size**2, device=device).view(size, size)
    flat = frames.view(3, -1)
    for end, count, (width, height) in zip(ends, counts, windows.tolist(), strict=True):
        if not width * height:
            continue
        mine = slice(end - count, end)
        drawn = _sample(pictures[mine], matrices[mine], (height, width), 'zeros').flatten(1)
        index = (firsts[mine, :, None, None] + pixels[:height, :width]).flatten()
        behind = flat.index_select(1, index)
        behind.mul_(256 - drawn[3]).div_(256).floor_().add_(drawn[:3])
        flat.index_copy_(1, index, behind)


def _as_pictures(images: Tensor) -> Tensor:
    """Bytes (n, h, w, C) as float32 (n, C, h, w)."""
    return rearrange(images, 'n h w c -> n c h w').float()


def _look_up(places: NDArray[np.float64], shape: Sequence[int]) -> NDArray[np.float32]:
    """Pixels of a window to places in an image as `grid_sample` counts, -1 to 1 between edges.

    Args:
        places: Pixels of the image to those of the window, (..., 2, 3).
        shape: Of the image, its height and width first.
    """
    linear = np.linalg.inv(places[..., :2])
    origin = -(linear @ places[..., 2:])
    extent = np.array([[shape[1]], [shape[0]]])
    matrices = 2 * np.concatenate([linear, origin + 0.5], axis=-1) / extent
    matrices[..., 2] -= 1
    return matrices.astype(np.float32)


def _sample(pictures: Tensor, matrices: Tensor, window: tuple[int, int], beyond: str) -> Tensor:
    """Look at pictures through windows.

    Args:
        pictures: One a clip, float32 (n, C, h, w).
        matrices: Pixels of each window to places in its picture, see `_look_up`, (n, T, 2, 3).
        window: Height H and width W of all windows.
        beyond: What is beyond the border of a picture, as `grid_sample` names it.

    Returns:
        Whole grey levels, float32 (C, n, T, H, W).
    """
    height, width = window
    place = torch.arange(max(window), device=pictures.device)[:, None]
    x_axis, y_axis, origin = matrices[..., None, :, :].unbind(-1)
    # a row and a column of each window, then a sum, (n, T, H, W, 2)
    across, down = origin + x_axis * place[:width], y_axis * place[:height]
    grid = across[:, :, None] + down[:, :, :, None]
    # all windows of a clip under each other: the picture need not be there for each of them
    grid = rearrange(grid, 'n t h w i -> n (t h) w i')
    drawn = F.grid_sample(pictures, grid, padding_mode=beyond, align_corners=False).round_()
    return rearrange(drawn, 'n c (t h) w -> c n t h w', h=height)


@functools.lru_cache(maxsize=4)
def _grains(size: int, num_frames: int, device: torch.device) -> Tensor:
    """The noise of unit size of each frame of a clip, (3, T, S, S)."""
    row, column = grain_corner(np.arange(num_frames)[:, None], size)
    rows, columns = (_send(first + np.arange(size), device) for first in (row, column))
    field = _send(grain_field(size).astype(np.float32), device)
    return rearrange(field[rows[:, :, None], columns[:, None]], 't h w c -> c t h w').contiguous()


def _apply_looks(frames: Tensor, scenes: Sequence[Scene], device: torch.device) -> Tensor:
    """What lens, editor and codec do to frames (3, B, T, S, S), see `Look.apply`."""
    looks = [scene.look for scene in scenes]
    size = scenes[0].size
    if blurred := [i for i, look in enumerate(looks) if look.blur_px]:
        chosen = _send(np.array(blurred), device)
        frames[:, chosen] = _blur(frames[:, chosen], [looks[i].blur_px for i in blurred])
    if any(look.colors is not None for look in looks):
        mixes = np.stack([np.eye(3) if look.colors is None else look.colors for look in looks])
        mix = _send(mixes.astype(np.float32), device)
        frames = torch.einsum('bij,jbthw->ibthw', mix, frames).round_().clamp_(0, 255)
    if any(look.tones is not None for look in looks):
        same = np.arange(256, dtype=np.uint8)[None, :, None].repeat(3, axis=2)
        tones = np.concatenate([same if look.tones is None else look.tones for look in looks])
        table = _send(tones.transpose(2, 0, 1).astype(np.float32), device)
        frames = table.gather(2, frames.flatten(2).long()).view_as(frames)
    if any(any(look.bars) for look in looks):
        bars = np.array([look.bars for look in looks])[..., None]
        place = np.arange(size)
        seen = [(place >= bars[:, k]) & (place < size - bars[:, k + 1]) for k in (0, 2)]
        rows, columns = (_send(mask, device)[:, None] for mask in seen)
        frames = frames * (rows[..., None] & columns[..., None, :])
    qualities = {i: q for i, q in enumerate(look.jpeg_quality for look in looks) if q is not None}
    if qualities:
        chosen = _send(np.array([*qualities]), device)
        quality = np.repeat(np.array([*qualities.values()]), frames.shape[2])
        # OpenCV takes the first color for blue
        pictures = rearrange(frames[:, chosen].flip(0), 'c b t h w -> (b t) c h w')
        pictures = compress_jpeg(pictures, _send(quality, device)).flip(1)
        frames[:, chosen] = rearrange(pictures, '(b t) c h w -> c b t h w', b=len(qualities))
    return frames


def _blur(frames: Tensor, sigmas_px: Sequence[float]) -> Tensor:
    """Blur clips (3, n, T, S, S), each as `cv2.GaussianBlur` does by its standard deviation."""
    size = frames.shape[-1]
    matrices = np.stack([_blur_matrix(size, sigma) for sigma in sigmas_px])
    matrix = _send(matrices.astype(np.float32), frames.device)[:, None]
    return (matrix @ frames @ matrix.mT).round_()


def _blur_matrix(size: int, sigma_px: float) -> NDArray[np.float64]:
    """Weights of the pixels of a line (columns) in those of its blurred one (rows), (S, S)."""
    reach = (round(6 * sigma_px + 1) | 1) // 2
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma_px) ** 2)
    # a line of the unit matrix is one bright pixel; mirrored at, not beyond, the last pixel
    lines = np.pad(np.eye(size), ((reach, reach), (0, 0)), mode='reflect')
    weights = kernel / kernel.sum()
    return np.sum([weight * lines[k : k + size] for k, weight in enumerate(weights)], axis=0)
