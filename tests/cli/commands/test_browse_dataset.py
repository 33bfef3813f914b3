import cv2
import pytest

from mmotion.video import inspect_video
from tests.command_lines import TOY, check_wrong_use, run

WRONG_USE = {
    'no samples': (['browse-dataset', TOY, '-n', '0'], '--number must be at least 1, got 0'),
    'no frames': (['browse-dataset', TOY, '--frames', '0'], '--frames must be at least 1, got 0'),
    'no data': (['browse-dataset', 'no_test.py'], 'got no_test.py without train_dataloader'),
}


@pytest.mark.parametrize(('arguments', 'message'), WRONG_USE.values(), ids=WRONG_USE)
def test_wrong_use_is_answered_in_one_line(folder, capsys, arguments, message):
    check_wrong_use(capsys, arguments, message)


@pytest.mark.parametrize(
    ('config', 'options', 'shape'),
    [
        pytest.param('example_project_dots', [], (3, 8, 16, 16), id='clips'),
        pytest.param(
            'bkind_shapes', ['train_dataloader.dataset.num_videos=2'], (2, 3, 64, 64), id='pairs'
        ),
        pytest.param(
            'pose_simclr_shapes',
            ['train_dataloader.dataset.num_sequences=16'],
            (2, 64, 15, 3),
            id='keypoints',
        ),
        pytest.param('anomaly_shapes', [], (1, 3, 8, 64, 64), id='clips to be embedded'),
        pytest.param('timesformer_shapes', [], (1, 3, 8, 64, 64), id='views'),
        pytest.param('repnet_shapes', [], (3, 64, 64, 64), id='long clips'),
    ],
)
def test_what_a_model_sees(tmp_path, capsys, config, options, shape):
    options = ['--cfg-options', *options] if options else []
    given = ['browse-dataset', config, '-n', '2', '--frames', '4', '--out', tmp_path, *options]
    code, out, _ = run(capsys, *given)
    assert code == 0
    assert f'inputs {shape} torch.' in out
    sheet = cv2.imread(str(tmp_path / f'{config}_train.png'))
    views = shape[0] if len(shape) == 5 or shape[-1] == 3 else 1
    assert sheet.shape[0] == 2 * (20 + views * 130)
    # something is drawn
    assert sheet.std() > 10


def test_samples_can_be_drawn_by_chance_and_as_videos(tmp_path, capsys):
    given = ['browse-dataset', 'example_project_dots', '--split', 'val', '-n', '3', '--videos']
    for out in ('a', 'b'):
        shuffled = [*given, '--shuffle', '--seed', '4', '--out', tmp_path / out]
        assert run(capsys, *shuffled)[0] == 0
    names = [sorted(file.name for file in (tmp_path / out).iterdir()) for out in ('a', 'b')]
    assert names[0] == names[1]
    assert 'example_project_dots_val_0.mp4' not in names[0]
    videos = [*(tmp_path / 'a').glob('*.mp4')]
    assert len(videos) == 3
    assert inspect_video(videos[0]).num_frames == 8
