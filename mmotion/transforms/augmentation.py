"""Augmentation of whole clips: a camera that moves, and colors and blur that stay as they are.

All frames of a clip belong together. What changes from frame to frame must change as a real camera
does, smoothly; what does not move, light and focus, is changed once for the clip.

A data set gives the frames as `imgs`, a list of RGB arrays (H, W, 3) uint8 of one size, and gets
such a list back; everything else in `results` stays. `transform_batch` does the same to a batch of
tensors on any device, see `ClipDataPreprocessor`. All choices are drawn from torch's generator,
which each data worker has seeded, so that a resumed run draws what the unbroken one would have
drawn.

Camera motion: Dwibedi et al., Counting Out Time: Class Agnostic Video Repetition Counting in the
    Wild, CVPR 2020, paragraph 'Camera Motion Augmentation', https://arxiv.org/abs/2006.15418

Shape letters in this file: B clips, T frames per clip, H and W height and width in pixels.
"""

import math
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from einops import rearrange
from mmcv.transforms import BaseTransform
from numpy.typing import NDArray
from torch import Tensor

from mmotion.checks import check_range
from mmotion.registry import TRANSFORMS


class CameraPath(NamedTuple):
    """Where the picture goes in each frame; one row a clip, all (B, T) and on the CPU.

    The picture is scaled and turned around its center, then shifted.

    Attributes:
        rotation_deg: Angle in degrees, positive is clockwise.
        shift_x: To the right, in frame widths.
        shift_y: Down, in frame heights.
        zoom: Scale factor, above 1 makes things larger.
    """

    rotation_deg: Tensor
    shift_x: Tensor
    shift_y: Tensor
    zoom: Tensor

    def sampling_matrices(self, height: int, width: int) -> Tensor:
        """Matrices from a place in the new frame to the place in the old one that is seen there.

        Args:
            height: H.
            width: W.

        Returns:
            (B, T, 2, 3) float32 for `grid_sample`, where -1 and 1 are the borders of a frame.
        """
        angle = self.rotation_deg.double().deg2rad()
        cos, sin = angle.cos() / self.zoom, angle.sin() / self.zoom
        # a turn is a turn in pixels, and these units are not square
        linear = torch.stack([cos, sin * height / width, -sin * width / height, cos], dim=-1)
        linear = rearrange(linear, 'b t (i j) -> b t i j', i=2)
        shift = 2 * torch.stack([self.shift_x, self.shift_y], dim=-1).double()
        return torch.cat([linear, -linear @ shift[..., None]], dim=-1).float()


def move_camera(clip: Tensor, path: CameraPath) -> Tensor:
    """Show clips as a camera on this path would see them; beyond the border they are mirrored.

    A clip whose path stands still is given back exactly. The work is one `grid_sample`, on the
    device of the clip: in a training step, for instance,
    `move_camera(clips, CameraMotion().sample_paths(64, num_clips=len(clips)))`.

    Args:
        clip: One clip (T, 3, H, W), or a batch (B, 3, T, H, W), of any type.
        path: As many clips and frames; one clip for (T, 3, H, W).

    Returns:
        The same shape, type and device; integers are rounded.

    Raises:
        ValueError: If the clip has another shape, or the path another length.

    Example:
        >>> path = CameraMotion(rotation_deg=20).sample_paths(num_frames=8)
        >>> move_camera(torch.zeros(8, 3, 32, 48, dtype=torch.uint8), path).shape
        torch.Size([8, 3, 32, 48])
    """
    if clip.ndim not in (4, 5) or clip.shape[1] != 3:
        raise ValueError(
            f'clip must have the shape (T, 3, H, W) or (B, 3, T, H, W), got {tuple(clip.shape)}'
        )
    batch = rearrange(clip, 't c h w -> 1 c t h w') if clip.ndim == 4 else clip
    num_clips, _, num_frames, height, width = batch.shape
    if path.zoom.shape != (num_clips, num_frames):
        raise ValueError(
            f'path must hold {num_clips} clips of {num_frames} frames, as the clip has, got '
            f'{tuple(path.zoom.shape)}'
        )
    matrices = path.sampling_matrices(height, width)
    moves = (matrices != torch.eye(2, 3)).flatten(1).any(1)
    if not moves.any():
        return clip
    moved = batch.clone()
    moved[moves] = _warp(batch[moves], matrices[moves])
    return rearrange(moved, '1 c t h w -> t c h w') if clip.ndim == 4 else moved


