"""RepNet: a class-agnostic counter of repetitions.

A frame is encoded by an image network, a window of T frames becomes a T x T matrix of how alike
its frames are, and two small transformers read from each row of that matrix how long the cycle
around the frame lasts and whether there is a cycle at all.

Paper: Dwibedi et al., Counting Out Time: Class Agnostic Video Repetition Counting in the Wild,
    CVPR 2020, section 3, https://arxiv.org/abs/2006.15418
Reference code: materight/RepNet-pytorch@c455c53, repnet/model.py (a port of the colab of
    google-research/google-research/repnet), whose released weights `convert.py` loads.

Shape letters in this file: B windows, T frames per window, N frames, C channels of an encoded
frame, D embedding size, P period classes (T / 2), L lags (T / 2 + 1).
"""

from contextlib import nullcontext
from typing import Any

import torch
import torch.nn.functional as F
from einops import rearrange
from mmengine.model import BaseModel
from mmengine.structures import BaseDataElement
from torch import Tensor, nn

from mmotion.checkpoint import ask_hub, find_state_dict, load_checkpoint_file
from mmotion.checks import check_timm_model
from mmotion.registry import MODELS

from .counting import CountingOptions, count_repetitions
from .losses import RepNetLoss, RepNetOutput

# the temporal convolution compares a frame with the frames this many before and after it
TEMPORAL_DILATION = 3


