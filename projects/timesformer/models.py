"""TimeSformer: a transformer that recognises actions, with attention in time and in space.

Frames are cut into patches, which become tokens as in ViT. Each block mixes the tokens of a clip
by one of five attention schemes (`attention.py`); what a class token has gathered after the last
block describes the clip.

Paper: Bertasius et al., Is Space-Time Attention All You Need for Video Understanding?, ICML 2021,
    section 3, https://arxiv.org/abs/2102.05095
Reference code: facebookresearch/TimeSformer@a5ef29a, timesformer/models/vit.py, whose released
    weights `convert.py` loads.

Shape letters in this file: T frames per clip, B clips, P patches per frame in R rows and C
columns, D token width, V views of a video.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, cast

import torch
import torch.nn.functional as F
from einops import rearrange
from mmaction.models.data_preprocessors import ActionDataPreprocessor
from mmaction.structures import ActionDataSample
from timm.layers import resample_abs_pos_embed
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from mmotion.checkpoint import load_image_weights, load_state_dict
from mmotion.checks import check_at_least, check_choice, check_range
from mmotion.registry import MODELS
from mmotion.transforms.preprocessing import draw_scenes

from .attention import SCHEMES
from .blocks import NORM_EPS, Block
from .convert import convert

HEAD_STD = 0.02
# about the deviation of what normalised patches become
EMBED_STD = 0.5
# how position embeddings are resized to another number of rows and columns
RESIZES = ('bicubic', 'nearest')


@dataclass(frozen=True, kw_only=True)
class ViTOptions:
    """How large a transformer is, by default a ViT-B.

    Args:
        embed_dim: Token width D, a multiple of `num_heads`.
        depth: Number of blocks.
        num_heads: Heads N of each attention.
        drop_path: Probability, in [0, 1), of leaving out a residual branch of the last block while
            training; it grows from 0 at the first.

    Raises:
        ValueError: If a number is out of its range.
    """

    embed_dim: int = 768
    depth: int = 12
    num_heads: int = 12
    drop_path: float = 0.1

    def __post_init__(self) -> None:
        check_at_least('depth', self.depth, 1)
        check_at_least('num_heads', self.num_heads, 1)
        check_at_least('embed_dim', self.embed_dim, 1)
        if self.embed_dim % self.num_heads:
            raise ValueError(
                f'embed_dim must be a multiple of num_heads, got embed_dim={self.embed_dim} and '
                f'num_heads={self.num_heads}'
            )
        check_range('drop_path', self.drop_path, 0, 1, ends='[)')


@MODELS.register_module()
class TimeSformer(nn.Module):
    """Turns clips into embeddings, as a backbone of MMAction2's `Recognizer3D`.

    The paper compares five schemes; what a patch attends to, besides the class token, is

    - `space_only`: its frame. Frames meet only in the mean over all of them at the end.
    - `joint_space_time`: the clip.
    - `divided_space_time`: its position in all frames, then its frame.
    - `sparse_local_global`: the half as wide and half as high surroundings in all frames, then
      every second frame, row and column. Each of these numbers must be even.
    - `axial`: its position in all frames, then its row, then its column.

    Clips may have another size or length than those the model was built for: its embeddings of
    position and time are resized to them, when weights are loaded and in `forward`.

    Differs from the reference code: has the last two schemes, of which there is no public
    implementation; `time` is the same in all blocks for any number of frames; position embeddings
    are resized in two dimensions, bicubic unless told otherwise; loads strictly; random weights are
    drawn for training from them, see `_sample_weights`.

    Args:
        attention: One of the five.
        num_frames: Frames per clip T.
        image_size: Height and width of frames in pixels, a multiple of `patch_size`.
        patch_size: Height and width of patches in pixels.
        vit: Arguments of `ViTOptions`: width, number of blocks and heads, and drop path.
        resize: How position embeddings are resized: 'bicubic', or 'nearest' as in the reference's
            forward pass. Time embeddings are always resized by nearest.
        checkpointing: Recompute blocks in the backward pass of training: about a third more work,
            and memory for one block instead of all.
        init: What training starts from: a model name of timm, whose published weights are
            fetched, or a file in any format that `convert` knows. Steps that it lacks start with a
            copy of its attention and a second projection of zero. None starts from random weights.

    Raises:
        ValueError: If an argument is out of its range.

    Example:
        >>> small = dict(embed_dim=24, depth=1, num_heads=2)
        >>> model = TimeSformer(num_frames=2, image_size=32, vit=small)
        >>> model(torch.zeros(3, 3, 2, 32, 32)).shape
        torch.Size([3, 24])
    """

    def __init__(
        self,
        *,
        attention: str = 'divided_space_time',
        num_frames: int = 8,
        image_size: int = 224,
        patch_size: int = 16,
        vit: dict[str, Any] | None = None,
        resize: str = 'bicubic',
        checkpointing: bool = False,
        init: str | None = None,
    ) -> None:
        super().__init__()
        check_choice('attention', attention, SCHEMES)
        check_choice('resize', resize, RESIZES)
        check_at_least('num_frames', num_frames, 1)
        size = ViTOptions(**(vit or {}))
        self.attention = attention
        self.patch_size = patch_size
        self.embed_dim = embed_dim = size.embed_dim
        self.resize = resize
        self.checkpointing = checkpointing
        self.init = init

        rows, columns = self._grid(num_frames, image_size, image_size)
        self.cls_token = nn.Parameter(torch.zeros(embed_dim))
        self.pos_embed = nn.Parameter(torch.zeros(1 + rows * columns, embed_dim))
        has_time = attention != 'space_only'
        self.time_embed = nn.Parameter(torch.zeros(num_frames, embed_dim)) if has_time else None
        self.patch_embed = nn.Linear(3 * patch_size**2, embed_dim)
        self.blocks = nn.ModuleList(
            Block(
                attention=attention,
                dim=embed_dim,
                num_heads=size.num_heads,
                drop_path=size.drop_path * i / max(size.depth - 1, 1),
            )
            for i in range(size.depth)
        )
        self.norm = nn.LayerNorm(embed_dim, eps=NORM_EPS)
        self._sample_weights()

    def forward(self, clips: Tensor) -> Tensor:
        """Turn normalised clips (B, 3, T, H, W) into embeddings (B, D)."""
        x, rows = self.embed(clips)
        fold = math.prod(x.shape[:3]) > self.embed_dim
        for i, block in enumerate(self.blocks):
            # nobody reads the patches behind the last attention
            options = rows, fold, i == len(self.blocks) - 1
            if self.checkpointing and self.training:
                x = checkpoint(block, x, *options, use_reentrant=False)
            else:
                x = block(x, *options)
        # the copies of the class token are equal, except with space_only, whose x is (1, T*B, ...)
        cls = x[:, :, 0].reshape(clips.shape[2], -1, self.embed_dim)
        return self.norm(cls.mean(0))

    def compile(self, **options: Any) -> None:
        """Compile the blocks in place: one and the last one, as the others are like the one.

        Args:
            options: Of `torch.compile`.
        """
        for block in self.blocks:
            block.compile(**options)

    def tokens(self, clips: Tensor) -> Tensor:
        """Work out all tokens by the products that the paper names, for instance to count these.

        Args:
            clips: Normalised clips (B, 3, T, H, W).

        Returns:
            Tokens behind the last norm (T, B, 1 + P, D), with space_only (1, T * B, 1 + P, D).
        """
        x, rows = self.embed(clips)
        for block in self.blocks:
            x = block(x, rows)
        return self.norm(x)

    def rollout(self, clips: Tensor) -> Tensor:
        """How much each patch contributes to the class token, by attention rollout.

        The attention of all steps, averaged over heads and mixed half and half with the residual
        connection, is multiplied through the network. Only the row of the class token is needed:
        the gradient of its number when numbers are mixed as the tokens are.

        Paper: Abnar and Zuidema, Quantifying Attention Flow in Transformers, ACL 2020, section 3.

        Args:
            clips: Normalised clips (B, 3, T, H, W); the model should be in eval mode.

        Returns:
            Shares (B, T, R, C), which with the share of the class token itself sum to 1.
        """
        with torch.inference_mode(False), torch.enable_grad():
            with torch.no_grad():
                x, rows = self.embed(clips.clone())
            start = torch.ones(x.shape[:3], device=x.device, requires_grad=True)
            relevance = start
            for block in cast('Iterable[Block]', self.blocks):
                for step in block.steps():
                    with torch.no_grad():
                        tokens, x = x, step(x, rows)
                    relevance = step.spread(relevance, tokens, rows)
                with torch.no_grad():
                    x = block.mlp(x)
            num_frames, num_clips = clips.shape[2], len(clips)
            cls = relevance[:, :, 0].reshape(num_frames, num_clips).mean(0)
            (shares,) = torch.autograd.grad(cls.sum(), start)
        shares = shares[..., 1:].reshape(num_frames, num_clips, rows, -1)
        return rearrange(shares, 't b r c -> b t r c')

    def embed(self, clips: Tensor) -> tuple[Tensor, int]:
        """Make tokens of clips (B, 3, T, H, W).

        Returns:
            Tokens (T, B, 1 + P, D), or (1, T * B, 1 + P, D) with space_only, whose frames are as
            clips of their own, and the number of rows R.

        Raises:
            ValueError: If the size of the clips does not suit the model.
        """
        if clips.ndim != 5 or clips.shape[1] != 3:
            raise ValueError(f'clips must have shape (B, 3, T, H, W), got {tuple(clips.shape)}')
        num_clips, _, num_frames, height, width = clips.shape
        rows, columns = self._grid(num_frames, height, width)
        pixels = rearrange(
            clips, 'b c t (r p) (s q) -> t b (r s) (c p q)', p=self.patch_size, q=self.patch_size
        )
        position = resize_positions(self.pos_embed, (rows, columns), self.resize)
        offset = position[1:]
        if self.time_embed is not None:
            offset = offset + resize_times(self.time_embed, num_frames)[:, None, None]
        patches = self.patch_embed(pixels) + offset
        cls = (self.cls_token + position[0]).to(patches.dtype).expand(num_frames, num_clips, 1, -1)
        x = torch.cat([cls, patches], dim=2)
        return (x.flatten(0, 1)[None] if self.attention == 'space_only' else x), rows

    def init_weights(self) -> None:
        """Load the weights that `init` names; mmengine calls it when training starts.

        Raises:
            CheckpointError: If they cannot be had, or do not fit.
        """
        if self.init is not None:
            state = self._fill_in(_convert_image_weights(load_image_weights(self.init)))
            load_state_dict(self, state, source=self.init)

    def fit_weights(self, state_dict: dict[str, Tensor], prefix: str = '') -> dict[str, Tensor]:
        """Resize the embeddings in a state dict to those of the model.

        Args:
            state_dict: Not changed.
            prefix: What the names of the model's weights start with in it.

        Returns:
            A copy with other embeddings.
        """
        state = dict(state_dict)
        position, time = state.get(f'{prefix}pos_embed'), state.get(f'{prefix}time_embed')
        if position is not None and len(position) != len(self.pos_embed):
            side = math.isqrt(len(self.pos_embed) - 1)
            state[f'{prefix}pos_embed'] = resize_positions(position, (side, side), self.resize)
        if time is not None and self.time_embed is not None:
            state[f'{prefix}time_embed'] = resize_times(time, len(self.time_embed))
        return state

    def _load_from_state_dict(
        self, state_dict: dict[str, Tensor], prefix: str, *args: Any, **kwargs: Any
    ) -> None:
        """Resize embeddings whatever way weights are loaded."""
        super()._load_from_state_dict(self.fit_weights(state_dict, prefix), prefix, *args, **kwargs)

    def _fill_in(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """Give the weights of another scheme, or of an image transformer, what this one has more.

        An added step starts as a copy of the attention in space, behind a projection of zero.
        """
        state = dict(state)
        for name, own in self.state_dict().items():
            if name in state:
                continue
            block, added, step = name.partition('.added.')
            if name == 'time_embed' or '.fc.' in step:
                state[name] = torch.zeros_like(own)
            elif added:
                source = f'{block}.attn.{step.partition(".")[2]}'
                if source in state:
                    state[name] = state[source].clone()
        return state

    def _sample_weights(self) -> None:
        """Draw weights to train from; `init` replaces them.

        The reference draws all of them with a deviation of 0.02, and leaves the embeddings of time
        at zero, as it goes on from an image model. From there a small model did not learn the order
        of frames in 2,000 steps on generated clips; with Xavier's deviation, which is about 0.02
        for 768 channels but larger for fewer, and embeddings as large as what they are added to,
        it does so in 300.
        """
        for name, parameter in self.blocks.named_parameters():
            if name.endswith('bias') or '.fc.' in name:
                nn.init.zeros_(parameter)
            elif parameter.ndim == 2:
                nn.init.xavier_uniform_(parameter)
        for embedding in (self.pos_embed, self.time_embed, self.cls_token):
            if embedding is not None:
                nn.init.trunc_normal_(embedding, std=EMBED_STD)

    def _grid(self, num_frames: int, height: int, width: int) -> tuple[int, int]:
        """Rows R and columns C of patches, after checking that the scheme can handle them."""
        size = self.patch_size
        if height % size or width % size or not height or not width:
            raise ValueError(
                f'height and width of clips must be multiples of patch_size={size}, '
                f'got {height}x{width}; resize or crop them in the pipeline'
            )
        rows, columns = height // size, width // size
        if self.attention == 'sparse_local_global' and (num_frames % 2 or rows % 2 or columns % 2):
            raise ValueError(
                'frames, rows and columns of patches must be even for sparse_local_global, '
                f'got {num_frames} frames of {rows}x{columns} patches'
            )
        return rows, columns


@MODELS.register_module()
class TimeSformerHead(nn.Module):
    """One linear layer on the embedding, as a head of MMAction2's `Recognizer3D`.

    Args:
        num_classes: Number of classes.
        in_channels: Size of the embedding D.
        label_smoothing: Share of the target, in [0, 1), that is spread over all classes.

    Raises:
        ValueError: If `label_smoothing` is out of its range.
    """

    def __init__(
        self, *, num_classes: int, in_channels: int = 768, label_smoothing: float = 0.0
    ) -> None:
        super().__init__()
        check_range('label_smoothing', label_smoothing, 0, 1, ends='[)')
        self.num_classes = num_classes
        self.label_smoothing = label_smoothing
        self.fc = nn.Linear(in_channels, num_classes)
        nn.init.trunc_normal_(self.fc.weight, std=HEAD_STD)
        nn.init.zeros_(self.fc.bias)

    def forward(self, embeddings: Tensor, **_: Any) -> Tensor:
        """Embeddings (B, D) to logits (B, num_classes)."""
        return self.fc(embeddings)

    def loss(
        self, embeddings: Tensor, data_samples: list[ActionDataSample], **_: Any
    ) -> dict[str, Tensor]:
        """Cross-entropy, and the share of right answers where the labels are not mixed.

        Args:
            embeddings: (B, D).
            data_samples: Each with a `gt_label`: the number of a class, or (num_classes,) shares as
                mixup makes them.

        Returns:
            `loss_cls` and, for numbers, `top1_acc`.
        """
        logits = self(embeddings)
        labels = torch.stack([sample.gt_label for sample in data_samples]).to(logits.device)
        is_mixed = labels.shape[-1] > 1
        if not is_mixed:
            labels = labels.flatten()
        losses = {'loss_cls': F.cross_entropy(logits, labels, label_smoothing=self.label_smoothing)}
        if not is_mixed:
            losses['top1_acc'] = (logits.argmax(1) == labels).float().mean()
        return losses

    def predict(
        self, embeddings: Tensor, data_samples: list[ActionDataSample], **_: Any
    ) -> list[ActionDataSample]:
        """Average the views of each video after the softmax.

        Args:
            embeddings: (B * V, D), the V views of a video one after the other.
            data_samples: B, one a video.

        Returns:
            The same, with `pred_score` (num_classes,), which sums to 1, and `pred_label` (1,).
        """
        scores = self(embeddings).float().softmax(1)
        scores = scores.unflatten(0, (len(data_samples), -1)).mean(1)
        for sample, score in zip(data_samples, scores, strict=True):
            sample.set_pred_score(score)
            sample.set_pred_label(score.argmax(keepdim=True))
        return data_samples


def resize_positions(positions: Tensor, grid: tuple[int, int], mode: str) -> Tensor:
    """Resize position embeddings of a square grid.

    Args:
        positions: The class token's, then those of the grid (1 + side * side, D).
        grid: Rows R and columns C wanted.
        mode: One of `RESIZES`.

    Returns:
        (1 + R * C, D).
    """
    side = math.isqrt(len(positions) - 1)
    if side * side + 1 != len(positions):
        raise ValueError(
            f'pos_embed must hold the class token and a square grid, got {len(positions)} tokens'
        )
    return resample_abs_pos_embed(
        positions[None], list(grid), interpolation=mode, antialias=mode == 'bicubic'
    )[0]


def resize_times(times: Tensor, num_frames: int) -> Tensor:
    """Resize time embeddings (T, D) to (num_frames, D), each the nearest of those given."""
    if num_frames == len(times):
        return times
    return F.interpolate(times.T[None].float(), num_frames, mode='nearest')[0].T.to(times.dtype)


def _convert_image_weights(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Weights to start from in the names of `TimeSformer`, without a classification head."""
    if not any(name.startswith('backbone.blocks.') for name in state):
        state = convert(state)
    prefix = 'backbone.'
    return {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}


@MODELS.register_module()
class ScenePreprocessor(ActionDataPreprocessor):
    """MMAction2's preprocessor, which first draws the scenes of a batch on the model's device."""

    def forward(self, data: dict[str, Any], training: bool = False) -> Any:
        """Prepare a batch, of clips or of scenes."""
        inputs = draw_scenes(data['inputs'], self.device)
        return super().forward({**data, 'inputs': [*inputs]}, training)
