"""People in a video: checks, who the main person is, crossing people, nobody."""

from typing import Any

import numpy as np
import pytest

from mmotion.keypoints.poses import Person, PoseVideo
from mmotion.keypoints.skeletons import FIGURE

K = FIGURE.num_points


def person(x: float, *, size: float = 100.0, score: float = 0.9, **fields: Any) -> Person:
    """A person around x whose points all are on a diagonal of their size."""
    line = np.linspace(0, size / np.sqrt(2), K)
    return Person(
        keypoints=np.stack([x + line, line], axis=1),
        scores=np.full(K, score),
        score=score,
        **fields,
    )


def video(*frames: tuple[Person, ...], **changes: Any) -> PoseVideo:
    fields = {
        'source': 'yard.mp4',
        'fps': 25.0,
        'width': 640,
        'height': 480,
        'num_frames': 5 * len(frames),
        'detector': 'test',
        'skeleton': FIGURE,
        'frame_indices': 5 * np.arange(len(frames)),
        'frames': frames,
    }
    return PoseVideo(**(fields | changes))


@pytest.mark.parametrize(
    ('fields', 'message'),
    [
        pytest.param(
            {'keypoints': np.zeros((3, 3))}, r'keypoints must have the shape \(K, 2\)', id='xyz'
        ),
        pytest.param({'keypoints': [[np.inf, 0.0]] * 2}, 'keypoints must be finite', id='infinite'),
        pytest.param(
            {'scores': [1.0]}, r'one value for each of 2 keypoints, got .* \(1,\)', id='few'
        ),
        pytest.param(
            {'scores': [0.5, 1.5]}, r'scores must lie in \[0, 1\], got 0.5 to 1.5', id='above-1'
        ),
        pytest.param({'scores': [0.5, np.nan]}, r'scores must lie in \[0, 1\]', id='nan-score'),
        pytest.param({'score': -0.5}, r'score must lie in \[0, 1\], got score=-0.5', id='person'),
        pytest.param({'track': -1}, 'track must be at least 0, got track=-1', id='track'),
        pytest.param({'box_xyxy': [5, 0, 1, 9]}, 'box_xyxy must be left, top, right', id='box'),
    ],
)
def test_a_broken_person_is_refused(fields: dict[str, Any], message: str) -> None:
    good = {'keypoints': [[0.0, 0.0], [3.0, 4.0]], 'scores': [0.5, 1.0], 'score': 0.5}
    assert Person(**good).size_px == 5
    with pytest.raises(ValueError, match=message):
        Person(**(good | fields))


def test_half_a_point_is_none() -> None:
    found = Person(keypoints=[[np.nan, 2.0], [3.0, 4.0]], scores=[0.7, 1.0], score=0.5)  # type: ignore
    assert np.isnan(found.keypoints[0]).all() and found.scores.tolist() == [0.0, 1.0]
    assert found.size_px == 0
    with pytest.raises(ValueError, match='read-only'):
        found.keypoints[0] = 0


def test_scores_lose_what_rounding_added() -> None:
    found = Person(keypoints=[[1.0, 2.0]], scores=[1.00001], score=1.00001)  # type: ignore
    assert found.score == 1 and found.scores.tolist() == [1.0]


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        pytest.param({'fps': 0.0}, 'fps must be above 0', id='fps'),
        pytest.param({'fps': float('nan')}, 'fps must be above 0', id='nan-fps'),
        pytest.param({'width': 0}, 'width must be at least 1, got width=0', id='width'),
        pytest.param({'frame_indices': [0, 5, 5]}, 'frame_indices must rise', id='a-frame-twice'),
        pytest.param({'frame_indices': [0, 5, 15]}, 'within the 15 frames', id='beyond-the-end'),
        pytest.param(
            {'frame_indices': [-1, 5, 9]}, 'frame_indices must rise', id='before-the-start'
        ),
        pytest.param({'frame_indices': [0, 5]}, 'got 3 frames for 2 indices', id='a-frame-more'),
        pytest.param(
            {'frame_indices': [], 'frames': ()}, 'must be a list of frames', id='no-frame'
        ),
        pytest.param(
            {'frames': ((), (person(0, track=1), person(9, track=1)), ())},
            r'frames\[1\].persons must have a track of their own each, got tracks=\[1, 1\]',
            id='one-track-twice',
        ),
        pytest.param(
            {
                'frames': (
                    (),
                    (),
                    (person(0), Person(keypoints=np.zeros((2, 2)), scores=np.ones(2), score=1)),
                )
            },
            r'frames\[2\].persons\[1\].keypoints must be the 15 points of the skeleton .* got 2',
            id='another-skeleton',
        ),
    ],
)
def test_a_broken_video_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        video((), (), (), **changes)


