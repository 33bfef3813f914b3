"""UntrimmedShapes: exact truth at any second, determinism, and what the videos promise."""

from itertools import pairwise

import numpy as np
import pytest

from mmotion.shapes import UntrimmedShapes, UntrimmedVideo
from mmotion.shapes.performers import Performer
from mmotion.shapes.timing import LONGEST_S, MAX_COUNT, SHORTEST_S


@pytest.fixture(scope='module')
def videos() -> list[UntrimmedVideo]:
    shapes = UntrimmedShapes(split='val', size=32)
    return [shapes[i] for i in range(200)]


def test_same_split_and_index_give_the_same_video() -> None:
    one, other = (UntrimmedShapes(split='train', size=32)[7] for _ in range(2))
    times = np.linspace(0, one.duration_s, 20)
    np.testing.assert_array_equal(one.render(times), other.render(times))
    np.testing.assert_array_equal(one.times_s, other.times_s)


def test_splits_and_indices_differ() -> None:
    first = UntrimmedShapes(split='train', size=32)
    second = UntrimmedShapes(split='test', size=32)
    rooms = [shapes[i].shots[0].room for shapes in (first, second) for i in range(10)]
    assert len({room.tobytes() for room in rooms}) == 20


def test_a_picture_does_not_depend_on_which_others_are_asked_for() -> None:
    shapes = UntrimmedShapes(split='val', size=32)
    for i in range(12):
        video = shapes[i]
        if video.noise:
            # each picture of a call takes other grains
            continue
        times = np.linspace(0, video.duration_s, 15)
        some = video.render(times[4:12:3])
        np.testing.assert_array_equal(some, video.render(times)[4:12:3])


def test_labels_agree_with_the_sets(videos: list[UntrimmedVideo]) -> None:
    for video in videos:
        labels = video.label()
        assert len(labels.cycles) == len(video) == len(video.times_s)
        assert np.all(np.diff(labels.cycles) >= 0)
        assert video.label(np.array([video.duration_s])).cycles[0] == pytest.approx(video.count)
        assert (labels.period_s[labels.repeats] > 0).all()
        assert not labels.period_s[~labels.repeats].any()
        for number, one in enumerate(video.sets, 1):
            at = labels.set_number == number
            assert ((video.times_s[at] >= one.start_s) & (video.times_s[at] < one.end_s)).all()
            # at the start of each cycle the phase is 0, and a count is whole
            starts = video.label(one.ends_s[:-1] + 1e-9)
            np.testing.assert_allclose(starts.phase, 0, atol=1e-6)
            np.testing.assert_allclose(starts.period_s, np.diff(one.ends_s))
        assert np.all((labels.phase >= 0) & (labels.phase < 1))


def test_integral_of_the_rate_is_the_count(videos: list[UntrimmedVideo]) -> None:
    for video in videos[:40]:
        times = np.linspace(0, video.duration_s, 20001)
        period = video.label(times).period_s
        rate = np.divide(1, period, out=np.zeros(len(times)), where=period > 0)
        assert rate.mean() * video.duration_s == pytest.approx(video.count, abs=0.1)


def test_times_and_lengths_are_in_their_ranges(videos: list[UntrimmedVideo]) -> None:
    for video in videos:
        assert 2 < video.duration_s < 1.1 * 90
        assert video.times_s[0] == 0
        assert (np.diff(video.times_s) > 0).all()
        assert video.times_s[-1] < video.duration_s + 1 / 20
        for one in video.sets:
            assert 2 <= one.count <= MAX_COUNT
            lengths = np.diff(one.ends_s)
            assert lengths.min() >= SHORTEST_S - 1e-9
            assert lengths.max() <= LONGEST_S + 1e-9
            assert one.start_s >= 0
            assert one.end_s <= video.duration_s + 1e-6
        for one, following in pairwise(video.sets):
            assert one.end_s <= following.start_s + 1e-9


def test_there_is_variety(videos: list[UntrimmedVideo]) -> None:
    repeating = [video for video in videos if video.count]
    assert 0.07 < 1 - len(repeating) / len(videos) < 0.22
    assert np.mean([len(video.sets) > 1 for video in repeating]) > 0.25
    assert np.mean([bool(video.timeline.cuts_s) for video in videos]) > 0.25
    assert sum(max(video.timeline.dissolves_s, default=0) > 0.2 for video in videos) > 10
    assert {round(video.fps) for video in videos} >= {10, 30, 60, 120, 240}
    uneven = [np.ptp(np.diff(video.times_s)) > 0.001 for video in videos]
    assert 0.1 < np.mean(uneven) < 0.4
    periods = [np.median(np.diff(video.sets[0].ends_s)) for video in repeating]
    assert np.percentile(periods, 5) < 0.6
    assert np.percentile(periods, 95) > 5
    assert len({video.name for video in videos}) > 35


def test_no_cut_and_no_dissolve_is_within_a_set(videos: list[UntrimmedVideo]) -> None:
    cuts = [
        (video, cut, length / 2)
        for video in videos
        for cut, length in zip(video.timeline.cuts_s, video.timeline.dissolves_s, strict=True)
    ]
    assert len(cuts) > 60
    for video, cut, half in cuts:
        for one in video.sets:
            assert cut + half <= one.start_s + 1e-6 or cut - half >= one.end_s - 1e-6