@MODELS.register_module()
class ConvEncoder(nn.Sequential):
    """A plain stack of convolutions, for small frames and training without an accelerator.

    The first layer is 5x5 with stride 4, each further one 3x3 with stride 2; all are followed by
    batch normalisation and ReLU.

    Args:
        channels: Output channels of each layer, at least one.

    Example:
        >>> ConvEncoder(channels=(24, 48, 64))(torch.zeros(2, 3, 64, 64)).shape
        torch.Size([2, 64, 4, 4])
    """

    def __init__(self, *, channels: tuple[int, ...] = (24, 48, 64)) -> None:
        if not channels:
            raise ValueError(
                'channels must name at least one layer, got channels=(); try (24, 48, 64)'
            )
        layers: list[nn.Module] = []
        for i, (width_in, width) in enumerate(zip((3, *channels), channels, strict=False)):
            kernel, stride = (5, 4) if i == 0 else (3, 2)
            layers += [
                nn.Conv2d(width_in, width, kernel, stride, kernel // 2, bias=False),
                nn.BatchNorm2d(width),
                nn.ReLU(),
            ]
        super().__init__(*layers)
        self.num_channels = channels[-1]


@MODELS.register_module()
class TimmEncoder(nn.Module):
    """Any timm image network, cut after one of its stages.

    Args:
        name: Model name of timm, for instance 'resnet50' or 'mobilenetv3_small_050'.
        stage: Number of stages kept; the paper cuts a ResNet-50 after its third.
        pretrained: Fetch the weights that timm publishes for this model.
        checkpoint: A file with weights of the whole timm model, instead of `pretrained`.

    Raises:
        ValueError: If timm has no such model, or the model has fewer stages.
        CheckpointError: If the file cannot be read, or the weights cannot be fetched.
    """

    def __init__(
        self,
        *,
        name: str = 'resnet50',
        stage: int = 3,
        pretrained: bool = False,
        checkpoint: str | None = None,
    ) -> None:
        # it takes 200 MB and a second, which the other encoders need not spend
        import timm

        super().__init__()
        check_timm_model(name)
        # networks with a stem feature count it as index 0, transformers and plain ones do not
        probe: Any = timm.create_model(name, features_only=True)
        reductions = probe.feature_info.reduction()
        index = stage if reductions[0] == 2 else stage - 1
        if stage < 1 or index >= len(reductions):
            raise ValueError(
                f'stage must lie in 1..{len(reductions) - (reductions[0] == 2)} for {name}, '
                f'got stage={stage}'
            )
        overlay = None
        if checkpoint is not None:
            weights = find_state_dict(load_checkpoint_file(checkpoint), source=checkpoint)
            overlay = {'state_dict': weights}
        is_fetched = pretrained and checkpoint is None
        remedy = 'the options checkpoint=FILE or pretrained=False of model.encoder'
        with ask_hub(name, remedy=remedy) if is_fetched else nullcontext():
            network: Any = timm.create_model(
                name,
                features_only=True,
                out_indices=(index,),
                pretrained=pretrained or checkpoint is not None,
                pretrained_cfg_overlay=overlay,
            )
        self.network = network
        self.num_channels = network.feature_info.channels()[0]

    def forward(self, frames: Tensor) -> Tensor:
        """Encode frames (N, 3, H, W) to maps (N, C, h, w)."""
        return self.network(frames)[0]


class PreActivationBottleneck(nn.Module):
    """Normalise, activate and convolve three times, added to a shortcut.

    Args:
        width_in: Input channels.
        width: Channels of the 3x3 convolution; the output has four times as many.
        stride: Of the 3x3 convolution; the shortcut then sub-samples the raw input.
        project: Whether the shortcut is a 1x1 convolution of the activated input.
    """

    def __init__(self, *, width_in: int, width: int, stride: int, project: bool) -> None:
        super().__init__()
        self.stride = stride
        self.norm1 = nn.BatchNorm2d(width_in, eps=1.001e-5)
        self.conv1 = nn.Conv2d(width_in, width, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(width, eps=1.001e-5)
        self.conv2 = nn.Conv2d(width, width, 3, stride, 1, bias=False)
        self.norm3 = nn.BatchNorm2d(width, eps=1.001e-5)
        self.conv3 = nn.Conv2d(width, 4 * width, 1)
        self.downsample = nn.Conv2d(width_in, 4 * width, 1) if project else None

    def forward(self, x: Tensor) -> Tensor:
        """Maps (N, width_in, h, w) to (N, 4 * width, h / stride, w / stride)."""
        y = F.relu(self.norm1(x))
        shortcut = self.downsample(y) if self.downsample else x[..., :: self.stride, :: self.stride]
        y = F.relu(self.norm2(self.conv1(y)))
        y = F.relu(self.norm3(self.conv2(y)))
        return self.conv3(y) + shortcut


@MODELS.register_module()
class KerasResNet50V2Encoder(nn.Module):
    """The image network of the released RepNet weights, which no library has.

    It is keras' ResNet50V2 up to `conv4_block3_out`. Unlike timm's `resnetv2_50`, of which it has
    the parameter names, the stride sits in the last block of a stage, the stem pools with a border
    of zeros, some convolutions have a bias, and only three blocks of the third stage are left.
    Input 112 x 112 gives 1024 x 7 x 7.
    """

    num_channels = 1024

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 64, 7, 2, 3)
        self.blocks = nn.Sequential()
        width_in = 64
        for width, depth, last_stride in ((64, 3, 2), (128, 4, 2), (256, 3, 1)):
            for i in range(depth):
                stride = last_stride if i == depth - 1 else 1
                self.blocks.append(
                    PreActivationBottleneck(
                        width_in=width_in, width=width, stride=stride, project=i == 0
                    )
                )
                width_in = 4 * width

    def forward(self, frames: Tensor) -> Tensor:
        """Encode frames (N, 3, H, W) to maps (N, 1024, H / 16, W / 16)."""
        # torch's own padding of a maximum is minus infinity, keras' is zero
        x = F.max_pool2d(F.pad(self.stem(frames), (1, 1, 1, 1)), 3, 2)
        return self.blocks(x)


class TemporalConv(nn.Module):
    """A 3 x 3 x 3 convolution over a window, dilated in time, split so that frames are shared.

    The kernel's three time steps are one 2-D convolution with three times the channels (`taps`,
    run once a frame); a window then only adds three shifted maps (`combine`). A frame that
    belongs to windows of several strides is therefore convolved once.

    Args:
        in_channels: Channels C of an encoded frame.
        out_channels: Embedding size D.
    """

    def __init__(self, *, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, 3 * out_channels, 3, padding=1, bias=False)
        self.bias = nn.Parameter(torch.zeros(out_channels))
        self.norm = nn.BatchNorm3d(out_channels, eps=1e-3)
        # the fan-in of the 3-D convolution, as keras' he_normal has it
        nn.init.normal_(self.conv.weight, std=(2 / (27 * in_channels)) ** 0.5)

    def taps(self, maps: Tensor) -> Tensor:
        """Encoded frames (N, C, h, w) to the three time steps of the kernel (N, 3D, h, w)."""
        return self.conv(maps)

    def combine(self, taps: Tensor) -> Tensor:
        """Taps of windows (B, T, 3D, h, w) to embeddings (B, T, D), spatial maximum."""
        before, here, after = taps.chunk(3, dim=2)
        d = TEMPORAL_DILATION
        x = here + self.bias[:, None, None]
        # frames outside the window count as zero
        x = x + F.pad(before[:, :-d], (0, 0, 0, 0, 0, 0, d, 0))
        x = x + F.pad(after[:, d:], (0, 0, 0, 0, 0, 0, 0, d))
        x = F.relu(self.norm(rearrange(x, 'b t d h w -> b d t h w')))
        return rearrange(x.amax(dim=(3, 4)), 'b d t -> b t d')


class SelfSimilarity(nn.Module):
    """How alike the frames of a window are, and local features of that.

    Args:
        num_frames: Frames per window T.
        channels: Output channels of the 3x3 convolution on the matrix.
        temperature: Squared distances are divided by it before the softmax over each row; 13.544
            in the released weights, whose embeddings have 512 numbers. Smaller embeddings need a
            smaller one.
        learn_temperature: Train the temperature too.
        align_lags: Read the row of frame i by distance in time instead of by frame: two channels,
            the similarities with frame i + l and with frame i - l for l = 0..T/2, scaled by T / 4.
            A period is then a peak at the same column for each frame, which is learned in
            minutes; off in the paper and in the released weights.
    """

    def __init__(
        self,
        *,
        num_frames: int,
        channels: int = 32,
        temperature: float = 13.544,
        learn_temperature: bool = False,
        align_lags: bool = False,
    ) -> None:
        super().__init__()
        if temperature <= 0:
            raise ValueError(f'temperature must be above 0, got temperature={temperature}')
        self.log_temperature = nn.Parameter(
            torch.tensor(temperature).log(), requires_grad=learn_temperature
        )
        self.align_lags = align_lags
        self.conv = nn.Conv2d(2 if align_lags else 1, channels, 3, padding=1)
        columns = num_frames // 2 + 1 if align_lags else num_frames
        self.num_features = columns * channels

    def forward(self, embeddings: Tensor) -> tuple[Tensor, Tensor]:
        """Compare all frames of a window with each other.

        Args:
            embeddings: (B, T, D).

        Returns:
            The matrix (B, T, T), whose rows sum to 1, and features (B, T, `num_features`).
        """
        # half precision cannot hold the difference of two large squared norms
        with torch.autocast(embeddings.device.type, enabled=False):
            x = embeddings.float()
            squares = x.square().sum(-1)
            distance = squares[:, :, None] + squares[:, None] - 2 * x @ x.transpose(1, 2)
            logits = -distance.clamp_min(0) / self.log_temperature.float().exp()
            similarity = logits.softmax(-1)
        image = lag_aligned(similarity) if self.align_lags else similarity[:, None]
        features = F.relu(self.conv(image.to(embeddings.dtype)))
        return similarity, rearrange(features, 'b c t j -> b t (j c)')


def lag_aligned(similarity: Tensor) -> Tensor:
    """Shear a self-similarity matrix so that a column means a lag.

    Args:
        similarity: (B, T, T).

    Returns:
        (B, 2, T, L): channel 0 holds the similarity of frame i with frame i + l, channel 1 with
        frame i - l, 0 outside of the window, times T / 4.
    """
    num_frames = similarity.shape[-1]
    num_lags = num_frames // 2 + 1
    frames = torch.arange(num_frames, device=similarity.device)[:, None]
    lags = torch.arange(num_lags, device=similarity.device)
    columns = torch.stack([frames + lags, frames - lags])
    inside = (columns >= 0) & (columns < num_frames)
    sheared = similarity[:, frames, columns.clamp(0, num_frames - 1)]
    return sheared * inside * (num_frames / 4)


class PeriodHead(nn.Module):
    """One transformer layer over the rows of the similarity features, then three linear layers.

    Args:
        in_features: Length of a row.
        num_outputs: Numbers for each frame.
        num_frames: Frames per window T.
        width: Width of all layers.
        dropout: Of the transformer layer. The original has 0.25 before each linear layer and none
            in the transformer; the port has 0.1 in the transformer alone, which is what we do.
    """

    def __init__(
        self,
        *,
        in_features: int,
        num_outputs: int,
        num_frames: int,
        width: int = 512,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        self.projection = nn.Linear(in_features, width)
        # one number a frame, the same for all channels, as the released weights have it
        self.position = nn.Parameter(torch.empty(1, num_frames, 1).normal_(std=0.02))
        self.transformer = nn.TransformerEncoderLayer(
            width,
            nhead=4,
            dim_feedforward=width,
            dropout=dropout,
            layer_norm_eps=1e-6,
            batch_first=True,
            norm_first=True,
        )
        self.layers = nn.Sequential(
            nn.Linear(width, width),
            nn.ReLU(),
            nn.Linear(width, width),
            nn.ReLU(),
            nn.Linear(width, num_outputs),
        )

    def forward(self, rows: Tensor) -> Tensor:
        """Rows (B, T, in_features) to (B, T, num_outputs)."""
        return self.layers(self.transformer(self.projection(rows) + self.position))


@MODELS.register_module()
class RepNet(BaseModel):
    """Count repetitions of anything, without knowing what repeats.

    Differs from the reference code: any timm encoder, window length and width; the temporal
    convolution runs once a frame for all strides; distances are computed in float32 under
    autocast; trains.

    Args:
        encoder: Config of a registered image network with an attribute `num_channels`.
        num_frames: Frames per window T, even.
        embedding_dim: Numbers per frame D that are compared.
        similarity: Options of `SelfSimilarity`.
        head: Options of both `PeriodHead`s (`width`, `dropout`).
        loss: Options of `RepNetLoss`.
        counting: Options of `CountingOptions`, used by `mode='predict'` and the predictor.
        data_preprocessor: Config that makes batches of frames (B, 3, T, H, W), normalised.

    Raises:
        ValueError: If `num_frames` is odd or below 8.
    """

    def __init__(
        self,
        *,
        encoder: dict[str, Any],
        num_frames: int = 64,
        embedding_dim: int = 512,
        similarity: dict[str, Any] | None = None,
        head: dict[str, Any] | None = None,
        loss: dict[str, Any] | None = None,
        counting: dict[str, Any] | None = None,
        data_preprocessor: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(data_preprocessor=data_preprocessor)
        if num_frames < 8 or num_frames % 2:
            raise ValueError(
                f'num_frames must be even and at least 8, got num_frames={num_frames}; '
                'the released weights have 64'
            )
        self.num_frames = num_frames
        self.counting = CountingOptions(**(counting or {}))
        self.encoder = MODELS.build(encoder)
        self.temporal_conv = TemporalConv(
            in_channels=self.encoder.num_channels, out_channels=embedding_dim
        )
        self.similarity = SelfSimilarity(num_frames=num_frames, **(similarity or {}))
        rows = {'in_features': self.similarity.num_features, 'num_frames': num_frames}
        self.period_head = PeriodHead(num_outputs=num_frames // 2, **rows, **(head or {}))
        self.periodicity_head = PeriodHead(num_outputs=1, **rows, **(head or {}))
        self.loss = RepNetLoss(**(loss or {}))

    def compile(self, **options: Any) -> None:
        """Compile the networks in place, with options of `torch.compile`."""
        for part in (self.encoder, self.similarity, self.period_head, self.periodicity_head):
            part.compile(**options)

    def encode_frames(self, frames: Tensor) -> Tensor:
        """Do all the work that a frame needs by itself, whatever window it will be part of.

        Args:
            frames: Normalised frames (N, 3, H, W).

        Returns:
            Maps (N, 3D, h, w) for `score_windows`.
        """
        return self.temporal_conv.taps(self.encoder(frames))

    def score_windows(self, maps: Tensor) -> RepNetOutput:
        """Find period and periodicity of windows of encoded frames (B, T, 3D, h, w)."""
        if maps.shape[1] != self.num_frames:
            raise ValueError(
                f'a window must have num_frames={self.num_frames} frames, got {maps.shape[1]}'
            )
        embeddings = self.temporal_conv.combine(maps)
        similarity, rows = self.similarity(embeddings)
        period = self.period_head(rows)
        periodicity = self.periodicity_head(rows).squeeze(-1)
        return RepNetOutput(period, periodicity, similarity, embeddings)

    def forward(
        self,
        inputs: Tensor,
        data_samples: list[BaseDataElement] | None = None,
        mode: str = 'tensor',
    ) -> RepNetOutput | dict[str, Tensor] | list[BaseDataElement]:
        """Train on windows, or count in videos.

        Args:
            inputs: Normalised frames (B, 3, T, H, W); with mode 'predict' any number of frames.
            data_samples: For 'loss' each needs `gt_period` (T,) in frames, 0 where nothing
                repeats, and `gt_periodicity` (T,). For 'predict' each needs `fps`.
            mode: 'tensor', 'loss' or 'predict'.

        Returns:
            A `RepNetOutput`, a dictionary of losses, or the data samples with `pred`, a
            `RepetitionCount`, added to each.

        Raises:
            ValueError: If the mode is another, or it needs data samples and gets none.
        """
        if mode == 'tensor':
            # channels last in memory: convolutions on a CPU are nearly twice as fast
            frames = rearrange(inputs, 'b c t h w -> (b t) h w c').permute(0, 3, 1, 2)
            maps = self.encode_frames(frames)
            return self.score_windows(maps.unflatten(0, (-1, inputs.shape[2])))
        if mode not in ('loss', 'predict'):
            raise ValueError(f"mode must be 'tensor', 'loss' or 'predict', got mode={mode!r}")
        if data_samples is None:
            raise ValueError(f'data_samples must be given for mode={mode!r}, got None')
        if mode == 'loss':
            output = self.forward(inputs)
            names = ['gt_period', 'gt_periodicity']
            if self.loss.similarity_weight:
                names.append('gt_cycles')
            labels = (torch.stack([sample.get(name) for sample in data_samples]) for name in names)
            return self.loss(output, *(label.to(inputs.device) for label in labels))
        for video, sample in zip(inputs, data_samples, strict=True):
            frames = rearrange(video, 'c t h w -> t c h w')
            sample.pred = count_repetitions(self, frames, fps=sample.fps, options=self.counting)
        return data_samples
