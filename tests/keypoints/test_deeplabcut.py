"""Files of DeepLabCut are read as the keypoints of a video: written by hand, and by pandas."""

from pathlib import Path

import numpy as np
import pytest

from mmotion.keypoints.deeplabcut import read_deeplabcut
from mmotion.keypoints.files import PoseFileError
from mmotion.keypoints.skeletons import Skeleton, find_mirror

# one animal, as DeepLabCut 2 and 3 and Lightning Pose write it
ONE = """\
scorer,net,net,net,net,net,net,net,net,net
bodyparts,LeftEar,LeftEar,LeftEar,RightEar,RightEar,RightEar,tail,tail,tail
coords,x,y,likelihood,x,y,likelihood,x,y,likelihood
0,10.5,20.25,0.75,30,20,0.5,99,40,1.0000001
1,,,,,,,,,
2,11,21,0.8,-1,-1,-1,98,41,0.02
"""
SEVERAL = """\
scorer,net,net,net,net,net,net,net,net,net
individuals,mus1,mus1,mus1,mus2,mus2,mus2,single,single,single
bodyparts,snout,snout,snout,snout,snout,snout,corner,corner,corner
coords,x,y,likelihood,x,y,likelihood,x,y,likelihood
0,10.5,20.5,0.9,50,60,0.8,1.5,1.5,0.5
1,11.5,20.25,0.9,,,,1.5,1.5,0.5
"""


def write(folder: Path, text: str, name: str = 'mouseDLC_Resnet50_ratNov1shuffle1_filtered.csv'):
    path = folder / name
    path.write_text(text)
    return path


def test_the_points_of_an_animal_are_a_track(tmp_path):
    video = read_deeplabcut(write(tmp_path, ONE), fps=30)
    assert video.source == str(tmp_path / 'mouse') and video.fps == 30
    assert (video.width, video.height, video.num_frames) == (100, 42, 3)
    assert video.skeleton.points == ('LeftEar', 'RightEar', 'tail')
    assert video.skeleton.mirror == (1, 0, 2) and video.tracks == (0,)
    keypoints, scores = video.main_track()
    nan = [np.nan, np.nan]
    expected = [[[10.5, 20.25], [30, 20], [99, 40]], [nan] * 3, [[11, 21], nan, [98, 41]]]
    np.testing.assert_allclose(keypoints, expected)
    np.testing.assert_allclose(scores, [[0.75, 0.5, 1], [0, 0, 0], [0.8, 0, 0.02]])


def test_each_of_several_animals_is_a_track(tmp_path):
    video = read_deeplabcut(write(tmp_path, SEVERAL), fps=25)
    assert video.skeleton.points == ('snout',) and video.tracks == (0, 1)
    assert [len(persons) for persons in video.frames] == [2, 1]
    np.testing.assert_allclose(video.track(1)[0][0], [[50, 60]])


def test_a_skeleton_gives_the_order_and_must_have_the_points(tmp_path):
    points = ('tail', 'LeftEar', 'RightEar')
    mouse = Skeleton('mouse', points, ((0, 1), (0, 2)), (0, 2, 1))
    video = read_deeplabcut(write(tmp_path, ONE), fps=30, skeleton=mouse)
    assert video.skeleton == mouse
    np.testing.assert_allclose(video.track(0)[0][0], [[99, 40], [10.5, 20.25], [30, 20]])
    other = Skeleton('rat', ('snout',), (), find_mirror(('snout',)))
    with pytest.raises(PoseFileError, match=r"those of the skeleton 'rat', snout, got LeftEar, R"):
        read_deeplabcut(write(tmp_path, ONE), fps=30, skeleton=other)


@pytest.mark.parametrize('form', ['fixed', 'table'])
@pytest.mark.parametrize(('text', 'depth'), [(ONE, 3), (SEVERAL, 4)], ids=['one', 'several'])
def test_hdf5_of_pandas_holds_what_the_csv_does(tmp_path, text, depth, form):
    pytest.importorskip('h5py')
    pytest.importorskip('tables')
    pandas = pytest.importorskip('pandas')
    path = write(tmp_path, text)
    frame = pandas.read_csv(path, header=list(range(depth)), index_col=0)
    try:
        frame.to_hdf(path.with_suffix('.h5'), key='df_with_missing', format=form, mode='w')
    except Exception as error:
        pytest.skip(f'pandas writes no such table: {error}')
    one, other = (read_deeplabcut(path.with_suffix(s), fps=30) for s in ('.csv', '.h5'))
    assert one.skeleton == other.skeleton and one.source == other.source
    for number in one.tracks:
        for mine, theirs in zip(one.track(number), other.track(number), strict=True):
            np.testing.assert_allclose(mine, theirs)


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        pytest.param('path,label\na.mp4,run\n', "got 'path,label' in its first line", id='table'),
        pytest.param('', "got '' in its first line", id='empty'),
        pytest.param(ONE.replace('\n0,', '\nimg0.png,'), "the row 'img0.png' instead", id='image'),
        pytest.param(ONE.replace('likelihood', 'z'), r'got .*likelihood', id='no-likelihood'),
        pytest.param(''.join(ONE.splitlines(True)[:3]), r'DeepLabCut writes', id='no-rows'),
        pytest.param(ONE + '1,2\n', r'2 instead of 10 values in row 7', id='torn'),
        pytest.param(ONE.replace('\n2,', '\n1,'), 'frame_indices must rise', id='twice'),
        pytest.param(SEVERAL.replace('mus2,mus2,mus2,', 'mus2,mus2,mus1,'), 'DeepLabCut', id='mix'),
        pytest.param(ONE.replace('10.5', 'ten'), 'could not convert', id='text'),
        pytest.param('\0\1\2', 'DeepLabCut writes', id='bytes'),
    ],
)
def test_what_is_no_such_file_is_refused(tmp_path, text, message):
    with pytest.raises(PoseFileError, match=message) as caught:
        read_deeplabcut(write(tmp_path, text), fps=30)
    assert '.json and from .npy' in str(caught.value)


def test_hdf5_that_is_broken_is_refused(tmp_path):
    pytest.importorskip('h5py')
    with pytest.raises(PoseFileError, match=r'read the \.csv beside it'):
        read_deeplabcut(write(tmp_path, 'no HDF5', 'a.h5'), fps=30)
    with pytest.raises(FileNotFoundError):
        read_deeplabcut(tmp_path / 'none.csv', fps=30)
