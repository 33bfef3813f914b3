import math
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.ndimage import median_filter

from projects.repnet import counting
from projects.repnet.counting import (
    CountingOptions,
    RepetitionCounter,
    Totals,
    count_repetitions,
    read_logits,
)
from projects.repnet.models import RepNet

GOLDEN = np.load(Path(__file__).with_name('data') / 'golden.npz')
STRIDES = (1, 2, 3, 4, 8)


def count(model, frames, fps=30.0, **options):
    return count_repetitions(model, frames, fps=fps, options=CountingOptions(**options))


# the maths on logits


@pytest.mark.parametrize('case', range(13))
def test_read_logits_equals_the_reference(case):
    stride, threshold = GOLDEN['counts.cases'][case]
    stride = int(stride)
    rows = read_logits(
        torch.from_numpy(GOLDEN[f'counts.in.c{case}.period_length_logits']),
        torch.from_numpy(GOLDEN[f'counts.in.c{case}.periodicity_logits'][:, 0]),
        CountingOptions(threshold=threshold),
    )
    rate, score = np.repeat(rows.rate / stride, stride), np.repeat(rows.score, stride)

    def expected(name):
        return GOLDEN[f'counts.out.c{case}.{name}']

    np.testing.assert_allclose(np.cumsum(rate), expected('period_count'), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(score, expected('periodicity_score'), atol=1e-6)
    np.testing.assert_allclose(score.mean(), expected('confidence')[0], atol=1e-6)
    np.testing.assert_allclose(1 / (rate.mean() + 1e-6), expected('period_length')[0], rtol=1e-5)


def test_expected_period_is_the_mean_over_neighbouring_classes():
    # classes 8, 9, 10 (periods 9, 10, 11) share the mass as 1 : 2 : 1.5, class 20 has the rest
    weight = torch.full((1, 32), 1e-9)
    weight[0, 8:11] = torch.tensor([1.0, 2.0, 1.5])
    weight[0, 20] = 1.9
    rows = read_logits(
        weight.log(), torch.tensor([50.0]), CountingOptions(period_estimate='expected', threshold=0)
    )
    assert rows.rate[0] == pytest.approx(4.5 / (9 * 1 + 10 * 2 + 11 * 1.5), rel=1e-5)
    # the belief is that of the likeliest class alone
    assert rows.score[0] == pytest.approx(math.sqrt(2 / 6.4), rel=1e-5)


def test_expected_period_at_the_last_class_has_one_neighbour():
    weight = torch.full((1, 32), 1e-9)
    weight[0, 30:] = torch.tensor([1.0, 3.0])
    options = CountingOptions(period_estimate='expected')
    rows = read_logits(weight.log(), torch.tensor([50.0]), options)
    assert rows.rate[0] == pytest.approx(1 / 31.75, rel=1e-5)


def test_median_filter_removes_short_bursts():
    logits = torch.full((64, 32), -50.0)
    logits[:, 7] = 50.0
    logits[40:42, 7], logits[40:42, 3] = -50.0, 50.0
    periodicity = torch.full((64,), 50.0)
    periodicity[10:12] = -50.0
    plain = read_logits(logits, periodicity, CountingOptions())
    smooth = read_logits(logits, periodicity, CountingOptions(median_filter=True))
    assert (plain.rate[10:12] == 0).all() and (plain.rate[40:42] == 1 / 4).all()
    np.testing.assert_array_equal(smooth.rate, np.full(64, 1 / 8))


def test_median_filter_equals_scipys():
    generator = torch.Generator().manual_seed(0)
    logits = 6 * torch.randn(3, 64, 32, generator=generator)
    periodicity = 2 * torch.randn(3, 64, generator=generator)
    plain = read_logits(logits, torch.full_like(periodicity, 50.0), CountingOptions(threshold=0))
    score = read_logits(logits, periodicity, CountingOptions()).score
    rate = np.where(logits.argmax(-1).numpy() >= 2, plain.rate, 0)
    options = {'size': (1, 5), 'mode': 'nearest'}
    expected = median_filter(rate, **options) * median_filter((score >= 0.5) * 1.0, **options)
    smooth = read_logits(logits, periodicity, CountingOptions(median_filter=True))
    np.testing.assert_allclose(smooth.rate, expected, atol=1e-7)


# whole videos, with a network that is always right


@pytest.mark.parametrize(
    ('parts', 'expected', 'stride'),
    [
        pytest.param([(200, 20)], 10, 1, id='10 cycles of 20 frames'),
        pytest.param([(440, 44)], 10, 2, id='10 slow cycles need stride 2'),
        pytest.param([(2400, 240)], 10, 8, id='10 very slow cycles need stride 8'),
        pytest.param([(100, 0), (200, 20), (101, 0)], 10, 1, id='with pauses'),
        pytest.param([(100, 10), (100, 20)], 15, 1, id='change of speed'),
        pytest.param([(40, 10)], 4, 1, id='shorter than a window'),
        pytest.param([(64, 16)], 4, 1, id='one window'),
        pytest.param([(65, 13)], 5, 1, id='one window and a frame'),
        pytest.param([(127, 10)], 12.7, 1, id='a part of a cycle at the end'),
        pytest.param([(300, 0)], 0, 1, id='nothing repeats'),
        pytest.param([(300, 2)], 0, 1, id='too fast'),
        pytest.param([(1, 10)], 0, 1, id='one frame'),
    ],
)
def test_count(make_oracle, make_tensor, parts, expected, stride):
    result = count(make_oracle(), make_tensor(*parts))
    assert result.count == pytest.approx(expected, abs=1e-9)
    assert result.stride == stride
    assert result.strides == STRIDES
    assert result.num_frames == sum(length for length, _ in parts)
    # half a cycle's tolerance at the end
    assert len(result.repetition_times_s) == round(expected)


def test_result_of_a_video_with_pauses(make_oracle, make_tensor):
    result = count(make_oracle(), make_tensor((90, 0), (120, 15), (60, 0), (120, 30), (30, 0)))
    assert [(s.start_s, s.end_s, s.count) for s in result.segments] == [
        (3.0, 7.0, pytest.approx(8)),
        (9.0, 13.0, pytest.approx(4)),
    ]
    np.testing.assert_allclose(
        result.repetition_times_s, [*np.arange(3.5, 7.25, 0.5), 10, 11, 12, 13], atol=1e-5
    )
    period = result.period_s_per_frame
    assert np.isnan(period[:90]).all() and np.isnan(period[210:270]).all()
    np.testing.assert_allclose(period[90:210], 0.5)
    np.testing.assert_allclose(period[270:390], 1.0)
    assert result.confidence == pytest.approx(240 / 420)


def test_fps_scales_times_and_not_the_count(make_oracle, make_tensor):
    frames = make_tensor((200, 20))
    slow, fast = (count(make_oracle(), frames, fps=fps) for fps in (10.0, 29.97))
    assert slow.count == fast.count
    np.testing.assert_allclose(slow.period_s_per_frame, 2.0)
    np.testing.assert_allclose(fast.period_s_per_frame, 20 / 29.97)


def test_video_threshold_needs_a_confident_video(make_oracle, make_tensor):
    # half of the frames repeat: the mean score is 0.5
    frames = make_tensor((128, 16), (128, 0))
    assert count(make_oracle(), frames, strides=(1,), video_threshold=0.49).count == pytest.approx(
        8
    )
    below = count(make_oracle(), frames, strides=(1,), video_threshold=0.51)
    assert below.count == 0 and below.segments == () and np.isnan(below.period_s_per_frame).all()
    assert below.confidence == pytest.approx(0.5)


def test_confidence_curve_turns_certainty_into_probability():
    """Sure that nothing repeats is as certain as sure that something does."""
    totals = [
        Totals(count=9.0, mean_score=0.9, mean_square=0.81, certainty=0.9),
        Totals(count=0.0, mean_score=0.1, mean_square=0.01, certainty=0.9),
        Totals(count=5.0, mean_score=0.5, mean_square=0.25, certainty=0.5),
    ]
    raw = [total.confidence(CountingOptions()) for total in totals]
    assert raw == [0.9, 0.1, 0.5]
    # 1 / (1 + exp(-(10 * 0.9 - 5))) and 1 / (1 + exp(0))
    curve = CountingOptions(confidence_curve=(10.0, -5.0))
    expected = pytest.approx([0.98201, 0.98201, 0.5], abs=1e-5)
    assert [total.confidence(curve) for total in totals] == expected


def test_confidence_of_a_video_is_read_from_its_certainty(make_oracle, make_tensor):
    # the oracle is sure of every frame: certainty 1, whether it repeats or not
    curve = (10.0, -8.0)
    for parts in ([(128, 16)], [(128, 0)], [(128, 16), (128, 0)]):
        result = count(make_oracle(), make_tensor(*parts), confidence_curve=curve)
        assert result.confidence == pytest.approx(1 / (1 + math.exp(-2)))


@pytest.mark.parametrize(
    ('length', 'used'),
    [
        pytest.param(63, 0, id='no window'),
        pytest.param(127, 64, id='one window'),
        pytest.param(128, 128, id='two windows'),
    ],
)
def test_tail_drop_leaves_frames_out_as_the_reference_does(make_oracle, make_tensor, length, used):
    result = count(make_oracle(), make_tensor((length, 8)), strides=(1,), tail='drop')
    assert result.count == pytest.approx(used / 8)
    assert result.num_frames == length
    assert np.isnan(result.period_s_per_frame[used:]).all()
    assert result.confidence == (1 if used else 0)


def test_whole_video_equals_the_reference(monkeypatch):
    """The recorded logits of the reference, given back window by window."""
    monkeypatch.setattr(counting, 'WINDOW_BATCH', 1)

    class Replay:
        num_frames = 64

        def encode_frames(self, frames):
            return frames[:, 0, 0, 0]

        def score_windows(self, maps):
            stride = int(maps[0, 1] - maps[0, 0])
            first = int(maps[0, 0]) // stride
            logits = GOLDEN[f'video.stride{stride}.period_length_logits'][first : first + 64]
            score = GOLDEN[f'video.stride{stride}.periodicity_logits'][first : first + 64, 0]
            return SimpleNamespace(
                period_logits=torch.from_numpy(logits)[None],
                periodicity_logits=torch.from_numpy(score)[None],
            )

    frames = torch.arange(200.0).reshape(200, 1, 1, 1).expand(-1, 3, 1, 1)
    result = count(Replay(), frames, tail='drop')
    # stated in the meta data of the golden file
    assert result.stride == 3
    assert result.confidence == pytest.approx(0.9382648467, abs=1e-6)
    np.testing.assert_allclose(
        result.count_per_frame[:192], GOLDEN['video.period_count'], rtol=1e-5, atol=1e-6
    )
    np.testing.assert_allclose(
        result.periodicity_per_frame[:192], GOLDEN['video.periodicity_score'], atol=1e-6
    )
    np.testing.assert_array_equal(result.count_per_frame[192:], result.count_per_frame[191])


# one pass over the frames, however they come


@pytest.fixture(scope='module')
def repnet():
    torch.manual_seed(0)
    model = RepNet(
        encoder=dict(type='ConvEncoder', channels=(8, 16)),
        embedding_dim=16,
        similarity=dict(channels=4, temperature=0.5),
        head=dict(width=16),
    )
    # untrained heads are sure of nothing; a gain makes windows disagree
    with torch.no_grad():
        model.period_head.layers[-1].weight *= 30
        model.periodicity_head.layers[-1].weight *= 5
        model.periodicity_head.layers[-1].bias += 2
    return model.eval()


def count_window_by_window(model, frames, options):
    """Slow and plain: each window is cut out of the video and encoded alone."""
    answers = []
    for stride in options.strides:
        strided = frames[::stride]
        num_rows = len(strided)
        padded = torch.cat([strided, strided[-1:].expand(max(64 - num_rows, 0), -1, -1, -1)])
        rate, score = np.zeros(num_rows), np.zeros(num_rows)
        starts = [*range(0, len(padded) - 63, 64)]
        if starts[-1] + 64 < len(padded):
            starts.append(len(padded) - 64)
        # from the last window to the first: earlier windows win where two overlap
        for start in reversed(starts):
            with torch.no_grad():
                output = model.score_windows(model.encode_frames(padded[start : start + 64])[None])
            rows = read_logits(output.period_logits[0], output.periodicity_logits[0], options)
            stop = min(start + 64, num_rows)
            rate[start:stop] = rows.rate[: stop - start]
            score[start:stop] = rows.score[: stop - start]
        rate = np.repeat(rate / stride, stride)[: len(frames)]
        score = np.repeat(score, stride)[: len(frames)]
        answers.append((score.mean(), np.cumsum(rate), score, stride))
    return max(answers, key=lambda answer: answer[0])


@pytest.mark.parametrize('num_frames', [300, 64, 5], ids=lambda n: f'{n} frames')
def test_count_equals_window_by_window(repnet, num_frames):
    frames = torch.rand(num_frames, 3, 32, 32) * 2 - 1
    options = CountingOptions(threshold=0.3, period_estimate='expected')
    confidence, counts, score, stride = count_window_by_window(repnet, frames, options)
    result = count_repetitions(repnet, frames, fps=30.0, options=options)
    assert result.stride == stride
    assert result.confidence == pytest.approx(confidence, abs=1e-4)
    np.testing.assert_allclose(result.count_per_frame, counts, atol=1e-4)
    np.testing.assert_allclose(result.periodicity_per_frame, score, atol=1e-4)
    # the comparison means something
    assert num_frames < 64 or 0 < counts[-1] < num_frames / 4


def test_batch_sizes_do_not_change_the_count(repnet, monkeypatch):
    frames = torch.rand(200, 3, 32, 32) * 2 - 1
    results = []
    for frame_batch, window_batch in ((1, 1), (50, 3)):
        monkeypatch.setattr(counting, 'WINDOW_BATCH', window_batch)
        results.append(count(repnet, frames, threshold=0.3, frame_batch=frame_batch))
    one, other = results
    np.testing.assert_allclose(one.count_per_frame, other.count_per_frame, atol=1e-4)


def test_each_frame_is_encoded_once(make_oracle, make_tensor):
    model = make_oracle()
    count(model, make_tensor((300, 10)))
    assert model.num_encoded == 300
    # 5 + 3 + 2 + 2 + 1 windows at strides 1, 2, 3, 4, 8
    assert model.num_windows == 13


def test_frames_that_no_stride_looks_at_are_not_encoded(make_oracle, make_tensor):
    model = make_oracle()
    result = count(model, make_tensor((300, 30)), strides=(4, 6))
    assert model.num_encoded == 100
    # 30 frames are 7.5 rows at stride 4, answered with 8; and at stride 6 the tie is lost
    assert result.stride == 4


@pytest.mark.parametrize(('tolerance', 'stride'), [(0.0, 4), (0.1, 2)])
def test_tolerance_prefers_the_smaller_of_nearly_equal_strides(
    make_oracle, make_tensor, tolerance, stride
):
    model = make_oracle()
    score_windows = model.score_windows

    def less_sure_at_stride_two(maps):
        output = score_windows(maps)
        # a score of 0.96
        output.periodicity_logits[maps[:, 1, 0] - maps[:, 0, 0] == 2] = 2.5
        return output

    model.score_windows = less_sure_at_stride_two
    frames = make_tensor((300, 30))
    result = count(model, frames, strides=(4, 2), stride_tolerance=tolerance)
    assert result.stride == stride


@pytest.mark.parametrize(('score', 'stride', 'expected'), [('mean', 4, 7.5), ('mean_square', 1, 6)])
def test_mean_square_believes_sure_frames_before_many_half_sure_ones(
    make_oracle, make_tensor, score, stride, expected
):
    model = make_oracle()
    score_windows = model.score_windows

    def half_sure_of_everything_at_stride_four(maps):
        output = score_windows(maps)
        coarse = maps[:, 1, 0] - maps[:, 0, 0] == 4
        # a period of 8 rows, with a score of 0.707
        output.period_logits[coarse] = -50.0
        output.period_logits[coarse, :, 7] = 50.0
        output.periodicity_logits[coarse] = 0.0
        return output

    model.score_windows = half_sure_of_everything_at_stride_four
    # at stride 1 the mean score is 0.6, and so is the mean of its square
    frames = make_tensor((144, 24), (96, 0))
    result = count(model, frames, strides=(1, 4), stride_score=score)
    assert result.stride == stride
    assert result.count == pytest.approx(expected)
    assert result.confidence == pytest.approx(0.6 if stride == 1 else math.sqrt(0.5))


@pytest.mark.parametrize('tail', ['overlap', 'drop'])
@pytest.mark.parametrize('score', ['mean', 'mean_square'])
def test_running_count_equals_the_count_of_what_was_seen(make_oracle, make_tensor, tail, score):
    frames = make_tensor((90, 15), (70, 0), (140, 50))
    options = CountingOptions(tail=tail, stride_score=score, video_threshold=0.7)
    counter = RepetitionCounter(make_oracle(), fps=30.0, options=options, keep_rows=False)
    for stop in range(7, 301, 7):
        counter.push(frames[stop - 7 : stop])
        running = counter.running()
        whole = count_repetitions(make_oracle(), frames[:stop], fps=30.0, options=options)
        assert running.count == pytest.approx(whole.count, abs=1e-9)
        assert running.repetitions == whole.repetitions
        assert running.confidence == pytest.approx(whole.confidence, abs=1e-9)
        assert running.stride == whole.stride
        assert running.num_frames == stop
        assert running.time_s == pytest.approx(stop / 30)
        if tail == 'overlap':
            assert running.period_s == pytest.approx(whole.period_s_per_frame[-1], nan_ok=True)
            assert running.periodicity == pytest.approx(whole.periodicity_per_frame[-1])


def test_memory_of_a_stream_is_bounded(make_oracle, make_tensor):
    counter = RepetitionCounter(make_oracle(), fps=30.0, options=CountingOptions(), keep_rows=False)
    frames = make_tensor((64, 16))
    for _ in range(100):
        counter.push(frames)
    for track in counter._tracks:
        assert len(track.maps) == 64 and track.kept is None
        # a view would hold the maps of all frames that were encoded together
        assert all(encoded.untyped_storage().nbytes() == 8 for encoded in track.maps)
    assert len(counter._queue) < counting.WINDOW_BATCH
    with pytest.raises(ValueError, match='keep_rows=True; use running'):
        counter.result()


def test_start_time_shifts_all_times(make_oracle, make_tensor):
    options = CountingOptions()
    counter = RepetitionCounter(make_oracle(), fps=10.0, options=options, start_s=5.0)
    counter.push(make_tensor((100, 20)))
    result = counter.result()
    assert result.start_s == 5
    assert (result.segments[0].start_s, result.segments[0].end_s) == (5, 15)
    np.testing.assert_allclose(result.repetition_times_s, [7, 9, 11, 13, 15], atol=1e-5)
    assert counter.running().time_s == 15


# bad input


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        pytest.param({'strides': ()}, 'different whole numbers from 1 on', id='no stride'),
        pytest.param({'strides': (0, 1)}, r'got strides=\(0, 1\)', id='stride 0'),
        pytest.param({'strides': (1, 1)}, 'different whole numbers', id='a stride twice'),
        pytest.param({'threshold': 1.5}, r'threshold must lie in \[0, 1\]', id='threshold'),
        pytest.param({'video_threshold': -1}, 'got video_threshold=-1', id='video threshold'),
        pytest.param({'stride_score': 'max'}, "got stride_score='max'", id='stride score'),
        pytest.param({'period_estimate': 'mean'}, "got period_estimate='mean'", id='estimate'),
        pytest.param({'tail': 'keep'}, 'tail must be one of overlap, drop', id='tail'),
        pytest.param({'confidence_curve': (1,)}, 'a slope and an offset, got', id='curve'),
        pytest.param({'frame_batch': 0}, 'frame_batch must be at least 1', id='frame batch'),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        CountingOptions(**options)


@pytest.mark.parametrize('fps', [0, -1.0, math.nan, math.inf])
def test_bad_fps(make_oracle, make_tensor, fps):
    with pytest.raises(ValueError, match='fps must be above 0 and finite'):
        count(make_oracle(), make_tensor((10, 5)), fps=fps)


def test_no_frames(make_oracle):
    with pytest.raises(ValueError, match='at least one frame to be counted, got none'):
        count(make_oracle(), torch.zeros(0, 3, 4, 4))


def test_scores_that_are_not_finite_are_no_count(make_oracle, make_tensor, monkeypatch):
    oracle = make_oracle()
    score_windows = oracle.score_windows

    def score_badly(maps):
        scored = score_windows(maps)
        scored.period_logits = scored.period_logits * math.nan
        return scored

    monkeypatch.setattr(oracle, 'score_windows', score_badly)
    with pytest.raises(ValueError, match=r'scores of the strides must be finite, got .*nan'):
        count(oracle, make_tensor((100, 10)))
