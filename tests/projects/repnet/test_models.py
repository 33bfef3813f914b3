"""RepNet's bricks against slow versions and plain torch, and what the model refuses."""

import pytest
import torch
from mmengine.structures import BaseDataElement
from torch import Tensor, nn

from projects.repnet.models import (
    ConvEncoder,
    RepNet,
    SelfSimilarity,
    TemporalConv,
    TimmEncoder,
    lag_aligned,
)


def small_model(**options) -> RepNet:
    torch.manual_seed(0)
    return RepNet(
        encoder={'type': 'ConvEncoder', 'channels': (8, 8)},
        num_frames=16,
        embedding_dim=8,
        similarity={'channels': 4, 'temperature': 2.0, **options},
        head={'width': 16, 'dropout': 0.0},
    )


def labels(period: float, num_frames: int = 16) -> BaseDataElement:
    return BaseDataElement(
        gt_period=torch.full((num_frames,), period),
        gt_periodicity=torch.full((num_frames,), float(period > 0)),
    )


def test_temporal_conv_equals_a_dilated_3d_convolution() -> None:
    split = TemporalConv(in_channels=5, out_channels=7).eval()
    whole = nn.Conv3d(5, 7, 3, padding=(3, 1, 1), dilation=(3, 1, 1))
    with torch.no_grad():
        whole.weight.copy_(torch.stack(split.conv.weight.chunk(3), dim=2))
        whole.bias.copy_(split.bias.normal_())
    x = torch.randn(2, 12, 5, 4, 4)
    taps = split.taps(x.flatten(0, 1)).unflatten(0, (2, 12))
    want = split.norm(whole(x.transpose(1, 2))).relu().amax((3, 4)).transpose(1, 2)
    torch.testing.assert_close(split.combine(taps), want, rtol=1e-4, atol=1e-5)


def test_similarity_is_the_softmax_of_negative_squared_distances() -> None:
    layer = SelfSimilarity(num_frames=10, temperature=3.0)
    x = torch.randn(2, 10, 6, dtype=torch.float64).float()
    similarity, rows = layer(x)
    want = (-(torch.cdist(x.double(), x.double()) ** 2) / 3).softmax(-1)
    torch.testing.assert_close(similarity.double(), want, rtol=1e-5, atol=1e-7)
    # the row of a frame has the channel as its fastest index, as the released weights expect
    image = layer.conv(similarity[:, None]).relu()
    torch.testing.assert_close(rows[1, 3].view(10, 32), image[1, :, 3].T)


def test_similarity_is_stable_in_bfloat16() -> None:
    layer = SelfSimilarity(num_frames=8)
    # far from the origin the squared norms are huge and their difference small
    x = (100 + torch.randn(1, 8, 64)).bfloat16()
    with torch.autocast('cpu', dtype=torch.bfloat16):
        similarity, _ = layer(x)
    want = (-(torch.cdist(x.double(), x.double()) ** 2) / 13.544).softmax(-1)
    assert similarity.dtype == torch.float32
    torch.testing.assert_close(similarity.double(), want, rtol=0.05, atol=1e-3)


def test_lag_aligned_equals_a_loop() -> None:
    matrix = torch.rand(2, 8, 8)
    want = torch.zeros(2, 2, 8, 5)
    for frame in range(8):
        for lag in range(5):
            if frame + lag < 8:
                want[:, 0, frame, lag] = matrix[:, frame, frame + lag] * 2
            if frame - lag >= 0:
                want[:, 1, frame, lag] = matrix[:, frame, frame - lag] * 2
    torch.testing.assert_close(lag_aligned(matrix), want)


@pytest.mark.parametrize('align_lags', [False, True])
def test_sizes(align_lags: bool) -> None:
    output = small_model(align_lags=align_lags)(torch.randn(2, 3, 16, 32, 32))
    assert output.period_logits.shape == (2, 16, 8)
    assert output.periodicity_logits.shape == (2, 16)
    assert output.similarity.shape == (2, 16, 16)
    assert output.embeddings.shape == (2, 16, 8)


def test_every_parameter_is_trained() -> None:
    model = small_model(learn_temperature=True)
    losses = model(torch.randn(2, 3, 16, 32, 32), [labels(4.0), labels(0.0)], mode='loss')
    sum(losses.values()).backward()
    untrained = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert untrained == []


def test_learns_one_period() -> None:
    model = small_model(align_lags=True)
    cycle = torch.randn(4, 3, 32, 32)
    x = cycle[torch.arange(16) % 4].transpose(0, 1)[None]
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(60):
        optimizer.zero_grad()
        loss: Tensor = sum(model(x, [labels(4.0)], mode='loss').values())
        loss.backward()
        optimizer.step()
    output = model(x)
    assert (output.period_logits.argmax(-1) + 1).unique().tolist() == [4]
    assert (output.periodicity_logits > 0).all()


def test_predict_counts_a_video_of_another_length() -> None:
    samples = [BaseDataElement(metainfo={'fps': 30.0})]
    (sample,) = small_model().eval()(torch.randn(1, 3, 40, 32, 32), samples, mode='predict')
    assert sample.pred.num_frames == 40


@pytest.mark.parametrize(('stage', 'channels'), [(1, 64), (3, 256)])
def test_timm_encoder_is_cut_after_a_stage(stage: int, channels: int) -> None:
    encoder = TimmEncoder(name='resnet18', stage=stage)
    maps = encoder(torch.zeros(2, 3, 64, 64))
    assert maps.shape == (2, channels, 64 // 2 ** (stage + 1), 64 // 2 ** (stage + 1))
    assert encoder.num_channels == channels


def test_timm_encoder_reads_weights_from_a_file(tmp_path) -> None:
    import timm

    network = timm.create_model('resnet18')
    torch.save(network.state_dict(), tmp_path / 'resnet18.pth')
    encoder = TimmEncoder(name='resnet18', checkpoint=str(tmp_path / 'resnet18.pth'))
    torch.testing.assert_close(encoder.network.conv1.weight, network.conv1.weight)


@pytest.mark.parametrize(
    ('build', 'message'),
    [
        pytest.param(lambda: TimmEncoder(name='resnet51'), 'similar: .*resnet', id='timm-name'),
        pytest.param(
            lambda: TimmEncoder(name='resnet18', stage=9), r'stage must lie in 1\.\.4', id='stage'
        ),
        pytest.param(lambda: ConvEncoder(channels=()), 'at least one layer', id='no-channels'),
        pytest.param(lambda: small_model(temperature=0.0), 'above 0, got', id='temperature'),
        pytest.param(
            lambda: RepNet(encoder={'type': 'ConvEncoder'}, num_frames=15), 'even', id='odd-frames'
        ),
        pytest.param(
            lambda: small_model()(torch.zeros(1, 3, 12, 32, 32)),
            'num_frames=16 frames, got 12',
            id='window-length',
        ),
        pytest.param(
            lambda: small_model()(torch.zeros(1, 3, 16, 32, 32), mode='train'),
            "got mode='train'",
            id='mode',
        ),
        pytest.param(
            lambda: small_model()(torch.zeros(1, 3, 16, 32, 32), mode='loss'),
            'data_samples must be given',
            id='no-labels',
        ),
    ],
)
def test_wrong_use_is_refused(build, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build()
