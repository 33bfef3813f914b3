"""Networks that turn a sequence of keypoints into one embedding: LSTM, ConvLSTM, transformer.

All of them are called with padded sequences and the number of valid steps of each. What stands in
the steps behind those, and how many there are, never changes the embedding.

Papers: Hochreiter and Schmidhuber, Long Short-Term Memory, Neural Computation 1997.
    Shi et al., Convolutional LSTM Network, NeurIPS 2015, section 3.1, arXiv 1506.04214
    Vaswani et al., Attention Is All You Need, NeurIPS 2017, sections 3.1 and 3.5, arXiv 1706.03762

Shape letters in this file: B sequences, L steps with padding, K points of the skeleton with 3
numbers each (x, y, confidence), D embedding width, S images of N steps, F filters, H width.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmotion.checks import check_at_least, check_range
from mmotion.registry import MODELS

# x, y, confidence
CHANNELS = 3
# a tenth of the size of a person in a step is a fast movement
MOTION_SCALE = 10.0


def valid_steps(lengths: Tensor, num_steps: int) -> Tensor:
    """Which steps are no padding.

    Example:
        >>> valid_steps(torch.tensor([1, 3]), 3).tolist()
        [[True, False, False], [True, True, True]]
    """
    return torch.arange(num_steps, device=lengths.device) < lengths[:, None]


class StepEmbedding(nn.Module):
    """One linear layer and a ReLU on what each step shows; zeros in the padding.

    That is where each point is, how well it is seen, and how far it has moved since the step
    before, in units of a tenth of those of the place. A network could find out about the movement
    by itself, but it is much smaller than the place, and learning takes several times as long.

    Args:
        num_points: Points K of the skeleton.
        dim: Width D of the result.
    """

    def __init__(self, *, num_points: int, dim: int) -> None:
        super().__init__()
        self.num_points = num_points
        self.fc = nn.Linear(num_points * (CHANNELS + 2), dim)

    def forward(self, inputs: Tensor, mask: Tensor) -> Tensor:
        """Embed steps.

        Args:
            inputs: Keypoints (B, L, K, 3), all 0 where a point is missing; anything may stand in
                the padding, even NaN.
            mask: True in valid steps (B, L).

        Returns:
            (B, L, D).

        Raises:
            ValueError: If the inputs have another shape.
        """
        if inputs.ndim != 4 or inputs.shape[2:] != (self.num_points, CHANNELS):
            raise ValueError(
                f'inputs must have shape (B, L, {self.num_points}, {CHANNELS}), got '
                f"{tuple(inputs.shape)}; set the encoder's num_points to that of the skeleton"
            )
        padding = ~mask[..., None]
        points = inputs.masked_fill(padding[..., None], 0)
        steps = self.fc(torch.cat([points, find_motion(points)], dim=3).flatten(2))
        return steps.relu().masked_fill(padding, 0)


def find_motion(points: Tensor) -> Tensor:
    """How far points (B, L, K, 3) went since the step before, times `MOTION_SCALE` (B, L, K, 2).

    It is 0 in the first step, and where a point is missing in one of the two.
    """
    there = (points != 0).any(-1, keepdim=True)
    motion = MOTION_SCALE * (points[:, 1:, :, :2] - points[:, :-1, :, :2])
    motion = motion.where(there[:, 1:] & there[:, :-1], 0)
    return F.pad(motion, (0, 0, 0, 0, 1, 0))


def average_steps(steps: Tensor, mask: Tensor) -> Tensor:
    """Mean over the valid steps of (B, L, D), which `mask` (B, L) names: (B, D)."""
    total = steps.masked_fill(~mask[..., None], 0).sum(1)
    return total / mask.sum(1, keepdim=True).clamp(min=1)


@MODELS.register_module()
class LSTMEncoder(nn.Module):
    """Long short-term memory over the steps; the embedding is the mean of its outputs.

    Args:
        num_points: Points K of the skeleton.
        hidden_dim: Width H of the outputs of one direction.
        num_layers: Layers, one on top of the other.
        bidirectional: Whether a second LSTM reads each sequence from its last valid step to its
            first. The embedding is then 2 * H wide.
        dropout: Probability, in [0, 1), of zeroing a number between two layers while training.

    Raises:
        ValueError: If a number is out of its range.

    Example:
        >>> encoder = LSTMEncoder(num_points=17, hidden_dim=64, bidirectional=True)
        >>> encoder(torch.zeros(2, 10, 17, 3), torch.tensor([10, 6])).shape
        torch.Size([2, 128])
    """

    def __init__(
        self,
        *,
        num_points: int,
        hidden_dim: int = 128,
        num_layers: int = 1,
        bidirectional: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        check_at_least('num_points', num_points, 1)
        check_at_least('hidden_dim', hidden_dim, 1)
        check_at_least('num_layers', num_layers, 1)
        check_range('dropout', dropout, 0, 1, ends='[)')
        self.dropout = dropout
        self.embed_dim = 2 * hidden_dim if bidirectional else hidden_dim
        self.embed = StepEmbedding(num_points=num_points, dim=hidden_dim)
        widths = [hidden_dim, *[self.embed_dim] * (num_layers - 1)]
        self.forwards = nn.ModuleList(nn.LSTM(w, hidden_dim, batch_first=True) for w in widths)
        self.backwards = nn.ModuleList(
            nn.LSTM(w, hidden_dim, batch_first=True) for w in widths if bidirectional
        )

    def forward(self, inputs: Tensor, lengths: Tensor) -> Tensor:
        """Encode sequences.

        Args:
            inputs: Keypoints (B, L, K, 3).
            lengths: Valid steps of each (B,), from 1 to L; the first ones are valid.

        Returns:
            Embeddings (B, D).
        """
        mask = valid_steps(lengths, inputs.shape[1])
        x = self.embed(inputs, mask)
        # the step that takes the place of each when the valid ones are turned round (B, L)
        steps = torch.arange(inputs.shape[1], device=x.device).expand_as(mask)
        turned = (lengths[:, None] - 1 - steps).where(mask, steps)[..., None]
        for i, ahead in enumerate(self.forwards):
            if i:
                x = F.dropout(x, self.dropout, self.training)
            outputs = [ahead(x)[0]]
            if self.backwards:
                back, _ = self.backwards[i](x.gather(1, turned.expand_as(x)))
                outputs.append(back.gather(1, turned.expand_as(back)))
            x = torch.cat(outputs, dim=2)
        return average_steps(x, mask)


class ConvLSTMCell(nn.Module):
    """One step of an LSTM whose states are images and whose products are convolutions.

    Differs from equation 3 of the paper: the gates do not see the cell state (no peepholes), as in
    Keras.

    Args:
        in_channels: Channels of what is read.
        num_filters: Channels F of the states.
        filter_size: Rows and columns of the convolutions, both odd.

    Raises:
        ValueError: If a size of the filter is even.
    """

    def __init__(self, *, in_channels: int, num_filters: int, filter_size: tuple[int, int]) -> None:
        super().__init__()
        if any(size < 1 or size % 2 == 0 for size in filter_size):
            raise ValueError(f'filter_size must be two odd numbers, got {filter_size=}')
        rows, columns = filter_size
        padding = rows // 2, columns // 2
        # four results each, in torch's order: input gate, forget gate, cell, output gate
        self.read = nn.Conv2d(in_channels, 4 * num_filters, filter_size, padding=padding)
        self.recur = nn.Conv2d(
            num_filters, 4 * num_filters, filter_size, padding=padding, bias=False
        )
        # a new cell remembers
        nn.init.ones_(self.read.get_parameter('bias')[num_filters : 2 * num_filters])

    def forward(self, read: Tensor, hidden: Tensor, cell: Tensor) -> tuple[Tensor, Tensor]:
        """Take a step.

        Args:
            read: What `self.read` gives for the images of this step (B, 4 * F, R, C). It does not
                depend on the states, so that the images of all steps can be convolved at once.
            hidden: Hidden state (B, F, R, C).
            cell: Cell state of the same shape.

        Returns:
            New hidden state and cell state.
        """
        gates = read + self.recur(hidden)
        input_gate, forget_gate, candidate, output_gate = gates.chunk(4, dim=1)
        cell = forget_gate.sigmoid() * cell + input_gate.sigmoid() * candidate.tanh()
        return output_gate.sigmoid() * cell.tanh(), cell


@MODELS.register_module()
class ConvLSTMEncoder(nn.Module):
    """ConvLSTM over short stretches of a sequence; the embedding is the mean of its outputs.

    The L = S * N steps are cut into S images of N steps, which the ConvLSTM reads one after the
    other: (samples, timesteps, rows, columns, channels) is (B, S, 1, N, F), where the F channels
    are those that `StepEmbedding` makes of a step.

    Args:
        num_points: Points K of the skeleton.
        n_steps: Images S of a full sequence.
        n_length: Steps N of an image.
        num_conv_filter: Filters F, which is also the width of the embedding.
        filter_size: Steps that a convolution sees, an odd number.

    Raises:
        ValueError: If a number is out of its range.

    Example:
        >>> encoder = ConvLSTMEncoder(num_points=17, n_steps=4, n_length=16)
        >>> encoder(torch.zeros(2, 64, 17, 3), torch.tensor([64, 20])).shape
        torch.Size([2, 64])
    """

    def __init__(
        self,
        *,
        num_points: int,
        n_steps: int = 4,
        n_length: int = 16,
        num_conv_filter: int = 64,
        filter_size: int = 3,
    ) -> None:
        super().__init__()
        check_at_least('num_points', num_points, 1)
        check_at_least('n_steps', n_steps, 1)
        check_at_least('n_length', n_length, 1)
        check_at_least('num_conv_filter', num_conv_filter, 1)
        self.n_steps = n_steps
        self.n_length = n_length
        self.embed_dim = num_conv_filter
        self.embed = StepEmbedding(num_points=num_points, dim=num_conv_filter)
        self.cell = ConvLSTMCell(
            in_channels=num_conv_filter,
            num_filters=num_conv_filter,
            filter_size=(1, filter_size),
        )

    def forward(self, inputs: Tensor, lengths: Tensor) -> Tensor:
        """Encode sequences.

        Args:
            inputs: Keypoints (B, L, K, 3) with L = S * N.
            lengths: Valid steps of each (B,), from 1 to L; the first ones are valid.

        Returns:
            Embeddings (B, D).

        Raises:
            ValueError: If L is not S * N.
        """
        num_steps = inputs.shape[1]
        if num_steps != self.n_steps * self.n_length:
            raise ValueError(
                f'inputs must have n_steps * n_length = {self.n_steps} * {self.n_length} steps, '
                f'got {num_steps}; set max_seq_length of PackSequence to '
                f'{self.n_steps * self.n_length}'
            )
        mask = valid_steps(lengths, num_steps)
        x = self.embed(inputs, mask)
        size = self.n_steps, self.n_length
        # (B, L, F) to (B * S, F, 1, N); all images are convolved at once
        images = x.unflatten(1, size).flatten(0, 1).transpose(1, 2)[:, :, None]
        read = self.cell.read(images).unflatten(0, (-1, self.n_steps))

        hidden = cell = read.new_zeros(inputs.shape[0], self.embed_dim, 1, self.n_length)
        outputs = []
        # only the last valid image can have padding in it, and nothing valid comes after that
        for image in read.unbind(1):
            hidden, cell = self.cell(image, hidden, cell)
            outputs.append(hidden)
        # S times (B, F, 1, N) to (B, L, F)
        return average_steps(torch.cat(outputs, dim=3)[:, :, 0].transpose(1, 2), mask)


@MODELS.register_module()
class TransformerEncoder(nn.Module):
    """Transformer over the steps; the embedding is the mean of its outputs.

    Args:
        num_points: Points K of the skeleton.
        embed_dim: Token width D, an even multiple of `num_heads`.
        depth: Number of blocks.
        num_heads: Heads of each attention.
        dropout: Probability, in [0, 1), of zeroing a number behind each part of a block while
            training.

    Raises:
        ValueError: If a number is out of its range.

    Example:
        >>> encoder = TransformerEncoder(num_points=17, embed_dim=32)
        >>> encoder(torch.zeros(2, 10, 17, 3), torch.tensor([10, 6])).shape
        torch.Size([2, 32])
    """

    def __init__(
        self,
        *,
        num_points: int,
        embed_dim: int = 128,
        depth: int = 2,
        num_heads: int = 4,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        check_at_least('num_points', num_points, 1)
        check_at_least('embed_dim', embed_dim, 1)
        check_at_least('depth', depth, 1)
        check_at_least('num_heads', num_heads, 1)
        check_range('dropout', dropout, 0, 1, ends='[)')
        if embed_dim % 2 or embed_dim % num_heads:
            raise ValueError(
                f'embed_dim must be even and a multiple of num_heads, got {embed_dim=} and '
                f'{num_heads=}'
            )
        self.embed_dim = embed_dim
        self.embed = StepEmbedding(num_points=num_points, dim=embed_dim)
        block = nn.TransformerEncoderLayer(
            embed_dim, num_heads, 4 * embed_dim, dropout, batch_first=True, norm_first=True
        )
        norm = nn.LayerNorm(embed_dim)
        self.blocks = nn.TransformerEncoder(block, depth, norm, enable_nested_tensor=False)

    def forward(self, inputs: Tensor, lengths: Tensor) -> Tensor:
        """Encode sequences.

        Args:
            inputs: Keypoints (B, L, K, 3).
            lengths: Valid steps of each (B,), from 1 to L; the first ones are valid.

        Returns:
            Embeddings (B, D).
        """
        mask = valid_steps(lengths, inputs.shape[1])
        tokens = self.embed(inputs, mask)
        tokens = tokens + sine_positions(inputs.shape[1], self.embed_dim, tokens)
        return average_steps(self.blocks(tokens, src_key_padding_mask=~mask), mask)


def sine_positions(num_steps: int, dim: int, like: Tensor) -> Tensor:
    """Positions (L, D) as in section 3.5 of the paper, half sines and half cosines.

    Args:
        num_steps: L.
        dim: D, an even number.
        like: Gives the device and the type.
    """
    steps = torch.arange(num_steps, device=like.device, dtype=torch.float32)
    rates = torch.arange(0, dim, 2, device=like.device) * (-math.log(10_000) / dim)
    angles = steps[:, None] * rates.exp()
    return torch.cat([angles.sin(), angles.cos()], dim=1).to(like.dtype)
