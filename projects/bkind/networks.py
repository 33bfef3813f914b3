"""The parts of BKinD: from images to keypoints, and from keypoints to a picture of the motion.

Paper: Sun et al., Self-Supervised Keypoint Discovery in Behavioral Videos, CVPR 2022, section 3.1,
    https://arxiv.org/abs/2112.05121
Reference code: neuroethology/BKinD@9e73721, model/unsupervised_model.py, model/globalNet.py
The pose decoder is GlobalNet of Chen et al., Cascaded Pyramid Network, CVPR 2018.

Shape letters in this file: B images, K keypoints, S image size in pixels, C channels of the
encoder's deepest features, and h = w = S / 4, the size of the heat maps.

Coordinates x (to the right) and y (down) lie in [-1, 1]: -1 and 1 are the centers of the outermost
cells of a map.
"""

import itertools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import timm
import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from mmotion.checkpoint import load_image_weights, load_state_dict
from mmotion.checks import check_timm_model

# reductions of the features that the pose decoder reads, and so of the encoder
STRIDES = (4, 8, 16, 32)
# variances of the Gaussians drawn at S/32, S/16, S/8, S/4 and S/2
MAP_VARIANCES = (0.1, 0.1, 0.01, 0.01, 0.001)
# of all convolutions but the encoder's
INIT_STD = 0.01
# below it a variance is raised to it
MIN_VARIANCE = 1e-6
# up to this size the matrices of `convolve_enlarged` cost less than they save
MAX_MATRIX_SIZE = 128


class Keypoints(NamedTuple):
    """What a heat map says about its keypoint.

    Attributes:
        points: Expected x and y, in [-1, 1], (B, K, 2).
        confidence: The highest probability of a cell, in (0, 1], (B, K).
        covariance: Variance of x, variance of y, covariance of both, (B, K, 3).
    """

    points: Tensor
    confidence: Tensor
    covariance: Tensor


def spatial_softmax(logits: Tensor) -> Keypoints:
    """Keypoints of heat maps before their softmax.

    Args:
        logits: (B, K, h, w).
    """
    return find_moments(logits.float().flatten(2).softmax(2).view(logits.shape))


def find_moments(heat_maps: Tensor) -> Keypoints:
    """Keypoints of heat maps that each sum to 1.

    Args:
        heat_maps: (B, K, h, w).
    """
    xs, ys = _axis(heat_maps.shape[3], heat_maps), _axis(heat_maps.shape[2], heat_maps)
    along_x, along_y = heat_maps.sum(2), heat_maps.sum(3)
    # products and sums, which autocast leaves in float32
    x, y = (along_x * xs).sum(2), (along_y * ys).sum(2)
    var_x = ((along_x * xs.square()).sum(2) - x.square()).clamp(min=MIN_VARIANCE)
    var_y = ((along_y * ys.square()).sum(2) - y.square()).clamp(min=MIN_VARIANCE)
    cov_xy = ((heat_maps * xs).sum(3) * ys).sum(2) - x * y
    return Keypoints(
        points=torch.stack([x, y], dim=2),
        confidence=heat_maps.amax((2, 3)),
        covariance=torch.stack([var_x, var_y, cov_xy], dim=2),
    )


def gaussian_maps(points: Tensor, *, size: tuple[int, int], variance: float) -> Tensor:
    """Draw a Gaussian around each point.

    Their height is 1 / sqrt(2 pi variance), so that of one dimension, as in the reference code.

    Args:
        points: x and y in [-1, 1], (B, K, 2).
        size: Rows and columns of a map.
        variance: In the square of the coordinates' unit.

    Returns:
        Maps (B, K, rows, columns).
    """
    rows, columns = (_axis(n, points) for n in size)
    # a Gaussian is the product of one along each axis
    along_x = (-(columns - points[..., 0, None]).square() / (2 * variance)).exp()
    along_y = (-(rows - points[..., 1, None]).square() / (2 * variance)).exp()
    along_y = along_y / math.sqrt(2 * math.pi * variance)
    return along_y[..., :, None] * along_x[..., None, :]


