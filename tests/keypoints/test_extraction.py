import csv
import os
import threading
from pathlib import Path

import numpy as np
import pytest

from mmotion.atomic import hold_folder
from mmotion.keypoints.extraction import TABLE, StoppedError, extract_keypoints, extract_poses
from mmotion.keypoints.files import read_poses
from mmotion.keypoints.poses import Person
from mmotion.keypoints.skeletons import COCO17
from mmotion.video import VideoError
from tests.video_files import encode, truncate

NUM_FRAMES = 24
# brightness of each person
LEVELS = ((210, 256), (100, 170))


class BrightSquares:
    """Finds a person of each brightness, with the middle of what is seen of it as all points.

    Args:
        stop_after: Ctrl-C comes after this many images.
    """

    name = 'bright_squares'
    skeleton = COCO17

    def __init__(self, stop_after: int | None = None) -> None:
        self.stop_after = stop_after
        self.batches: list[int] = []

    def detect(self, images):
        self.batches.append(len(images))
        if self.stop_after is not None and sum(self.batches) > self.stop_after:
            raise KeyboardInterrupt
        return [self._detect(image) for image in images]

    def _detect(self, image):
        people = []
        for low, high in LEVELS:
            is_there = ((image.mean(axis=2) > low) & (image.mean(axis=2) < high)).sum(axis=0) > 20
            columns = np.flatnonzero(is_there)
            # edges are blurred
            if len(columns) > 4:
                left, right = columns[0], columns[-1] + 1
                people.append(
                    Person(
                        keypoints=np.full((17, 2), (left + right) / 2),
                        scores=np.ones(17),
                        score=low / 256,
                        box_xyxy=np.array([left, 10, right, 40]),
                    )
                )
        return people


def paint(*centers: float) -> np.ndarray:
    """A picture with a square for each person, the first one in front."""
    image = np.zeros((48, 96, 3), np.uint8)
    for x, (low, high) in reversed(list(zip(centers, LEVELS, strict=False))):
        image[10:40, max(round(x) - 8, 0) : round(x) + 8] = (low + high) // 2
    return image


def film(path: Path, *, people: int = 1) -> Path:
    """One person walks to the right, a second one to the left."""
    path.parent.mkdir(parents=True, exist_ok=True)
    places = [(10 + 3 * t, 86 - 3 * t)[:people] for t in range(NUM_FRAMES)]
    return encode(path, [paint(*centers) for centers in places])


@pytest.fixture
def videos(tmp_path):
    """A folder of good, bad and empty videos."""
    folder = tmp_path / 'videos'
    good = film(folder / 'squat' / 'good.mp4')
    film(folder / 'lunge' / 'good.mp4')
    film(folder / 'lunge' / 'nobody.mp4', people=0)
    (folder / 'lunge' / 'broken.mp4').write_bytes(b'no video')
    truncate(good, folder / 'squat' / 'cut.mp4', part=0.3)
    return folder


def read_table(out_dir: Path) -> dict[str, dict[str, str]]:
    with open(out_dir / TABLE, newline='') as file:
        return {row['file']: row for row in csv.DictReader(file)}


def test_every_nth_frame_is_looked_at_in_batches(tmp_path):
    detector = BrightSquares()
    poses = extract_poses(film(tmp_path / 'a.mp4'), detector, every=5, batch_size=2)
    assert poses.frame_indices.tolist() == [0, 5, 10, 15, 20]
    assert detector.batches == [2, 2, 1]
    assert (poses.width, poses.height, poses.num_frames, poses.fps) == (96, 48, NUM_FRAMES, 30)
    assert (poses.detector, poses.source) == ('bright_squares', str(tmp_path / 'a.mp4'))
    centers = poses.main_track()[0][:, 0, 0]
    np.testing.assert_allclose(centers, 10 + 3 * poses.frame_indices, atol=1)


def test_a_part_of_a_video(tmp_path):
    poses = extract_poses(
        film(tmp_path / 'a.mp4'), BrightSquares(), every=2, start_s=0.1, end_s=0.4
    )
    assert poses.frame_indices.tolist() == [3, 5, 7, 9, 11]


