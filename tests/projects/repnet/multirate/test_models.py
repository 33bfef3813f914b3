"""MultiRateRepNet learns from videos of any length and counts in frames."""

import pytest
import torch
from mmengine.structures import BaseDataElement

from projects.repnet.multirate.models import MultiRatePreprocessor, MultiRateRepNet

ENCODER = {'type': 'ConvEncoder', 'channels': (4, 8)}


def make_model() -> MultiRateRepNet:
    torch.manual_seed(0)
    return MultiRateRepNet(encoder=ENCODER, embedding_dim=8, width=8)


def make_video(size: int, period: float) -> tuple[torch.Tensor, BaseDataElement]:
    """Noise that repeats, 0 for never, (3, N, 16, 16), and its label."""
    frames = torch.randn(3, int(period) or size, 16, 16)
    frames = frames.repeat(1, -(-size // frames.shape[1]), 1, 1)[:, :size]
    return frames, BaseDataElement(gt_period=torch.full((size,), period))


def test_the_loss_of_some_videos_is_the_mean_over_their_columns():
    model = make_model().eval()
    (one, a), (other, b) = make_video(64, 10.0), make_video(200, 0.0)
    both = model([one, other], [a, b], mode='loss')['loss']
    alone = [model([v], [s], mode='loss')['loss'] for v, s in ((one, a), (other, b))]
    # padding of the shorter one changes nothing but the levels that it lacks, which never answer
    expected = (16 * alone[0] + 50 * alone[1]) / 66
    assert both.item() == pytest.approx(expected.item(), rel=0.05)
    both.backward()
    assert model.similarity.weight.grad is not None
    assert model.encoder[0].weight.grad.abs().max() > 0


def test_it_learns_to_tell_what_repeats():
    model = make_model().eval()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    (one, a), (other, b) = make_video(96, 12.0), make_video(96, 0.0)
    losses = []
    for _ in range(25):
        loss = model([one, other], [a, b], mode='loss')['loss']
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.3 * losses[0]


def test_videos_that_are_learned_from_may_differ_in_length():
    preprocessor = MultiRatePreprocessor(mean=[127.5] * 3, std=[127.5] * 3)
    videos = [torch.full((3, size, 2, 2), 255, dtype=torch.uint8) for size in (1, 4)]
    prepared = preprocessor({'inputs': videos}, training=True)['inputs']
    assert [tuple(video.shape) for video in prepared] == [(3, 1, 2, 2), (3, 4, 2, 2)]
    assert prepared[1].unique().tolist() == [1.0]
    assert preprocessor({'inputs': videos[:1]})['inputs'].unique().tolist() == [1.0]


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