@TRANSFORMS.register_module()
class CameraMotion(BaseTransform):
    """Move the camera of a still video: it turns, shifts and zooms, smoothly and at random.

    Without it a network can tell repeated frames by their equal background, and fails on videos
    that were filmed by hand. Each of angle, shift in x, shift in y and logarithm of the zoom is a
    curve through random knots that never leaves its limits. The paper names the four and gives no
    sizes; the sizes here are ours.

    Place it after the frames have their final size: 64 frames of 112 x 112 pixels take 28 ms of
    one core (35 clips a second), and the time grows with the pixels.

    Args:
        rotation_deg: Largest angle to either side, in degrees.
        shift: Largest shift to either side, in frame widths and heights, in [0, 1].
        zoom: Largest scale factor, at least 1; the smallest is its inverse.
        spacing_frames: Shortest and longest time between two knots, in frames; each clip draws its
            own, so that some cameras are slow and some are not.
        prob: Share of the clips whose camera moves.

    Raises:
        ValueError: If an argument is outside of its range.
    """

    def __init__(
        self,
        *,
        rotation_deg: float = 10.0,
        shift: float = 0.1,
        zoom: float = 1.15,
        spacing_frames: tuple[float, float] = (12.0, 64.0),
        prob: float = 1.0,
    ) -> None:
        check_range('rotation_deg', rotation_deg, 0, 180)
        check_range('shift', shift, 0, 1)
        check_range('zoom', zoom, 1, math.inf)
        check_range('prob', prob, 0, 1)
        if not 1 <= spacing_frames[0] <= spacing_frames[1]:
            raise ValueError(
                'spacing_frames must be a range (shortest, longest) from 1 up, got '
                f'spacing_frames={spacing_frames}'
            )
        self.rotation_deg = rotation_deg
        self.shift = shift
        self.zoom = zoom
        self.spacing_frames = spacing_frames
        self.prob = prob

    def sample_paths(self, num_frames: int, *, num_clips: int = 1) -> CameraPath:
        """Draw a path for each of some clips; it stands still for a share 1 - `prob` of them.

        Args:
            num_frames: Frames per clip T.
            num_clips: Clips B.
        """
        curves = torch.zeros(4, num_clips, num_frames, dtype=torch.float64)
        for i in range(num_clips):
            if torch.rand(()) < self.prob:
                shortest, longest = map(math.log, self.spacing_frames)
                spacing = math.exp(shortest + (longest - shortest) * float(torch.rand(())))
                curves[:, i] = _smooth_curves(4, num_frames, spacing)
        angle, x, y, zoom = curves
        return CameraPath(
            rotation_deg=self.rotation_deg * angle,
            shift_x=self.shift * x,
            shift_y=self.shift * y,
            zoom=(math.log(self.zoom) * zoom).exp(),
        )

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Move the camera over `imgs`.

        Raises:
            ValueError: If the frames have several sizes, or there are none.
        """
        frames = torch.from_numpy(_stack_frames(results['imgs']))
        clip = rearrange(frames, 't h w c -> t c h w')
        clip = move_camera(clip, self.sample_paths(len(clip)))
        results['imgs'] = list(rearrange(clip, 't c h w -> t h w c').contiguous().numpy())
        return results

    def transform_batch(self, clips: Tensor) -> Tensor:
        """Move the camera of each clip of a batch (B, 3, T, H, W), on its device."""
        return move_camera(clips, self.sample_paths(clips.shape[2], num_clips=len(clips)))


@TRANSFORMS.register_module()
class ClipJitter(BaseTransform):
    """Change light, colors and focus at random, in the same way for all frames of a clip.

    Brightness, contrast, saturation and hue are torchvision's, in random order. 64 frames of
    112 x 112 pixels take about 80 ms of one core, more than half of it for the hue.

    Args:
        brightness: Largest change of the brightness factor from 1, in [0, 1].
        contrast: The same for contrast, around the mean grey of the whole clip.
        saturation: The same for saturation.
        hue: Largest turn of the hue to either side, in [0, 0.5] circles.
        blur_px: Largest standard deviation of the Gaussian blur, in pixels.
        prob: Share of the clips that are changed.

    Raises:
        ValueError: If an argument is outside of its range.
    """

    def __init__(
        self,
        *,
        brightness: float = 0.3,
        contrast: float = 0.3,
        saturation: float = 0.3,
        hue: float = 0.05,
        blur_px: float = 1.0,
        prob: float = 1.0,
    ) -> None:
        check_range('brightness', brightness, 0, 1)
        check_range('contrast', contrast, 0, 1)
        check_range('saturation', saturation, 0, 1)
        check_range('hue', hue, 0, 0.5)
        check_range('blur_px', blur_px, 0, math.inf)
        check_range('prob', prob, 0, 1)
        # slow to import, and camera motion does without
        from torchvision.transforms import v2

        self.color = v2.ColorJitter(brightness, contrast, saturation, hue)
        self.blur_px = blur_px
        self.prob = prob

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Change all of `imgs`.

        Raises:
            ValueError: If the frames have several sizes, or there are none.
        """
        frames = torch.from_numpy(_stack_frames(results['imgs']))
        results['imgs'] = list(self._change(frames).numpy())
        return results

    def transform_batch(self, clips: Tensor) -> Tensor:
        """Change the clips of a batch (B, 3, T, H, W) uint8, each differently, on its device."""
        changed = [self._change(clip) for clip in rearrange(clips, 'b c t h w -> b t h w c')]
        return rearrange(torch.stack(changed), 'b t h w c -> b c t h w')

    def _change(self, frames: Tensor) -> Tensor:
        """Change the frames of a clip (T, H, W, 3) uint8."""
        if torch.rand(()) >= self.prob:
            return frames
        num_frames = len(frames)
        # one tall picture: contrast would be changed around the mean of each frame, and flicker
        picture = self.color(rearrange(frames, 't h w c -> c (t h) w'))
        frames = rearrange(picture, 'c (t h) w -> t h w c', t=num_frames).contiguous()
        sigma_px = self.blur_px * float(torch.rand(()))
        if sigma_px > 0:
            from torchvision.transforms.v2.functional import gaussian_blur

            # three standard deviations, or as far as the frame can be mirrored
            reach = min(math.ceil(3 * sigma_px), min(frames.shape[1:3]) - 1)
            # still with the channels last in memory, where it takes a fifth of the time
            clip = rearrange(frames, 't h w c -> t c h w')
            clip = gaussian_blur(clip, [2 * reach + 1] * 2, [sigma_px] * 2)
            frames = rearrange(clip, 't c h w -> t h w c').contiguous()
        return frames