class PoseDecoder(nn.Module):
    """Turns features of four strides into heat maps at stride 4, from the deepest to the finest.

    Differs from the reference code: only the finest level predicts, where the reference predicts at
    all four and uses the last, which moves the statistics of the batch norms in the others and
    nothing else; and a level is convolved before it is enlarged, a fourth of the work for the same
    result.

    Args:
        channels: Of the features, from stride 4 to stride 32.
        num_keypoints: K.
        width: Channels inside; 256, the reference's, are most of the work beside a small encoder.
    """

    def __init__(self, *, channels: Sequence[int], num_keypoints: int, width: int = 256) -> None:
        super().__init__()
        self.laterals = nn.ModuleList(_conv_norm_relu(c, width) for c in reversed(channels))
        self.raises = nn.ModuleList(
            nn.Sequential(nn.Conv2d(width, width, 1, bias=False), nn.BatchNorm2d(width))
            for _ in channels[1:]
        )
        self.predict = HeatMapHead(in_channels=width, num_keypoints=num_keypoints)
        _sample_weights(self)

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """Heat maps before the softmax.

        Args:
            features: From stride 4 to stride 32, each (B, its channels, S / stride, S / stride).

        Returns:
            (B, K, h, w).
        """
        deepest, *finer = reversed(features)
        level = self.laterals[0](deepest)
        for lateral, raising, feature in zip(self.laterals[1:], self.raises, finer, strict=True):
            conv, norm = raising.children()
            level = lateral(feature) + norm(enlarge(conv(level), feature.shape[2:]))
        return self.predict(level)

    def fit_weights(self, state_dict: dict[str, Tensor], prefix: str = '') -> dict[str, Tensor]:
        """Leave out the predictors of other levels, which weights of the reference have.

        Args:
            state_dict: Not changed.
            prefix: What the names of this module's weights start with in it.

        Returns:
            A copy with what the module has.
        """
        unused = f'{prefix}unused.'
        return {name: value for name, value in state_dict.items() if not name.startswith(unused)}


