import pytest

from mmotion.keypoints.files import read_poses
from mmotion.keypoints.skeletons import COCO17
from tests.command_lines import check_wrong_use, run

WRONG_USE = {
    'extract without video': (['extract-keypoints'], 'arguments are required: VIDEO'),
    'extract from nothing': (['extract-keypoints', 'no.mp4'], "got 'no.mp4', which is not there"),
    'unknown detector': (
        ['extract-keypoints', 'clip.mp4', '--detector', 'openpose'],
        "must be one of keypoint_rcnn, mediapipe, rtmlib, got detector='openpose'",
    ),
    'weights of something else': (
        ['extract-keypoints', 'clip.mp4', '--model-path', 'timesformer_base_k400'],
        'a detector of "mmotion models", got \'timesformer_base_k400\'; check its spelling',
    ),
    'detector with a text': (
        [
            'extract-keypoints',
            'clip.mp4',
            '--detector',
            'keypoint_rcnn',
            '--model-path',
            'text.pth',
        ],
        'got a text file: text.pth',
    ),
    'every frame but none': (
        ['extract-keypoints', 'clip.mp4', '--every', '0'],
        'every must be at least 1, got every=0',
    ),
}


@pytest.mark.parametrize(('arguments', 'message'), WRONG_USE.values(), ids=WRONG_USE)
def test_wrong_use_is_answered_in_one_line(folder, capsys, arguments, message):
    check_wrong_use(capsys, arguments, message)


@pytest.fixture
def detector(monkeypatch):
    """What the command line asks `build_detector` for; it finds nobody."""
    asked = []

    class Nobody:
        name = 'nobody'
        skeleton = COCO17

        def detect(self, images):
            return [[] for _ in images]

    def build(*arguments):
        asked.append(arguments)
        return Nobody()

    monkeypatch.setattr('mmotion.keypoints.detectors.build_detector', build)
    return asked


def test_extract_keypoints(folder, capsys, detector):
    (folder / 'bad.mp4').write_bytes(b'no video')
    code, out, error = run(
        capsys, 'extract-keypoints', '.', '--detector', 'mediapipe', '--model-path', 'p.task',
        '--device', 'cpu', '--every', '2', '--out', 'o', '--workers', '2', '--keep', 'best',
    )  # fmt: skip
    assert code == 1
    assert detector == [('mediapipe', 'p.task', 'cpu')] * 2
    assert '1 of them show nobody: clip.mp4' in out
    assert '1 of 2 videos failed: bad.mp4' in error
    assert read_poses(folder / 'o' / 'clip.json').frame_indices.tolist() == [0, 2, 4]
    assert run(capsys, 'extract-keypoints', 'clip.mp4', '--out', 'p')[0] == 0
    assert detector[-1] == ('mediapipe', None, None)


def test_stopping_an_extraction_tells_how_to_go_on(folder, capsys, monkeypatch):
    def stop(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr('mmotion.keypoints.extraction.extract_keypoints', stop)
    code, _, error = run(capsys, 'extract-keypoints', 'clip.mp4')
    assert code == 130
    assert 'the same command goes on with the videos that are left' in error