def test_two_people_who_cross_keep_their_tracks(tmp_path):
    poses = extract_poses(film(tmp_path / 'a.mp4', people=2), BrightSquares(), every=1)
    # the one behind is hidden for a while
    assert {len(people) for people in poses.frames} == {1, 2}
    assert poses.tracks == (0, 1)
    right, left = (poses.track(number)[0][:, 0, 0] for number in (0, 1))
    assert (np.diff(right[~np.isnan(right)]) >= 0).all()
    assert (np.diff(left[~np.isnan(left)]) <= 0).all()


@pytest.mark.parametrize('keep', ['best', 'largest'])
def test_one_person_of_each_frame_has_no_track(tmp_path, keep):
    video = film(tmp_path / 'a.mp4', people=2)
    poses = extract_poses(video, BrightSquares(), keep=keep)
    assert {len(people) for people in poses.frames} == {1}
    assert poses.tracks == ()


def test_a_stopped_extraction_ends_with_an_error(tmp_path):
    stop = threading.Event()
    stop.set()
    with pytest.raises(StoppedError):
        extract_poses(film(tmp_path / 'a.mp4'), BrightSquares(), stop=stop)


def test_what_is_no_video_is_named(tmp_path):
    (tmp_path / 'a.mp4').write_bytes(b'no video')
    with pytest.raises(VideoError, match=r'a\.mp4'):
        extract_poses(tmp_path / 'a.mp4', BrightSquares())


@pytest.mark.parametrize('workers', [1, 3])
def test_many_videos_and_what_became_of_each(videos, tmp_path, capsys, workers):
    out = tmp_path / 'out'
    failed = extract_keypoints([str(videos)], out, BrightSquares, workers=workers)
    assert sorted(path.name for path in failed) == ['broken.mp4', 'cut.mp4']
    written = sorted(path.relative_to(out).as_posix() for path in out.rglob('*.json'))
    assert written == ['lunge/good.json', 'lunge/nobody.json', 'squat/good.json']
    assert read_poses(out / 'squat' / 'good.json').num_detections == 5
    # nobody is a result: the frames are there, empty
    assert read_poses(out / 'lunge' / 'nobody.json').frames == ((),) * 5

    table = read_table(out)
    assert {name: row['status'] for name, row in table.items()} == {
        'lunge/broken.json': 'failed',
        'lunge/good.json': 'done',
        'lunge/nobody.json': 'done',
        'squat/cut.json': 'failed',
        'squat/good.json': 'done',
    }
    assert 'broken.mp4' in table['lunge/broken.json']['reason']
    assert (table['lunge/nobody.json']['frames'], table['lunge/nobody.json']['with_people']) == (
        '5',
        '0',
    )
    printed = capsys.readouterr()
    assert '5 videos, 0 of them done already' in printed.out
    assert f'1 of them show nobody: {videos / "lunge" / "nobody.mp4"}' in printed.out
    assert '2 of 5 videos failed: ' in printed.err


def test_what_is_done_is_not_done_again(videos, tmp_path, capsys):
    out = tmp_path / 'out'
    extract_keypoints([str(videos)], out, BrightSquares)
    (out / 'squat' / 'good.json').unlink()
    film(videos / 'lunge' / 'broken.mp4')
    detector = BrightSquares()
    failed = extract_keypoints([str(videos)], out, lambda: detector)
    # the lost one, and the mended one
    assert sum(detector.batches) == 2 * 5
    assert [path.name for path in failed] == ['cut.mp4']
    assert '5 videos, 2 of them done already' in capsys.readouterr().out


def test_other_settings_extract_anew(tmp_path):
    video, out = str(film(tmp_path / 'a.mp4')), tmp_path / 'out'
    extract_keypoints([video], out, BrightSquares)
    extract_keypoints([video], out, BrightSquares, every=2)
    assert len(read_poses(out / 'a.json').frames) == 12
    assert read_table(out)['a.json']['settings'] == 'bright_squares, every 2, keep all'


