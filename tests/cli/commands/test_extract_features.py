import numpy as np

from tests.command_lines import TOY, check_wrong_use, run


def test_a_file_a_video_and_what_fails_is_named(folder, capsys):
    (folder / 'broken.mp4').write_bytes(b'no video')
    command = ['extract-features', 'anomaly_shapes', '.', '--checkpoint', 'random']
    code, out, error = run(capsys, *command)
    assert code == 1
    assert 'clip.mp4: 1 rows of 96 numbers, layer embedding: features/clip.npz' in out
    assert 'mmotion: broken.mp4: ' in error and '1 of 2 videos failed' in error
    with np.load('features/clip.npz') as content:
        assert content['features'].shape == (1, 96) and content['start_s'].tolist() == [0]


def test_wrong_use_is_answered_in_one_line(folder, capsys):
    check_wrong_use(
        capsys,
        ['extract-features', TOY, 'clip.mp4', '--checkpoint', 'random', '--layer', 'neck'],
        'a layer must be one of the model, got neck; it has ',
    )
