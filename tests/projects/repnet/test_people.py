"""Each person is counted by themselves: in keypoint files, in videos by a detector, in streams."""

import dataclasses
import json
import sys
from pathlib import Path

import numpy as np
import pytest

from mmotion.cli import main
from mmotion.inference import load_model
from mmotion.keypoints import detectors
from mmotion.keypoints.files import write_poses
from mmotion.keypoints.poses import Person, PoseVideo
from mmotion.keypoints.skeletons import COCO17, Skeleton
from mmotion.video import inspect_video
from projects.repnet.counting import RepetitionCounter

WIDTH, HEIGHT, FPS, EVERY = 400, 200, 30.0, 3
# of somebody who stands at 0, in the order of COCO17, in pixels
STANDING = np.array(
    [
        *[(0, -60), (2, -62), (-2, -62), (5, -60), (-5, -60), (15, -45), (-15, -45), (18, -25)],
        *[(-18, -25), (18, -5), (-18, -5), (10, 0), (-10, 0), (10, 30), (-10, 30), (10, 60)],
        (-10, 60),
    ],
    np.float32,
)
MOVING = [
    COCO17.points.index(f'{side}_{j}') for side in ('left', 'right') for j in ('elbow', 'wrist')
]


def make_person(x: float, raised: float, track: int | None) -> Person:
    """Somebody at a place whose arms are raised as far as `raised`, in [0, 1], says."""
    points = STANDING + np.array([x, 100], np.float32)
    points[MOVING, 1] -= raised * np.array([20, 40] * 2)
    return Person(keypoints=points, scores=np.full(17, 0.9), score=0.9, track=track)


def raise_arms(step: int, period: float) -> float:
    return 0.5 - 0.5 * np.cos(2 * np.pi * step / period)


def make_gym(*, track: bool = True, num_steps: int = 120, **fields) -> PoseVideo:
    """Person 7 raises the arms every 12 steps, 10 times; 3 every 20 steps from step 20 on."""

    def see(step):
        people = [make_person(100, raise_arms(step, 12), 7 if track else None)]
        if step >= 20 and track:
            people.append(make_person(300, raise_arms(step, 20), 3))
        return tuple(people)

    values = dict(
        source='gym.mp4',
        fps=FPS,
        width=WIDTH,
        height=HEIGHT,
        num_frames=EVERY * num_steps,
        detector='none',
        skeleton=COCO17,
        frame_indices=EVERY * np.arange(num_steps),
        frames=tuple(map(see, range(num_steps))),
    )
    return PoseVideo(**{**values, **fields})


