"""Counting by time: any frame rate, even or not, in parts or whole."""

import numpy as np
import pytest
import torch

from projects.repnet.multirate import counting
from projects.repnet.multirate.counting import MultiRateCounter, count_by_time
from projects.repnet.multirate.decoding import MultiRateOptions
from projects.repnet.multirate.models import MultiRateRepNet
from projects.repnet.multirate.periods import period_to_bin
from projects.repnet.multirate.similarity import BINS, COLUMN

FPS = [10.0, 14.99, 24.0, 25.0, 29.97, 30.0, 50.0, 59.94, 90.0, 120.0, 240.0]


class Oracle:
    """Knows from each frame how long the cycle is, in samples; 0 if nothing repeats."""

    def encode_frames(self, frames):
        return frames

    def embed(self, maps):
        return maps

    def score_levels(self, levels, valid, starts):
        logits = []
        for i, level in enumerate(levels):
            period = level[0, ::COLUMN]
            place = period_to_bin(period.clamp_min(1e-3))
            first, size = (0, 2 * BINS) if i == 0 else ((i + 1) * BINS, BINS)
            bins = torch.arange(first, first + size)
            # shared between the two bins beside it, as in training
            share = (1 - (bins - place).abs()).clamp_min(0) * (period > 0)
            logits.append(torch.log(1e6 * share + 1e-6)[None])
        return logits


def count(times_s, period_s, *, fps, **options):
    """Count with the oracle in frames at some times; `period_s` tells the cycle at a time."""
    counter = MultiRateCounter(Oracle(), fps=fps, options=MultiRateOptions(**options))
    frames = [torch.tensor([period_s(t) * counter.rate_hz]) for t in times_s]
    for first in range(0, len(frames), 7):
        counter.push(frames[first : first + 7], times_s[first : first + 7])
    return counter


@pytest.mark.parametrize('fps', FPS)
@pytest.mark.parametrize('period_s', [0.5, 1.3, 10.0])
def test_the_count_does_not_depend_on_the_frame_rate(fps, period_s):
    times_s = np.arange(int(40 * fps)) / fps
    result = count(times_s, lambda t: period_s if 5 <= t < 35 else 0.0, fps=fps).result()
    # a level for long cycles knows less well when they begin and end
    assert result.count == pytest.approx(30 / period_s, abs=0.25 + 0.3 / period_s)
    middle = result.period_s_per_frame[len(times_s) // 2]
    assert middle == pytest.approx(period_s, rel=0.02)
    if period_s == 1.3:
        np.testing.assert_allclose(result.repetition_times_s, 5 + 1.3 * np.arange(1, 24), atol=0.6)


def test_a_variable_frame_rate_does_not_change_the_count():
    # a phone that films at 30 frames a second and, as it gets dark, at 10
    times_s = np.concatenate([np.arange(300) / 30, 10 + np.arange(100) / 10])
    result = count(times_s, lambda t: 1.0, fps=20.0).result()
    assert result.count == pytest.approx(20, abs=0.4)
    np.testing.assert_allclose(result.repetition_times_s, np.arange(1, 21), atol=0.3)
    away = np.abs(times_s - 10) > 1.5
    np.testing.assert_allclose(result.period_s_per_frame[away], 1.0, rtol=0.05)


@pytest.mark.parametrize('num_frames', [1, 5, 700, 1500])
def test_parts_give_what_the_whole_gives(num_frames):
    torch.manual_seed(0)
    encoder = {'type': 'ConvEncoder', 'channels': (4, 8)}
    model = MultiRateRepNet(encoder=encoder, embedding_dim=8, width=8).eval()
    frames = torch.randn(num_frames, 3, 16, 16)
    with torch.inference_mode():
        whole = model(frames.transpose(0, 1)[None])[0]
        counter = MultiRateCounter(model, fps=30.0, options=MultiRateOptions(frame_batch=50))
        for chunk in frames.split(33):
            counter.push([*chunk])
            if num_frames < 1000:
                # an answer on the way changes nothing
                counter.running()
        rest = counter._read_rest()
        expected = counting.decode_periods(whole, 0.5)
        np.testing.assert_allclose(rest.score, expected.score, atol=1e-4)
        assert counter.running().count == pytest.approx(counter.result().count, abs=0.05)
        at_once = count_by_time(model, frames, fps=30.0, options=MultiRateOptions())
        assert at_once.count == pytest.approx(counter.result().count, abs=1e-4)


def test_memory_stays_the_same(monkeypatch):
    monkeypatch.setattr(counting, 'OPEN_COLUMNS', 256)
    options = MultiRateOptions()
    counter = MultiRateCounter(Oracle(), fps=30.0, options=options, keep_rows=False)
    sizes = []
    for _ in range(60):
        counter.push([torch.tensor([30.0])] * 128)
        boards = sum(len(board.logits) for board in counter._boards[:6])
        kept = sum(len(level.rows) + len(level.maps) for level in counter._levels[:3])
        sizes.append((boards, kept, len(counter._times_s)))
    assert np.ptp([size[0] for size in sizes[40:]]) < 64
    assert np.ptp([size[1] for size in sizes[40:]]) < 64
    assert counter.running().count == pytest.approx(60 * 128 / 30, rel=0.01)


def test_no_frame_is_an_error():
    counter = MultiRateCounter(Oracle(), fps=30.0, options=MultiRateOptions())
    with pytest.raises(ValueError, match='at least one frame'):
        counter.running()
    streaming = MultiRateCounter(Oracle(), fps=30.0, options=MultiRateOptions(), keep_rows=False)
    streaming.push([torch.tensor([8.0])] * 40)
    with pytest.raises(ValueError, match='keep_rows=True'):
        streaming.result()