class HeatMapHead(nn.Module):
    """Predicts heat maps from the features of one level.

    Args:
        in_channels: Of the features.
        num_keypoints: K.
    """

    def __init__(self, *, in_channels: int, num_keypoints: int) -> None:
        super().__init__()
        self.reduce = _conv_norm_relu(in_channels, in_channels)
        self.conv = nn.Conv2d(in_channels, num_keypoints, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(num_keypoints)

    def forward(self, x: Tensor) -> Tensor:
        """Features (B, in_channels, rows, columns) to logits (B, K, rows, columns)."""
        return self.norm(self.conv(self.reduce(x)))


class KeypointEncoder(nn.Module):
    """Finds K heat maps in an image: a convolutional network and the pose decoder.

    Args:
        name: A model of timm with features at strides 4, 8, 16 and 32, such as 'resnet50', the
            reference's, or 'resnet18', with less than half of its arithmetic.
        num_keypoints: K.
        init: Weights of the network to start training from: a model name of timm, such as
            'resnet50.tv_in1k', a name of "mmotion models", such as 'efficientnet_lite0_imagenet',
            or a file; None for random ones.
        pose_width: `width` of the `PoseDecoder`.

    Raises:
        ValueError: If timm has no such model, it has other strides, or `num_keypoints` is not
            positive.

    Example:
        >>> encoder = KeypointEncoder(name='resnet18', num_keypoints=8)
        >>> deepest, logits = encoder(torch.zeros(2, 3, 64, 64))
        >>> deepest.shape, logits.shape
        (torch.Size([2, 512, 2, 2]), torch.Size([2, 8, 16, 16]))
    """

    def __init__(
        self,
        *,
        name: str = 'resnet50',
        num_keypoints: int,
        init: str | None = None,
        pose_width: int = 256,
    ) -> None:
        super().__init__()
        if num_keypoints < 1:
            raise ValueError(f'num_keypoints must be at least 1, got {num_keypoints=}')
        check_timm_model(name)
        self.init = init
        network: Any = timm.create_model(name, features_only=True)
        strides = network.feature_info.reduction()
        if tuple(strides[-len(STRIDES) :]) != STRIDES:
            raise ValueError(
                f'encoder must have features at strides {STRIDES}, got {name=} with {strides}; '
                'take a convolutional network, such as resnet18'
            )
        self.network: nn.Module = network
        channels = network.feature_info.channels()[-len(STRIDES) :]
        self.num_features: int = channels[-1]
        self.pose = PoseDecoder(channels=channels, num_keypoints=num_keypoints, width=pose_width)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Features and heat maps of normalised images.

        Args:
            images: (B, 3, S, S).

        Returns:
            Deepest features (B, C, S / 32, S / 32), and heat maps before the softmax (B, K, h, w).
        """
        features = self.network(images)[-len(STRIDES) :]
        return features[-1], self.pose(features)

    def init_weights(self) -> None:
        """Load the weights that `init` names; mmengine calls it when training starts.

        Raises:
            CheckpointError: If they cannot be had, or do not fit.
        """
        if self.init is not None:
            load_features(self.network, self.init)


class ReconstructionDecoder(nn.Module):
    """Paints what moved, from the look of frame t and the keypoints of both frames.

    Args:
        in_channels: C, a multiple of 32.
        num_maps: Maps drawn at each scale: 2K, those of frame t + gap, then those of frame t.

    Raises:
        ValueError: If `in_channels` is not a multiple of 32.
    """

    def __init__(self, *, in_channels: int, num_maps: int) -> None:
        super().__init__()
        if in_channels % 32:
            raise ValueError(f'in_channels must be a multiple of 32, got {in_channels=}')
        widths = [in_channels // 2**i for i in range(len(MAP_VARIANCES) + 1)]
        self.blocks = nn.ModuleList(
            DecoderBlock(in_channels=wide + num_maps, out_channels=narrow)
            for wide, narrow in itertools.pairwise(widths)
        )
        self.head = nn.Conv2d(widths[-1], 3, 1)
        _sample_weights(self)

    def forward(self, features: Tensor, points: Tensor) -> Tensor:
        """Paint pictures.

        Args:
            features: Deepest features of frame t (B, C, S / 32, S / 32).
            points: Keypoints of frame t + gap, then of frame t, (B, 2K, 2).

        Returns:
            Pictures (B, 3, S, S), see `losses.py` for what they show.
        """
        # the layout that suits the matrices of `convolve_enlarged`
        x = features.contiguous()
        for block, variance in zip(self.blocks, MAP_VARIANCES, strict=True):
            rows, columns = x.shape[2:]
            maps = gaussian_maps(points, size=(rows, columns), variance=variance)
            x = block(torch.cat([x, maps.to(x.dtype)], dim=1))
        return self.head(x)


class DecoderBlock(nn.Module):
    """Doubles the size of a map, then two 3x3 convolutions.

    Differs from the reference code, which first enlarges and then convolves: the result is the
    same, see `convolve_enlarged`.

    Args:
        in_channels: Of the map.
        out_channels: Of the result.
    """

    def __init__(self, *, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_channels, rows, columns) to (B, out_channels, 2 * rows, 2 * columns)."""
        if max(x.shape[2:]) > MAX_MATRIX_SIZE:
            x = self.conv1(F.interpolate(x, scale_factor=2, mode='bilinear', align_corners=False))
        else:
            x = convolve_enlarged(x, self.conv1.weight)
        x = F.relu(self.norm1(x), inplace=True)
        return F.relu(self.norm2(self.conv2(x)), inplace=True)


def convolve_enlarged(x: Tensor, weight: Tensor) -> Tensor:
    """Enlarge a map twofold, bilinearly, and convolve it with a 3x3 kernel, at half of the cost.

    Both are linear, so they can change places. Each of the nine taps of the kernel is a 1x1
    convolution of the small map, a fourth of the work. To enlarge what comes out, shift it by its
    tap and sum over the taps is, along either side, the product with one fixed matrix. The large
    map, with the channels that go in, is never made nor kept for the backward pass.

    Args:
        x: (B, in, rows, columns).
        weight: (out, in, 3, 3).

    Returns:
        (B, out, 2 * rows, 2 * columns), with zeros around the large map as padding.
    """
    batch, _, rows, columns = x.shape
    width = len(weight)
    taps = rearrange(weight, 'o i k l -> (o k l) i 1 1')
    small = F.conv2d(x, taps)
    # along x, then along y: the taps of a side go with its cells
    z = rearrange(small, 'b (o k l) h w -> (b o k h) (l w)', o=width, k=3)
    z = z @ _enlarge_and_shift(columns, small).T
    z = z.view(batch * width, 3 * rows, 2 * columns)
    return (_enlarge_and_shift(rows, small) @ z).view(batch, width, 2 * rows, 2 * columns)


def load_features(network: nn.Module, source: str) -> None:
    """Load weights into a network of timm that was built with `features_only`.

    Args:
        network: Receives all but those of the classifier.
        source: See `load_image_weights`.

    Raises:
        CheckpointError: If they cannot be had, or do not fit.
    """
    own = network.state_dict()
    weights = load_image_weights(source)
    state = {name: value for name, value in weights.items() if name in own}
    load_state_dict(network, state, source=source)


def enlarge(x: Tensor, size: Sequence[int]) -> Tensor:
    """Maps (B, C, rows, columns) to (B, C, *size), the corner cells onto each other."""
    return F.interpolate(x, tuple(size), mode='bilinear', align_corners=True)


def _conv_norm_relu(in_channels: int, out_channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 1, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(inplace=True),
    )


def _sample_weights(module: nn.Module) -> None:
    for part in module.modules():
        if isinstance(part, nn.Conv2d):
            nn.init.normal_(part.weight, std=INIT_STD)
            if part.bias is not None:
                nn.init.zeros_(part.bias)


def _enlarge_and_shift(length: int, like: Tensor) -> Tensor:
    """What enlarges three rows of cells, shifts them by -1, 0 and 1, and sums (2n, 3n)."""
    cells = torch.eye(length, device=like.device)[None]
    enlarged = F.interpolate(cells, scale_factor=2, mode='linear', align_corners=False)[0].T
    padded = F.pad(enlarged, (0, 0, 1, 1))
    shifted = [padded[tap : tap + 2 * length] for tap in range(3)]
    return torch.cat(shifted, dim=1).to(like.dtype)


def _axis(length: int, like: Tensor) -> Tensor:
    """Coordinates (length,) of the cells of a map along one side."""
    return torch.linspace(-1, 1, length, device=like.device, dtype=like.dtype)
