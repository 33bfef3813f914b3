import numpy as np
import pytest

from mmotion.keypoints.poses import Person
from mmotion.keypoints.tracking import PoseTracker, choose_people, find_box, measure_iou


def stand(x: float, *, y: float = 50.0, size: float = 20.0, score: float = 0.9) -> Person:
    """Somebody whose box has its centre at (x, y)."""
    box = np.array([x - size / 2, y - size, x + size / 2, y + size])
    return Person(keypoints=np.full((17, 2), (x, y)), scores=np.ones(17), score=score, box_xyxy=box)


def follow(frames: list[list[Person]], **options) -> list[list[int | None]]:
    """Numbers of the people of each frame."""
    tracker = PoseTracker(**options)
    return [[person.track for person in tracker.update(people)] for people in frames]


def cross(hidden: range = range(0), speed: float = 6.0) -> list[list[Person]]:
    """Two people who walk past each other; the second one is hidden in some frames."""
    frames = []
    for time in range(20):
        people = [stand(speed * time), stand(114 - speed * time)]
        # the order in which a detector names them means nothing
        people = people[:1] if time in hidden else people
        frames.append(people if time % 3 else people[::-1])
    return frames


def list_numbers(frames: list[list[Person]], numbers: list[list[int | None]]) -> list[set]:
    """Numbers that the one who walks right and the one who walks left had."""
    had: list[set] = [set(), set()]
    for time, (people, row) in enumerate(zip(frames, numbers, strict=True)):
        for person, number in zip(people, row, strict=True):
            had[float(person.keypoints[0, 0]) != 6.0 * time].add(number)
    return had


def test_people_who_cross_keep_their_numbers():
    frames = cross()
    numbers = follow(frames)
    # the second of the first frame is called 0, as it is named first there
    assert list_numbers(frames, numbers) == [{1}, {0}]


def test_somebody_who_is_hidden_while_crossing_keeps_the_number():
    frames = cross(hidden=range(8, 12))
    assert list_numbers(frames, follow(frames)) == [{1}, {0}]


def test_who_is_away_for_longer_gets_a_new_number():
    frames = cross(hidden=range(6, 13))
    assert list_numbers(frames, follow(frames, max_gap=5)) == [{1}, {0, 2}]
    assert list_numbers(frames, follow(frames, max_gap=7)) == [{1}, {0}]


def test_who_meets_and_turns_back_while_hidden_takes_the_other_number():
    frames = [[stand(40 + 5 * t, size=30), stand(80 - 5 * t, size=30)] for t in range(4)]
    # for 2 frames one hides the other, then both are back where they came from
    frames += [[stand(60, size=30)]] * 2 + [[stand(45, size=30), stand(75, size=30)]]
    assert follow(frames)[-1] == [1, 0]


def test_nobody_and_somebody_without_points_are_no_error():
    empty = Person(keypoints=np.full((17, 2), np.nan), scores=np.zeros(17), score=0.5)
    assert follow([[], [empty], [empty, stand(5)], []]) == [[], [0], [1, 2], []]
    assert np.isnan(find_box(empty)).all()


def test_persons_without_boxes_are_followed_by_their_points():
    points = np.array([[10.0, 20.0], [30.0, 60.0], [np.nan, np.nan]])
    person = Person(keypoints=points, scores=np.ones(3), score=1.0)
    assert find_box(person).tolist() == [10, 20, 30, 60]
    assert follow([[person], [person]]) == [[0], [0]]


def test_a_person_is_kept_as_it_was():
    before = stand(10)
    after = PoseTracker().update([before])[0]
    np.testing.assert_array_equal(after.keypoints, before.keypoints)
    assert (after.score, after.track) == (before.score, 0)


@pytest.mark.parametrize(
    ('box', 'other', 'iou'),
    [
        pytest.param([0, 0, 2, 2], [0, 0, 2, 2], 1.0, id='same'),
        pytest.param([0, 0, 2, 2], [1, 0, 3, 2], 1 / 3, id='half'),
        pytest.param([0, 0, 2, 2], [2, 0, 4, 2], 0.0, id='touching'),
        pytest.param([0, 0, 0, 0], [0, 0, 0, 0], 0.0, id='without_area'),
        pytest.param([0, 0, 2, 2], [np.nan] * 4, 0.0, id='missing'),
    ],
)
def test_overlap_by_hand(box, other, iou):
    got = measure_iou(np.array([box], float), np.array([other], float))
    assert got.tolist() == [[pytest.approx(iou)]]


def test_choosing_one_person():
    near, sure = stand(10, size=40, score=0.6), stand(50, score=0.8)
    assert choose_people([near, sure], 'largest') == [near]
    assert choose_people([near, sure], 'best') == [sure]
    assert choose_people([near, sure], 'all') == [near, sure]
    assert choose_people([], 'best') == []


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        pytest.param({'min_iou': 0}, r'min_iou must lie in \(0, 1\], got min_iou=0', id='iou'),
        pytest.param({'max_gap': -1}, 'max_gap must be at least 0, got max_gap=-1', id='gap'),
    ],
)
def test_wrong_options(options, message):
    with pytest.raises(ValueError, match=message):
        PoseTracker(**options)


def test_unknown_choice():
    with pytest.raises(ValueError, match="keep must be one of all, best, largest, got keep='both'"):
        choose_people([], 'both')