@pytest.mark.parametrize('workers', [1, 2])
def test_ctrl_c_keeps_what_was_done(tmp_path, workers):
    for number in range(6):
        film(tmp_path / 'videos' / f'{number}.mp4')
    names, out = [str(tmp_path / 'videos')], tmp_path / 'out'
    before = threading.enumerate()
    with pytest.raises(KeyboardInterrupt):
        extract_keypoints(names, out, lambda: BrightSquares(stop_after=12), workers=workers)
    # nobody goes on writing
    started = set(threading.enumerate()) - {*before}
    assert not [thread for thread in started if 'ThreadPool' in thread.name]
    done = list(out.glob('*.json'))
    assert 1 <= len(done) < 6
    assert not list(out.glob('.*partial*'))
    detector = BrightSquares()
    assert extract_keypoints(names, out, lambda: detector) == []
    assert len(list(out.glob('*.json'))) == 6
    assert sum(detector.batches) <= (6 - len(read_table(out)) + len(done) + 5) * 5


def test_an_error_of_the_detector_fails_that_video_alone(tmp_path, caplog):
    class Fails(BrightSquares):
        def detect(self, images):
            if len(self.batches) == 2:
                self.batches.append(0)
                raise RuntimeError('out of memory\n  at stage 3')
            return super().detect(images)

    for name in 'abc':
        film(tmp_path / f'{name}.mp4')
    failed = extract_keypoints([str(tmp_path)], tmp_path / 'out', Fails)
    assert [path.name for path in failed] == ['b.mp4']
    assert read_table(tmp_path / 'out')['b.json']['reason'] == 'out of memory at stage 3'


def test_a_detector_that_cannot_be_built_stops_before_any_work(tmp_path):
    def build():
        raise FileNotFoundError('no model')

    video, out = str(film(tmp_path / 'a.mp4')), tmp_path / 'out'
    with pytest.raises(FileNotFoundError, match='no model'):
        extract_keypoints([video], out, build)
    assert not out.exists()


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        pytest.param({'every': 0}, 'every must be at least 1, got every=0', id='every'),
        pytest.param({'workers': 0}, 'workers must be at least 1, got workers=0', id='workers'),
        pytest.param({'batch_size': -1}, 'batch_size must be at least 1', id='batch_size'),
        pytest.param({'keep': 'both'}, 'keep must be one of all, best, largest', id='keep'),
    ],
)
def test_wrong_options(tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        extract_keypoints(['.'], tmp_path, BrightSquares, **options)


def test_two_extractions_do_not_lose_rows_of_each_other(tmp_path):
    film(tmp_path / 'a.mp4')
    out = tmp_path / 'out'
    with (
        hold_folder(out, remedy='wait'),
        pytest.raises(ValueError, match=r'out must not be in use by another process, got process'),
    ):
        extract_keypoints([str(tmp_path / 'a.mp4')], out, BrightSquares)
    assert extract_keypoints([str(tmp_path / 'a.mp4')], out, BrightSquares) == []


class Crashes(BrightSquares):
    """Ends its process at a picture with two people."""

    def detect(self, images):
        found = super().detect(images)
        if any(len(people) > 1 for people in found):
            os._exit(7)
        return found


@pytest.mark.parametrize('workers', [pytest.param(1, marks=pytest.mark.slow), 2])
def test_a_crash_fails_that_video_alone(tmp_path, workers):
    for name in 'abcd':
        film(tmp_path / f'{name}.mp4', people=2 if name == 'b' else 1)
    out = tmp_path / 'out'
    failed = extract_keypoints([str(tmp_path)], out, Crashes, workers=workers)
    assert [path.name for path in failed] == ['b.mp4']
    assert 'exit code 7, and so did' in read_table(out)['b.json']['reason']
    assert sorted(path.name for path in out.glob('*.json')) == ['a.json', 'c.json', 'd.json']
