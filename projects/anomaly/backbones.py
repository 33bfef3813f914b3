"""What turns a clip into an embedding: R(2+1)D-18, SlowFast-R50, image networks, and controls.

The third backbone of the published work is the `TimeSformer` of its own system, and any other
module that gives a vector will do. `FrameFeatures` needs no weights of videos. The two controls are
no networks at all: a backbone that they equal earns nothing.

Papers: Tran et al., A Closer Look at Spatiotemporal Convolutions for Action Recognition, CVPR 2018,
    section 3.4, arXiv 1711.11248
    Feichtenhofer et al., SlowFast Networks for Video Recognition, ICCV 2019, table 1, with an R50
    as in section 4.1, arXiv 1812.03982

Both have one parameter tensor more than the published counts of 110 and 329, and so does
TimeSformer (246): these are the number of the last, counted from 0. The tensors that were trained
there are the last 12: the last block; 30: the last layer of the fast pathway; 22: the last block
and the last norm.

Shape letters in this file: B clips, V views, T frames per clip (of SlowFast the fast ones), C
channels, H and W height and width of frames or maps, F features of a frame.
"""

from typing import Any

import torch
import torch.nn.functional as F
from einops import rearrange
from mmaction.models.backbones import ResNet3dSlowFast
from mmengine.runner import CheckpointLoader
from torch import Tensor, nn
from torchvision.models.video import R2Plus1D_18_Weights, r2plus1d_18

from mmotion.checkpoint import (
    fetch_if_released,
    find_state_dict,
    load_image_weights,
    load_state_dict,
)
from mmotion.checkpoint.files import CheckpointError
from mmotion.checks import check_choice, check_timm_model
from mmotion.registry import MODELS

from .convert import convert
from .transforms import SPEED_RATIO

# share of the channels that the fast pathway has, 1 / beta of table 1
CHANNEL_RATIO = 8
# height and width of the windows that pytorchvideo averages maps over
POOLING_WINDOW = 7

ORDERS = ('slow_fast', 'fast_slow')
POOLINGS = ('global', 'windows')


@MODELS.register_module()
class R2Plus1D(nn.Module):
    """R(2+1)D-18: convolutions in space and in time, one after the other.

    It is torchvision's without its last layer. The weights of Kinetics are for 16 frames of 112 x
    112 pixels with mean [110.2, 100.64, 96.0] and deviation [58.15, 56.47, 55.33] of grey levels.

    Args:
        weights: What training starts from: the name of torchvision's weights, such as
            'KINETICS400_V1', which are downloaded once, a name of "mmotion models", or a file or
            URL in any format that `convert` knows. None starts from random weights.

    Example:
        >>> R2Plus1D()(torch.zeros(1, 3, 8, 56, 56)).shape
        torch.Size([1, 512])
    """

    def __init__(self, *, weights: str | None = None) -> None:
        super().__init__()
        self.weights = weights
        net = r2plus1d_18(weights=None)
        self.stem = net.stem
        self.layer1 = net.layer1
        self.layer2 = net.layer2
        self.layer3 = net.layer3
        self.layer4 = net.layer4

    def forward(self, clips: Tensor) -> Tensor:
        """Normalised clips (B, 3, T, H, W) to embeddings (B, 512)."""
        x = self.layer2(self.layer1(self.stem(clips)))
        return self.layer4(self.layer3(x)).mean((2, 3, 4))

    def init_weights(self) -> None:
        """Load the weights that are named; mmengine calls it when training starts.

        Raises:
            CheckpointError: If they cannot be had.
            ValueError: If they are of something else.
        """
        if self.weights is not None:
            known = R2Plus1D_18_Weights.__members__.get(self.weights)
            source = self.weights if known is None else known.url
            load_state_dict(self, read_weights(source), source=source)