def test_the_picture_changes_at_a_hard_cut_and_mixes_in_a_dissolve(
    videos: list[UntrimmedVideo],
) -> None:
    hard, soft = 0, 0
    for video in videos:
        for cut, length in zip(video.timeline.cuts_s, video.timeline.dissolves_s, strict=True):
            if length > 0.2 and not video.held_s and not video.noise:
                moments = cut + length * np.array([-0.51, 0, 0.51])
                before, middle, after = video.render(moments).astype(float)
                apart = np.abs(after - before).mean()
                if apart > 10:
                    soft += np.abs(middle - (before + after) / 2).mean() < 0.5 * apart
            elif not length and not video.held_s:
                before, after = video.render(np.array([cut - 1e-3, cut + 1e-3])).astype(float)
                hard += np.abs(after - before).mean() > 3
    assert hard > 15
    assert soft > 3


def find_mover(video: UntrimmedVideo, number: int) -> Performer | None:
    """The person who does a set, if it is one."""
    one = video.sets[number]
    shot = video.shots[int(np.searchsorted(video.timeline.cuts_s, one.start_s, 'right'))]
    for performer in shot.performers:
        if isinstance(performer, Performer) and any(
            s is one for s in performer.motion.timeline.sets
        ):
            return performer
    return None


def drawn_path(performer: Performer, times: np.ndarray) -> np.ndarray:
    """Where its joints are in the picture (N, J * 2), in heights of the person."""
    joints = np.stack(list(performer.joints(times).values()), 1)
    places, _ = performer.view.project(joints)
    return places.reshape(len(times), -1) / performer.view.scale


def test_drawn_joints_are_back_after_a_cycle_and_not_before(videos: list[UntrimmedVideo]) -> None:
    """A whole cycle later everything is where it was; half a cycle later something is not."""
    back, away = [], []
    for video in videos:
        for number, one in enumerate(video.sets):
            performer = find_mover(video, number)
            # who holds for long may be at the same place half a cycle later
            if performer is None or one.holds.max() > 0.3 or not one.count >= 3:
                continue
            cycles = np.linspace(0, one.count - 1, 40, endpoint=False)

            def moments(cycles: np.ndarray, one=one) -> np.ndarray:
                return np.interp(cycles, np.arange(one.count + 1), one.ends_s)

            here, later, half = (
                drawn_path(performer, moments(cycles + shift)) for shift in (0, 1, 0.5)
            )
            size = here.std(0).max()
            if size > 0.03:
                back.append(np.abs(later - here).mean(0).max() / size)
                away.append(np.abs(half - here).mean(0).max() / size)
    assert len(back) > 80
    assert np.median(back) < 0.15
    assert np.percentile(back, 95) < 0.4
    assert np.percentile(away, 5) > 0.3


def autocorrelation_peak(curve: np.ndarray, shortest: int) -> tuple[float, int]:
    """Highest peak of the autocorrelation beyond its first zero, and its lag."""
    curve = curve - curve.mean()
    size = len(curve)
    result = np.correlate(curve, curve, 'full')[size - 1 :] / (np.arange(size, 0, -1) / size)
    result = result[: size * 2 // 3] / result[0]
    negative = np.flatnonzero(result < 0)
    start = max(negative[0] if len(negative) else len(result), shortest)
    if start >= len(result) - 1:
        return 0.0, 0
    lag = start + int(result[start:].argmax())
    return float(result[lag]), lag


def test_period_of_the_label_is_that_of_the_drawn_motion(videos: list[UntrimmedVideo]) -> None:
    ratios = []
    for video in videos:
        for number, one in enumerate(video.sets):
            performer = find_mover(video, number)
            lengths = np.diff(one.ends_s)
            if performer is None or one.count < 4 or np.ptp(lengths) > 0.15 * lengths.mean():
                continue
            times = np.linspace(one.start_s, one.end_s, 40 * one.count, endpoint=False)
            path = drawn_path(performer, times)
            path = path - path.mean(0)
            # all joints together: one limb alone may come twice a cycle
            gram = path @ path.T
            means = [np.trace(gram, lag) / (len(times) - lag) for lag in range(len(times) // 2)]
            search = slice(30, 50)
            lag = search.start + int(np.argmax(means[search]))
            ratios.append(lag * (times[1] - times[0]) / lengths.mean())
    assert len(ratios) > 30
    assert np.mean(np.abs(np.log(ratios)) < 0.06) > 0.95


def test_what_is_said_not_to_repeat_does_not(videos: list[UntrimmedVideo]) -> None:
    peaks = []
    for video in videos:
        for shot in video.shots:
            for performer in shot.performers:
                if not isinstance(performer, Performer) or performer.motion.timeline.sets:
                    continue
                start, end = performer.motion.rest.x[[0, -1]]
                if end - start < 8:
                    continue
                path = drawn_path(performer, np.linspace(start, end, 400))
                peaks.append(autocorrelation_peak(path[:, path.std(0).argmax()], 20)[0])
    assert len(peaks) > 20
    assert np.median(peaks) < 0.45
    assert np.mean(np.array(peaks) > 0.7) < 0.1


def test_moments_in_disorder_are_refused(videos: list[UntrimmedVideo]) -> None:
    with pytest.raises(ValueError, match='times_s must be in ascending order'):
        videos[0].render(np.array([1.0, 0.5]))


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        pytest.param({'split': 'training'}, "one of .* got split='training'", id='split'),
        pytest.param({'size': 8}, 'at least 16, got size=8', id='size'),
        pytest.param({'duration_s': (9, 3)}, r'got duration_s=\(9, 3\)', id='duration'),
    ],
)
def test_wrong_options_are_refused(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        UntrimmedShapes(**options)


def test_negative_index_is_refused() -> None:
    with pytest.raises(ValueError, match='at least 0, got index=-1'):
        UntrimmedShapes()[-1]