def test_a_video_with_nobody_has_all_points_missing() -> None:
    keypoints, scores = (nobody := video((), (), ())).main_track()
    assert keypoints.shape == (3, K, 2) and np.isnan(keypoints).all()
    assert scores.shape == (3, K) and not scores.any()
    assert nobody.num_detections == 0 and nobody.tracks == ()
    with pytest.raises(ValueError, match=r'number must be a track of yard.mp4 \(none\), got 0'):
        nobody.track(0)


def test_people_are_ranked_by_how_prominent_they_are_in_all_frames() -> None:
    # who stays wins over who passes by, whatever the number
    ranked = video((person(0, track=2),), (person(0, track=2), person(9, track=1)), ())
    assert ranked.rank_tracks() == (2, 1)
    assert np.isfinite(ranked.main_track()[0][:2]).all()
    assert video((), (), ()).rank_tracks() == ()


def test_people_who_cross_keep_their_tracks() -> None:
    # one goes right, the other left; the detector lists whoever is further left first
    places = [(0, 400), (100, 300), (200, 200), (300, 100), (400, 0)]
    frames = [
        tuple(sorted((person(a, track=0), person(b, track=1)), key=lambda p: p.keypoints[0, 0]))
        for a, b in places
    ]
    crossing = video(*frames)
    assert crossing.tracks == (0, 1)
    assert crossing.track(0)[0][:, 0, 0].tolist() == [0, 100, 200, 300, 400]
    assert crossing.track(1)[0][:, 0, 0].tolist() == [400, 300, 200, 100, 0]


def test_the_main_person_stays_longer_than_somebody_who_passes_close_by() -> None:
    stays = [person(50, track=3) for _ in range(6)]
    passes = person(300, size=400, track=7)
    keypoints, _ = video(
        *((p, passes) if i == 2 else (p,) for i, p in enumerate(stays))
    ).main_track()
    assert keypoints[:, 0, 0].tolist() == [50] * 6


def test_where_the_main_person_is_lost_nobody_takes_their_place() -> None:
    main, other = person(50, track=3), person(300, size=50, track=7)
    keypoints, scores = video((main,), (other,), (main, other)).main_track()
    assert np.isnan(keypoints[1]).all() and not scores[1].any()
    assert keypoints[[0, 2], 0, 0].tolist() == [50, 50]


def test_without_tracks_it_is_the_best_person_of_each_frame() -> None:
    small, large, sure = person(0, size=50), person(100), person(200, score=1.0)
    keypoints, scores = video((small, large), (), (large, sure), (small,)).main_track()
    assert keypoints[[0, 2, 3], 0, 0].tolist() == [100, 200, 0]
    assert np.isnan(keypoints[1]).all()
    assert scores[:, 0] == pytest.approx([0.9, 0, 1, 0.9])


def test_every_frame_has_a_time() -> None:
    even = video((person(0.0),), (person(0.0),), frame_indices=[2, 5])
    np.testing.assert_allclose(even.time_every_frame(), np.arange(6) / 25)
    # slow from the beginning on: never before 0
    uneven = video((person(0.0),), (person(0.0),), frame_indices=[2, 5], frame_times_s=[0.04, 0.64])
    np.testing.assert_allclose(uneven.time_every_frame(), [0, 0.02, 0.04, 0.24, 0.44, 0.64])