class GymDetector:
    """Finds the people of `make_gym` in frames whose color is their number."""

    name = 'gym'
    skeleton = COCO17

    def detect(self, images):
        gym = make_gym()
        numbers = [int(image[0, 0, 0]) * 256 + int(image[0, 0, 1]) for image in images]
        return [
            [dataclasses.replace(p, track=None) for p in gym.frames[n // EVERY]] for n in numbers
        ]


@pytest.fixture(scope='module')
def predictor():
    return load_model('repnet_pose', device='cpu')


@pytest.fixture
def with_detector(predictor, monkeypatch):
    monkeypatch.setitem(vars(predictor), 'detector', GymDetector())
    return predictor


@pytest.fixture
def gym_file(tmp_path):
    write_poses(make_gym(), tmp_path / 'gym.json')
    return tmp_path / 'gym.json'


def make_frames(num_frames: int = 360) -> np.ndarray:
    frames = np.zeros((num_frames, HEIGHT, WIDTH, 3), np.uint8)
    frames[..., 0], frames[..., 1] = (
        part[:, None, None] for part in np.divmod(np.arange(num_frames), 256)
    )
    return frames


def test_each_person_of_a_file_is_counted_by_track(predictor, gym_file):
    found = predictor.predict(gym_file)
    assert [region.name for region in found.regions] == ['person 7', 'person 3']
    one, other = found.results
    assert (one.repetitions, other.repetitions) == (10, 5)
    assert (one.num_frames, one.fps, one.start_s) == (360, FPS, 0)
    # the second one comes after 2 s
    assert other.segments[0].start_s >= 2.0
    assert np.nanmedian(one.period_s_per_frame) == pytest.approx(1.2, rel=0.05)
    assert one.stride % EVERY == 0
    box = found.regions[1].boxes_at([90])[0]
    assert box == pytest.approx([282, 38, 318, 160], abs=25)


def test_where_nobody_is_tracked_the_most_prominent_is_counted(predictor, tmp_path):
    write_poses(make_gym(track=False), tmp_path / 'one.json')
    found = predictor.predict(tmp_path / 'one.json')
    assert [region.name for region in found.regions] == ['person']
    assert found.results[0].repetitions == 10


def test_a_part_of_a_file(predictor, gym_file):
    found = predictor.predict(gym_file, start_s=2.4, end_s=8.4)
    assert [result.num_frames for result in found.results] == [180, 180]
    assert found.start_s == found.results[0].start_s == 2.4
    counts = {r.name: c.repetitions for r, c in zip(found.regions, found.results, strict=True)}
    assert counts == {'person 7': 5, 'person 3': 3}
    assert found.frames.tolist() == list(range(72, 252))


def test_frames_are_counted_by_a_detector_as_its_file_is(with_detector, gym_file):
    from_file = with_detector.predict(gym_file)
    found = with_detector.predict(make_frames(), fps=FPS)
    assert [region.name for region in found.regions] == ['person 0', 'person 1']
    for one, other in zip(found.results, from_file.results, strict=True):
        np.testing.assert_allclose(one.count_per_frame, other.count_per_frame, atol=1e-4)


def test_a_stream_ends_with_the_counts_of_the_whole(with_detector):
    *_, before, last = with_detector.stream(make_frames(), fps=FPS)
    whole = with_detector.predict(make_frames(), fps=FPS)
    assert (before.time_s, last.time_s) == (pytest.approx(11), pytest.approx(12))
    assert list(last.people) == ['person 0', 'person 1']
    for count, result in zip(last.people.values(), whole.results, strict=True):
        assert count.count == pytest.approx(result.count, abs=1e-4)
    assert json.loads(json.dumps(last.to_dict()))['people']['person 0']['repetitions'] == 10


class LeavingDetector(GymDetector):
    """Does not see the one on the right any more from step 60 on, and sees a third one for two."""

    def __init__(self):
        self.gym = make_gym(num_steps=160)

    def detect(self, images):
        (image,) = images
        step = (int(image[0, 0, 0]) * 256 + int(image[0, 0, 1])) // EVERY
        people = self.gym.frames[step][: 1 if step >= 60 else 2]
        passing = [make_person(350, 0, None)] if step in (20, 21) else []
        return [[dataclasses.replace(p, track=None) for p in people] + passing]


def test_a_stream_keeps_the_count_of_who_has_left_and_nothing_more(predictor, monkeypatch):
    monkeypatch.setitem(vars(predictor), 'detector', LeavingDetector())
    asked = []
    running = RepetitionCounter.running
    monkeypatch.setattr(
        RepetitionCounter, 'running', lambda self: asked.append(self) or running(self)
    )
    reports = predictor.stream(make_frames(480), fps=FPS)
    middle = next(report for report in reports if report.time_s >= 11)
    assert len(asked) > 1
    next(report for report in reports if report.time_s >= 14)
    asked.clear()
    last = next(reports)
    assert list(last.people) == list(middle.people) == ['person 0', 'person 1']
    assert last.people['person 1'] == middle.people['person 1']
    assert last.people['person 1'].num_frames == 40 and len(asked) <= 1


def test_somebody_who_is_away_for_a_while_is_the_same(with_detector, predictor, tmp_path):
    gym = make_gym(track=False)
    frames = [() if 50 <= step < 53 else people for step, people in enumerate(gym.frames)]
    write_poses(dataclasses.replace(gym, frames=tuple(frames)), tmp_path / 'away.json')
    assert predictor.predict(tmp_path / 'away.json').results[0].repetitions == 10


def test_a_video_needs_the_package_of_the_detector_and_a_file_does_not(predictor, monkeypatch):
    monkeypatch.setitem(sys.modules, 'mediapipe', None)
    predictor.prepare([Path('gym.json')])
    message = r'its package mediapipe, .*; pip install "mmotion\[pose\]"'
    with pytest.raises(ImportError, match=message):
        predictor.prepare([Path('gym.json'), Path('gym.mp4')])
    with pytest.raises(ImportError, match=message):
        predictor.predict(make_frames(30), fps=FPS)


def test_nobody_is_an_error(predictor, tmp_path):
    write_poses(make_gym(frames=((),) * 120), tmp_path / 'empty.json')
    with pytest.raises(ValueError, match='somebody must be seen for 1 s, got nobody in the 120 fr'):
        predictor.predict(tmp_path / 'empty.json')


def test_animals_are_refused(predictor, tmp_path):
    fly = Skeleton('fly', ('head', 'tail'), edges=(), mirror=(0, 1))
    people = [
        (Person(keypoints=[[5, 6], [9, 9]], scores=[1, 1], score=1, track=0),) for _ in range(120)
    ]
    write_poses(make_gym(skeleton=fly, frames=tuple(people)), tmp_path / 'fly.json')
    with pytest.raises(ValueError, match="must be that of a person, got 'fly' without left_should"):
        predictor.predict(tmp_path / 'fly.json')


def test_regions_are_refused(predictor, gym_file):
    with pytest.raises(ValueError, match=r'regions must be left out .* each person'):
        predictor.predict_regions(gym_file, [])


def test_a_file_has_its_own_rate(predictor, gym_file):
    with pytest.raises(ValueError, match=r'fps must be left out .* got fps=25'):
        predictor.predict(gym_file, fps=25.0)


def test_command_line_counts_draws_and_takes_a_detector(gym_file, tmp_path, capsys, monkeypatch):
    out = tmp_path / 'out'
    options = ['--out', str(out), '--device', 'cpu']
    assert main(['predict', 'repnet_pose', str(gym_file), '--draw', *options]) == 0
    printed = capsys.readouterr().out
    assert 'person 7: count 10' in printed
    assert 'person 3: count 5' in printed
    people = json.loads((out / 'gym.json').read_text())['regions']
    assert [person['name'] for person in people] == ['person 7', 'person 3']
    assert inspect_video(out / 'gym_overlay.mp4').num_frames == 360
    assert (out / 'gym_regions.png').is_file()
    monkeypatch.setitem(detectors.DETECTORS, 'mediapipe', lambda **kwargs: GymDetector())
    options += ['--detector', 'mediapipe', '--predictor.every', '3']
    assert main(['predict', 'repnet_pose', str(gym_file), *options]) == 0


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'every': 0}, 'every must be at least 1, got every=0'),
        ({'report_every_s': 0.0}, 'report_every_s must be above 0, got report_every_s=0.0'),
    ],
)
def test_wrong_options_are_refused(predictor, options, message):
    with pytest.raises(ValueError, match=message):
        type(predictor)(config=predictor.config, model=predictor.model, **options)