@MODELS.register_module()
class SlowFast(nn.Module):
    """SlowFast-R50 8x8: many frames through few channels, and few frames through many.

    It is MMAction2's `ResNet3dSlowFast`. There are two families of released weights, which differ
    in all of the options: those of pytorchvideo, with the options' defaults, mean 114.75 and
    deviation 57.375 of grey levels, and pooling by windows; and those of MMAction2, with
    `lateral_norm=False`, `order='fast_slow'`, `PackPathways(frame_choice='stride')`, mean
    [123.675, 116.28, 103.53] and deviation [58.395, 57.12, 57.375].

    Args:
        lateral_norm: Whether there is a norm, and a ReLU, behind the convolutions that lead from
            the fast pathway to the slow one.
        order: Whose numbers come first in the embedding, 'slow_fast' or 'fast_slow'.
        pooling: 'global', the mean over time and space, or 'windows', the mean over the means of
            all windows of 7 x 7, which counts the middle of larger maps more often. With frames of
            224 x 224 the two are the same.
        num_frames: Fast frames per clip T, a multiple of 4.
        weights: What training starts from: a name of "mmotion models", or a file or URL in any
            format that `convert` knows. None starts from random weights.

    Raises:
        ValueError: If an argument is out of its range.

    Example:
        >>> SlowFast(num_frames=8)(torch.zeros(1, 3, 8 + 2, 64, 64)).shape
        torch.Size([1, 2304])
    """

    def __init__(
        self,
        *,
        lateral_norm: bool = True,
        order: str = 'slow_fast',
        pooling: str = 'global',
        num_frames: int = 32,
        weights: str | None = None,
    ) -> None:
        super().__init__()
        check_choice('order', order, ORDERS)
        check_choice('pooling', pooling, POOLINGS)
        if num_frames < 1 or num_frames % SPEED_RATIO:
            raise ValueError(f'num_frames must be a multiple of {SPEED_RATIO}, got {num_frames=}')
        self.lateral_norm = lateral_norm
        self.order = order
        self.pooling = pooling
        self.num_frames = num_frames
        self.weights = weights
        pathway = dict(type='resnet3d', depth=50, pretrained=None, conv1_stride_t=1)
        net = ResNet3dSlowFast(
            speed_ratio=SPEED_RATIO,
            channel_ratio=CHANNEL_RATIO,
            slow_pathway=dict(
                **pathway,
                lateral=True,
                lateral_norm=lateral_norm,
                fusion_kernel=7,
                conv1_kernel=(1, 7, 7),
                pool1_stride_t=1,
                inflate=(0, 0, 1, 1),
            ),
            fast_pathway=dict(
                **pathway,
                lateral=False,
                base_channels=64 // CHANNEL_RATIO,
                conv1_kernel=(5, 7, 7),
                pool1_stride_t=1,
            ),
        )
        self.slow_path: Any = net.slow_path
        self.fast_path: Any = net.fast_path

    def forward(self, clips: Tensor) -> Tensor:
        """Turn clips into embeddings.

        Args:
            clips: Normalised fast frames and the slow ones behind them, as `PackPathways` leaves
                them (B, 3, T + T / 4, H, W).

        Returns:
            (B, 2304): 2048 numbers of the slow pathway, 256 of the fast one.

        Raises:
            ValueError: If there are not so many frames, or maps are too small for the windows.
        """
        num_slow = self.num_frames // SPEED_RATIO
        if clips.ndim != 5 or clips.shape[2] != self.num_frames + num_slow:
            raise ValueError(
                f'clips must hold {self.num_frames} fast frames and {num_slow} slow ones, got '
                f'{tuple(clips.shape)}; have PackPathways behind FormatShape in the pipeline, and '
                'set num_frames to those of a clip'
            )
        fast, slow = clips.split([self.num_frames, num_slow], dim=2)
        slow, fast = (
            path.maxpool(path.conv1(x))
            for path, x in ((self.slow_path, slow), (self.fast_path, fast))
        )
        slow = torch.cat([slow, self.slow_path.conv1_lateral(fast)], dim=1)
        for i in range(1, 5):
            slow = getattr(self.slow_path, f'layer{i}')(slow)
            fast = getattr(self.fast_path, f'layer{i}')(fast)
            if i < 4:
                lateral = getattr(self.slow_path, f'layer{i}_lateral')
                slow = torch.cat([slow, lateral(fast)], dim=1)
        parts = [pool_maps(slow, self.pooling), pool_maps(fast, self.pooling)]
        return torch.cat(parts if self.order == 'slow_fast' else parts[::-1], dim=1)

    def init_weights(self) -> None:
        """Load the weights that are named; mmengine calls it when training starts.

        Raises:
            CheckpointError: If they cannot be had, or are of the other family.
            ValueError: If they are of something else.
        """
        if self.weights is None:
            return
        state = read_weights(self.weights)
        has_norm = 'slow_path.conv1_lateral.bn.weight' in state
        if 'slow_path.conv1_lateral.conv.weight' in state and has_norm != self.lateral_norm:
            raise CheckpointError(
                f'lateral_norm must be {has_norm} for the weights in {self.weights}, got '
                f'lateral_norm={self.lateral_norm}; order and frame choice differ between the two '
                'families too, see SlowFast'
            )
        load_state_dict(self, state, source=self.weights)