def _warp(batch: Tensor, matrices: Tensor) -> Tensor:
    """Sample clips (B, 3, T, H, W) at the places that matrices (B, T, 2, 3) name."""
    frames = rearrange(batch, 'b c t h w -> (b t) c h w').float()
    x_axis, y_axis, origin = rearrange(matrices.to(frames.device), 'b t i j -> j (b t) 1 1 i')
    y, x = (torch.linspace(1 / n - 1, 1 - 1 / n, n, device=frames.device) for n in frames.shape[2:])
    # what affine_grid gives, in a tenth of its time: a column and a row of each frame, then a sum
    grid = x_axis * x[:, None] + (y_axis * y[:, None, None] + origin)
    frames = F.grid_sample(frames, grid, padding_mode='reflection', align_corners=False)
    if not batch.is_floating_point():
        frames = frames.round()
    return rearrange(frames, '(b t) c h w -> b c t h w', b=len(batch)).to(batch.dtype)


def _smooth_curves(num_curves: int, num_frames: int, spacing_frames: float) -> Tensor:
    """Curves (num_curves, T) within -1..1 through random knots, float64."""
    num_knots = math.ceil(num_frames / spacing_frames) + 2
    knots = 2 * torch.rand(num_knots, num_curves, dtype=torch.float64) - 1
    times = float(torch.rand(())) + np.arange(num_frames) / spacing_frames
    # slow to import, and workers that do not draw curves do without
    from scipy.interpolate import PchipInterpolator

    # unlike a cubic spline it does not swing beyond its knots
    curves = PchipInterpolator(np.arange(num_knots), knots.numpy())(times)
    return torch.from_numpy(curves.T)


def _stack_frames(frames: list[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """Put the frames of a clip into one array (T, H, W, 3)."""
    shapes = sorted({frame.shape for frame in frames})
    if len(shapes) != 1:
        raise ValueError(
            'imgs must hold frames of one size, got the shapes '
            f'{", ".join(map(str, shapes)) or "of no frame"}; resize them first'
        )
    return np.stack(frames)
