"""The encoders: against slow versions typed from the papers, and blind to padding."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from mmotion.registry import MODELS
from projects.pose_sequence.encoders import (
    ConvLSTMCell,
    ConvLSTMEncoder,
    LSTMEncoder,
    StepEmbedding,
    TransformerEncoder,
    average_steps,
    find_motion,
    sine_positions,
    valid_steps,
)

K = 5
ENCODERS = [
    pytest.param(dict(type='LSTMEncoder', hidden_dim=16), id='lstm'),
    pytest.param(
        dict(type='LSTMEncoder', hidden_dim=16, num_layers=2, bidirectional=True), id='bi-lstm'
    ),
    pytest.param(
        dict(type='ConvLSTMEncoder', n_steps=3, n_length=4, num_conv_filter=16), id='convlstm'
    ),
    pytest.param(
        dict(type='TransformerEncoder', embed_dim=32, depth=2, num_heads=2), id='transformer'
    ),
]
# of sequences of 12 steps
LENGTHS = torch.tensor([12, 9, 8, 5, 1])


def build(config: dict[str, Any]) -> nn.Module:
    return MODELS.build(dict(num_points=K, **config)).eval()


@pytest.mark.parametrize('config', ENCODERS)
@pytest.mark.parametrize('padding', [float('nan'), 1e9], ids=['nan', 'large'])
def test_padding_never_changes_the_embedding(config: dict[str, Any], padding: float) -> None:
    encoder = build(config)
    inputs = torch.randn(5, 12, K, 3)
    expected = encoder(inputs, LENGTHS)
    assert expected.shape == (5, encoder.embed_dim)
    for row, length in zip(inputs, LENGTHS, strict=True):
        row[length:] = padding
    torch.testing.assert_close(encoder(inputs, LENGTHS), expected, rtol=0, atol=0)


@pytest.mark.parametrize('config', ENCODERS)
def test_the_amount_of_padding_does_not_change_the_embedding(config: dict[str, Any]) -> None:
    encoder = build(config).double()
    inputs = torch.randn(4, 12, K, 3, dtype=torch.float64)
    lengths = LENGTHS[1:]
    expected = encoder(inputs, lengths)
    longer = torch.cat([inputs, torch.ones_like(inputs)], dim=1)
    if isinstance(encoder, ConvLSTMEncoder):
        encoder.n_steps *= 2
    torch.testing.assert_close(encoder(longer, lengths), expected)


@pytest.mark.parametrize('config', ENCODERS)
def test_what_else_is_in_the_batch_does_not_change_the_embedding(config: dict[str, Any]) -> None:
    encoder = build(config).double()
    inputs = torch.randn(5, 12, K, 3, dtype=torch.float64)
    expected = encoder(inputs, LENGTHS)
    for i in range(5):
        alone = encoder(inputs[i : i + 1], LENGTHS[i : i + 1])
        torch.testing.assert_close(alone, expected[i : i + 1])


@pytest.mark.parametrize('config', ENCODERS)
def test_every_valid_step_and_every_weight_counts(config: dict[str, Any]) -> None:
    encoder = build(config)
    inputs = torch.randn(5, 12, K, 3, requires_grad=True)
    encoder(inputs, LENGTHS).square().sum().backward()
    assert inputs.grad is not None
    counts = inputs.grad.abs().sum((2, 3)) > 0
    assert counts.tolist() == (torch.arange(12) < LENGTHS[:, None]).tolist()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in encoder.parameters())


@pytest.mark.parametrize('config', ENCODERS)
def test_the_order_of_the_steps_counts(config: dict[str, Any]) -> None:
    encoder = build(config)
    inputs = torch.randn(2, 12, K, 3)
    lengths = torch.tensor([12, 12])
    assert not torch.allclose(encoder(inputs, lengths), encoder(inputs.flip(1), lengths), atol=1e-4)


@pytest.mark.parametrize('config', ENCODERS)
def test_bfloat16_is_close_to_float32(config: dict[str, Any]) -> None:
    encoder = build(config)
    inputs = torch.randn(5, 12, K, 3)
    expected = encoder(inputs, LENGTHS)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        found = encoder(inputs, LENGTHS)
        found.float().sum().backward()
    torch.testing.assert_close(found.float(), expected, rtol=0.1, atol=0.1)


# torch says so of its own LSTM
@pytest.mark.filterwarnings('ignore:The tensor attributes:UserWarning')
@pytest.mark.parametrize('config', ENCODERS)
def test_export(config: dict[str, Any]) -> None:
    encoder = build(config)
    inputs = torch.randn(5, 12, K, 3)
    batch = torch.export.Dim('batch', min=2, max=64)
    program = torch.export.export(
        encoder, (inputs, LENGTHS), dynamic_shapes=({0: batch}, {0: batch})
    )
    torch.testing.assert_close(
        program.module()(inputs[:3], LENGTHS[:3]), encoder(inputs[:3], LENGTHS[:3])
    )


def test_lstm_equals_that_of_torch_on_packed_sequences() -> None:
    encoder = LSTMEncoder(num_points=K, hidden_dim=8, num_layers=2, bidirectional=True).double()
    reference = nn.LSTM(8, 8, num_layers=2, bidirectional=True, batch_first=True).double()
    for name, parameter in reference.named_parameters():
        kind, _, rest = name.partition('_l')
        layers = encoder.backwards if rest.endswith('_reverse') else encoder.forwards
        own = layers[int(rest[0])].get_parameter(f'{kind}_l0')
        parameter.data = own.data
    inputs = torch.randn(5, 12, K, 3, dtype=torch.float64)
    steps = encoder.embed(inputs, valid_steps(LENGTHS, 12))
    packed = nn.utils.rnn.pack_padded_sequence(steps, LENGTHS, batch_first=True)
    outputs, _ = nn.utils.rnn.pad_packed_sequence(reference(packed)[0], batch_first=True)
    means = [row[:length].mean(0) for row, length in zip(outputs, LENGTHS, strict=True)]
    torch.testing.assert_close(encoder(inputs, LENGTHS), torch.stack(means))


def slow_conv(image: Tensor, weight: Tensor) -> Tensor:
    """Correlate (C, R, Q) with (F, C, r, q), one product at a time, zeros around: (F, R, Q)."""
    filters, channels, rows, columns = weight.shape
    _, height, width = image.shape
    result = torch.zeros(filters, height, width, dtype=image.dtype)
    for f in range(filters):
        for y in range(height):
            for x in range(width):
                for c in range(channels):
                    for i in range(rows):
                        for j in range(columns):
                            above, left = y + i - rows // 2, x + j - columns // 2
                            if 0 <= above < height and 0 <= left < width:
                                result[f, y, x] += weight[f, c, i, j] * image[c, above, left]
    return result


def slow_cell(cell: ConvLSTMCell, image: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    """Equation 3 of Shi et al. for one image (C, R, Q), without the peepholes."""
    w_x, w_h, b = cell.read.weight, cell.recur.weight, cell.read.bias
    w_xi, w_xf, w_xc, w_xo = w_x.chunk(4)
    w_hi, w_hf, w_hc, w_ho = w_h.chunk(4)
    b_i, b_f, b_c, b_o = (part[:, None, None] for part in b.chunk(4))
    i = torch.sigmoid(slow_conv(image, w_xi) + slow_conv(h, w_hi) + b_i)
    f = torch.sigmoid(slow_conv(image, w_xf) + slow_conv(h, w_hf) + b_f)
    c = f * c + i * torch.tanh(slow_conv(image, w_xc) + slow_conv(h, w_hc) + b_c)
    o = torch.sigmoid(slow_conv(image, w_xo) + slow_conv(h, w_ho) + b_o)
    return o * torch.tanh(c), c


@torch.no_grad()
@pytest.mark.parametrize('filter_size', [(1, 3), (3, 5)], ids=str)
def test_cell_equals_a_slow_version(filter_size: tuple[int, int]) -> None:
    cell = ConvLSTMCell(in_channels=2, num_filters=3, filter_size=filter_size).double()
    images = torch.randn(2, 2, 4, 5, dtype=torch.float64)
    hidden, state = torch.randn(2, 2, 3, 4, 5, dtype=torch.float64)
    new_hidden, new_state = cell(cell.read(images), hidden, state)
    for i in range(2):
        slow_hidden, slow_state = slow_cell(cell, images[i], hidden[i], state[i])
        torch.testing.assert_close(new_hidden[i], slow_hidden)
        torch.testing.assert_close(new_state[i], slow_state)


@torch.no_grad()
def test_convlstm_equals_a_slow_version() -> None:
    encoder = ConvLSTMEncoder(num_points=2, n_steps=3, n_length=4, num_conv_filter=3).double()
    inputs = torch.randn(4, 12, 2, 3, dtype=torch.float64)
    lengths = torch.tensor([12, 7, 8, 3])
    steps = encoder.embed(inputs, valid_steps(lengths, 12))
    embeddings = encoder(inputs, lengths)
    for sequence, length, embedding in zip(steps, lengths.tolist(), embeddings, strict=True):
        hidden = state = torch.zeros(3, 1, 4, dtype=torch.float64)
        outputs = []
        for first in range(0, length, 4):
            image = sequence[first : first + 4].T[:, None]
            hidden, state = slow_cell(encoder.cell, image, hidden, state)
            outputs += [hidden[:, 0, i] for i in range(min(4, length - first))]
        torch.testing.assert_close(embedding, torch.stack(outputs).mean(0))


def test_positions_are_those_of_the_paper() -> None:
    found = sine_positions(7, 6, torch.zeros((), dtype=torch.float64))
    for position in range(7):
        for i in range(3):
            angle = torch.tensor(position / 10_000 ** (2 * i / 6))
            assert found[position, i] == pytest.approx(float(angle.sin()), abs=1e-6)
            assert found[position, 3 + i] == pytest.approx(float(angle.cos()), abs=1e-6)


def test_motion_is_that_since_the_step_before() -> None:
    x = [2.0, 2.5, 0.0, 3.0, 2.0]
    points = torch.tensor([[[[value, -value, 0.0]] for value in x]])
    # nothing is known before the first step, nor around the one in which the point is missing
    expected = [[0.0, 0.0], [5.0, -5.0], [0.0, 0.0], [0.0, 0.0], [-10.0, 10.0]]
    assert find_motion(points)[0, :, 0].tolist() == expected


def test_mean_of_the_valid_steps() -> None:
    steps = torch.tensor([[[1.0], [3.0], [float('nan')]], [[4.0], [5.0], [9.0]]])
    mask = torch.tensor([[True, True, False], [True, True, True]])
    assert average_steps(steps, mask).tolist() == [[2.0], [6.0]]


def test_wrong_shapes() -> None:
    mask = torch.ones(2, 6, dtype=torch.bool)
    with pytest.raises(ValueError, match=r"\(B, L, 5, 3\), got \(2, 6, 4, 3\); set the encoder's"):
        StepEmbedding(num_points=5, dim=4)(torch.zeros(2, 6, 4, 3), mask)
    encoder = ConvLSTMEncoder(num_points=K, n_steps=3, n_length=4)
    with pytest.raises(ValueError, match=r'n_steps \* n_length = 3 \* 4 steps, got 6; set max_seq'):
        encoder(torch.zeros(2, 6, K, 3), torch.tensor([6, 6]))


@pytest.mark.parametrize(
    ('encoder', 'options', 'message'),
    [
        pytest.param(LSTMEncoder, dict(hidden_dim=0), 'hidden_dim must be at least 1', id='hidden'),
        pytest.param(LSTMEncoder, dict(num_layers=0), 'got num_layers=0', id='layers'),
        pytest.param(LSTMEncoder, dict(dropout=1.0), r'in \[0, 1\), got dropout=1.0', id='dropout'),
        pytest.param(ConvLSTMEncoder, dict(n_steps=0), 'got n_steps=0', id='n_steps'),
        pytest.param(
            ConvLSTMEncoder,
            dict(filter_size=4),
            r'two odd numbers, got filter_size=\(1, 4\)',
            id='f',
        ),
        pytest.param(TransformerEncoder, dict(depth=0), 'got depth=0', id='depth'),
        pytest.param(
            TransformerEncoder,
            dict(embed_dim=6, num_heads=4),
            'multiple of num_heads, got embed_dim=6 and num_heads=4',
            id='heads',
        ),
    ],
)
def test_bad_arguments(encoder: type[nn.Module], options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        encoder(num_points=K, **options)