@MODELS.register_module()
class FrameFeatures(nn.Module):
    """What an image network sees in each frame: its mean, and how it varies over the clip.

    Args:
        name: Model name of timm; any that pools its features.
        weights: What training starts from: a name of "mmotion models", a model name of timm, whose
            published weights are fetched, or a file. None starts from random weights.

    Raises:
        ValueError: If timm has no such model.

    Example:
        >>> FrameFeatures()(torch.zeros(1, 3, 8, 64, 64)).shape
        torch.Size([1, 2560])
    """

    def __init__(self, *, name: str = 'tf_efficientnet_lite0', weights: str | None = None) -> None:
        # it takes 200 MB and a second, which the other backbones need not spend
        import timm

        super().__init__()
        check_timm_model(name)
        self.weights = weights
        self.network: Any = timm.create_model(name, num_classes=0)

    def forward(self, clips: Tensor) -> Tensor:
        """Normalised clips (B, 3, T, H, W) to embeddings (B, 2F): mean, then deviation over T."""
        frames = rearrange(clips, 'b c t h w -> (b t) c h w')
        features = rearrange(self.network(frames), '(b t) f -> b t f', b=len(clips))
        return torch.cat([features.mean(1), features.std(1, correction=0)], dim=1)

    def init_weights(self) -> None:
        """Load the weights that are named; mmengine calls it when training starts.

        Raises:
            CheckpointError: If they cannot be had, or are of another network.
        """
        if self.weights is not None:
            # the classifier goes
            known = self.network.state_dict()
            state = load_image_weights(self.weights)
            state = {name: value for name, value in state.items() if name in known}
            load_state_dict(self.network, state, source=self.weights)


@MODELS.register_module()
class MeanPixels(nn.Module):
    """Control: what the picture looks like, the mean of the clip at 32 x 32 pixels."""

    def forward(self, clips: Tensor) -> Tensor:
        """Clips (B, 3, T, H, W) to embeddings (B, 3072)."""
        return F.adaptive_avg_pool2d(clips.mean(2), 32).flatten(1)


@MODELS.register_module()
class MotionPlaces(nn.Module):
    """Control: where it moves, the deviation of 32 x 32 pixels over time, averaged to 8 x 8."""

    def forward(self, clips: Tensor) -> Tensor:
        """Clips (B, 3, T, H, W) to embeddings (B, 192)."""
        small = F.adaptive_avg_pool3d(clips, (None, 32, 32))
        return F.adaptive_avg_pool2d(small.std(2, correction=0), 8).flatten(1)


def pool_maps(maps: Tensor, pooling: str) -> Tensor:
    """Average maps (B, C, T, H, W) to (B, C), see `SlowFast`.

    Raises:
        ValueError: If they are too small for the windows.
    """
    if pooling == 'windows':
        if min(maps.shape[3:]) < POOLING_WINDOW:
            raise ValueError(
                f'frames must be at least 224 x 224 for pooling={pooling!r}, got maps of '
                f'{maps.shape[3]} x {maps.shape[4]}; use larger frames or pooling="global"'
            )
        maps = F.avg_pool3d(maps, (maps.shape[2], POOLING_WINDOW, POOLING_WINDOW), stride=1)
    return maps.mean((2, 3, 4))


def read_weights(source: str) -> dict[str, Tensor]:
    """Weights by name, file or URL, converted to the names of the video backbones of this file.

    Raises:
        CheckpointError: If they cannot be had.
        ValueError: If they are of something else, see `convert`.
    """
    file = str(fetch_if_released(source))
    checkpoint = CheckpointLoader.load_checkpoint(file, map_location='cpu')
    state = convert(find_state_dict(checkpoint, source=source))
    return {name.removeprefix('backbone.'): value for name, value in state.items()}
