"""MultiRateRepNet trains on embedded videos and counts in frames."""

import pytest
import torch
from mmengine.structures import BaseDataElement

from projects.repnet.multirate.data import list_levels
from projects.repnet.multirate.models import MultiRatePreprocessor, MultiRateRepNet

ENCODER = {'type': 'ConvEncoder', 'channels': (4, 8)}


def make_model() -> MultiRateRepNet:
    torch.manual_seed(0)
    return MultiRateRepNet(encoder=ENCODER, embedding_dim=8, width=8)


def make_sample(size: int, period: float) -> tuple[torch.Tensor, BaseDataElement]:
    sizes = list_levels(size)
    sample = BaseDataElement(metainfo={'level_sizes': sizes}, gt_period=torch.full((size,), period))
    return torch.randn(sum(sizes), 8), sample


def test_the_loss_of_some_videos_is_the_mean_over_their_columns():
    model = make_model()
    (one, a), (other, b) = make_sample(64, 10.0), make_sample(200, 0.0)
    both = model([one, other], [a, b], mode='loss')['loss']
    alone = [model([v], [s], mode='loss')['loss'] for v, s in ((one, a), (other, b))]
    # padding of the shorter one changes nothing but the levels that it lacks, which never answer
    expected = (16 * alone[0] + 50 * alone[1]) / 66
    assert both.item() == pytest.approx(expected.item(), rel=0.05)
    both.backward()
    assert model.similarity.weight.grad is not None


def test_it_learns_to_tell_what_repeats():
    model = make_model()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    phase = 2 * torch.pi * torch.arange(96) / 12
    rows = 3 * torch.stack([f(k * phase) for k in (1, 2, 3, 4) for f in (torch.sin, torch.cos)], -1)
    periodic = torch.cat([rows[:: 2**i] for i in range(len(list_levels(96)))])
    _, a = make_sample(96, 12.0)
    other, b = make_sample(96, 0.0)
    losses = []
    for _ in range(25):
        loss = model([periodic, 3 * other], [a, b], mode='loss')['loss']
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.3 * losses[0]


def test_frames_are_normalised_and_embedded_videos_are_not():
    preprocessor = MultiRatePreprocessor(mean=[127.5] * 3, std=[127.5] * 3)
    rows = torch.full((5, 8), 2.0)
    assert preprocessor({'inputs': [rows]}, training=True)['inputs'][0] is rows
    frames = torch.full((3, 1, 2, 2), 255, dtype=torch.uint8)
    assert preprocessor({'inputs': [frames]})['inputs'].unique().tolist() == [1.0]


def test_a_video_is_counted_whole():
    model = make_model().eval()
    frames = torch.randn(1, 3, 40, 16, 16)
    assert model(frames).shape == (1, 10, 16 + 8)
    (sample,) = model(frames, [BaseDataElement(metainfo={'fps': 30.0})], mode='predict')
    assert len(sample.pred.count_per_frame) == 40


def test_wrong_modes_are_refused():
    with pytest.raises(ValueError, match="mode must be 'tensor', 'loss' or 'predict'"):
        make_model()([], [], mode='other')
    with pytest.raises(ValueError, match='data_samples must be given'):
        make_model()([], mode='loss')
