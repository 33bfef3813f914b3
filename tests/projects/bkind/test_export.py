import csv
import dataclasses
import json
import sys
import warnings

import cv2
import numpy as np
import pytest

from mmotion.keypoints.arrays import read_mmaction_pickle
from mmotion.keypoints.coco import read_coco
from mmotion.keypoints.deeplabcut import read_deeplabcut
from mmotion.keypoints.files import PoseFileError
from mmotion.registry import DATASETS
from mmotion.tables import read_table
from projects.bkind.export import FORMATS, check_formats, export_tracks, read_annotations, to_poses
from projects.bkind.results import KeypointTracks

LABELLED = 'keypoints/dlc_openfield/labeled-data/m4s1/CollectedData_Pranav'
DEEPLABCUT = """\
scorer,me,me,me,me
bodyparts,snout,snout,tail,tail
coords,x,y,x,y
labeled-data/m/img01.png,21.5,265.25,87.5,152
labeled-data/m/img07.png,,,88,
"""
DEEPLABCUT_THREE_COLUMNS = """\
scorer,,,me,me,me,me
bodyparts,,,snout,snout,tail,tail
coords,,,x,y,x,y
labeled-data,m,img01.png,21.5,265.25,87.5,152
labeled-data,m,img07.png,,,88,
"""
DEEPLABCUT_ANIMALS = """\
scorer,me,me,me,me
individuals,mus1,mus1,single,single
bodyparts,snout,snout,tail,tail
coords,x,y,x,y
img01.png,21.5,265.25,87.5,152
"""
TABLE = """\
frame,comment,snout_x,snout_y,tail_x,tail_y
3,dark,21.5,265.25,87.5,152
9,,,,88,
"""


@pytest.fixture
def tracks():
    return make_tracks()


def make_tracks(names=('nose', 'tail')):
    rng = np.random.default_rng(0)
    return KeypointTracks(
        fps=25.0,
        width=640,
        height=480,
        frames=[5, 6, 9],
        keypoints=rng.uniform(10, 400, (3, 2, 2)),
        confidence=rng.uniform(0.1, 1, (3, 2)),
        covariance=rng.uniform(1, 9, (3, 2, 3)),
        names=names,
        start_s=0.2,
    )


def write(path, text):
    path.write_text(text)
    return path


def test_csv_has_a_row_a_frame(tracks, tmp_path):
    (path,) = export_tracks(tracks, 'videos/clip.mp4', tmp_path / 'out', ['csv'])
    assert path == tmp_path / 'out' / 'clip_tracks.csv'
    rows = list(csv.reader(path.open()))
    assert rows[0][:8] == [
        'frame', 'time_s', 'nose_x', 'nose_y', 'nose_confidence', 'nose_var_x', 'nose_var_y',
        'nose_cov_xy',
    ]  # fmt: skip
    assert rows[0][8:10] == ['nose_quality', rows[0][2].replace('nose', tracks.names[1])]
    assert rows[2][:2] == ['6', '0.240000']
    values = np.array(rows[1:], dtype=float)[:, 2:].reshape(3, 2, 7)
    np.testing.assert_allclose(values[..., :2], tracks.keypoints, rtol=1e-5)
    np.testing.assert_allclose(values[..., 2], tracks.confidence, rtol=1e-5)
    np.testing.assert_allclose(values[..., 3:6], tracks.covariance, rtol=1e-5)
    np.testing.assert_allclose(values[..., 6], tracks.sharpness, rtol=1e-5)
    # and is a table of annotations
    again = read_annotations(path)
    assert again.names == tracks.names
    assert again.frames == (5, 6, 9)
    np.testing.assert_allclose(again.points, tracks.keypoints, rtol=1e-5)


def watched(tracks):
    """x, y and confidence of each keypoint in a row for each frame from 0, NaN in between."""
    values = np.full((tracks.frames[-1] + 1, 3 * len(tracks.names)), np.nan)
    parts = [tracks.keypoints, tracks.confidence[..., None]]
    values[tracks.frames] = np.concatenate(parts, axis=2).reshape(tracks.num_frames, -1)
    return values


def test_coco_and_mmaction_come_back(tracks, tmp_path):
    coco, pickled = export_tracks(tracks, 'clip.mp4', tmp_path, ['coco', 'mmaction'])
    (other,) = read_mmaction_pickle(pickled)
    assert other.skeleton == to_poses(tracks, '').skeleton
    for poses in (read_coco(coco), other):
        assert poses.skeleton.points == tracks.names
        assert poses.frame_indices.tolist() == [5, 6, 9]
        assert (poses.width, poses.height, poses.fps) == (640, 480, 25.0)
        keypoints, scores = poses.main_track()
        np.testing.assert_allclose(keypoints, tracks.keypoints, atol=1e-3)
        np.testing.assert_allclose(scores, tracks.confidence, atol=1e-5)
    assert read_annotations(coco).frames == (5, 6, 9)


@pytest.mark.parametrize('form', ['deeplabcut', 'deeplabcut-h5', 'sleap', 'nwb'])
def test_uneven_times_are_said_and_in_a_file(tracks, tmp_path, form):
    pytest.importorskip({'deeplabcut': 'csv', 'deeplabcut-h5': 'h5py'}.get(form, 'sleap_io'))
    uneven = dataclasses.replace(tracks, frame_times_s=[0.2, 0.3, 1.2])
    with pytest.warns(UserWarning, match=f'clip.mp4 are not evenly spaced, and who reads {form}'):
        _, path = export_tracks(uneven, 'clip.mp4', tmp_path, ['csv', form])[1:]
    assert path == tmp_path / 'clip_timestamps.csv'
    rows = list(csv.DictReader(path.open()))
    # a row for every frame, as those files have, between the frames that were watched as well
    assert [int(row['frame']) for row in rows] == [*range(10)]
    expected = [0, 0.04, 0.08, 0.12, 0.16, 0.2, 0.3, 0.6, 0.9, 1.2]
    np.testing.assert_allclose([float(row['time_s']) for row in rows], expected, atol=1e-6)


@pytest.mark.parametrize('form', ['deeplabcut', 'deeplabcut-h5', 'sleap', 'nwb'])
@pytest.mark.parametrize('times_s', [None, (0.2, 0.3, 1.2)], ids=['even', 'uneven'])
def test_movement_reads_it(tracks, tmp_path, form, times_s):
    load_poses = pytest.importorskip('movement.io.load_poses')
    tracks = dataclasses.replace(tracks, frame_times_s=times_s)
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        path, *others = export_tracks(tracks, 'clip.mp4', tmp_path, [form])
    place = {'processing_module_key': 'SLEAP_VIDEO_000', 'pose_estimation_key': 'track0'}
    load = load_poses.from_sleap_file if form == 'sleap' else load_poses.from_dlc_file
    found = load_poses.from_nwb_file(path, **place) if form == 'nwb' else load(path, fps=tracks.fps)
    if others:
        found = found.assign_coords(
            time=[row.number('time_s') for row in read_table(others[0], ['time_s'])]
        )
    found = found.isel(time=tracks.frames, individual=0)
    np.testing.assert_allclose(found.time, tracks.times_s, atol=1e-6)
    points = found.position.transpose('time', 'keypoint', 'space')
    np.testing.assert_allclose(points, tracks.keypoints, atol=1e-4)
    np.testing.assert_allclose(found.confidence, tracks.confidence, atol=1e-6)


@pytest.mark.filterwarnings('error')
def test_no_file_of_times_where_nobody_needs_it(tracks, tmp_path):
    assert len(export_tracks(tracks, 'clip.mp4', tmp_path, ['deeplabcut'])) == 1
    uneven = dataclasses.replace(tracks, frame_times_s=[0.2, 0.3, 1.2])
    assert len(export_tracks(uneven, 'clip.mp4', tmp_path, ['csv', 'coco', 'mmaction'])) == 3


def test_mmaction_reads_its_pickle(tracks, tmp_path):
    (path,) = export_tracks(tracks, 'clip.mp4', tmp_path, ['mmaction'])
    data = DATASETS.build({'type': 'PoseDataset', 'ann_file': str(path), 'pipeline': []})
    assert len(data) == 1
    found = data.get_data_info(0)
    np.testing.assert_array_equal(found['keypoint'][0], tracks.keypoints)
    np.testing.assert_array_equal(found['keypoint_score'][0], tracks.confidence)


def test_deeplabcut_csv(tracks, tmp_path):
    (path,) = export_tracks(tracks, 'clip.mp4', tmp_path, ['deeplabcut'])
    assert path.name == 'clipDLC_mmotion.csv'
    rows = list(csv.reader(path.open()))
    assert rows[0] == ['scorer', *['DLC_mmotion'] * 6]
    assert rows[1] == ['bodyparts', *['nose'] * 3, *['tail'] * 3]
    assert rows[2] == ['coords', *['x', 'y', 'likelihood'] * 2]
    # a row for every frame from 0, as those who read them count rows
    assert [row[0] for row in rows[3:]] == [*'0123456789']
    np.testing.assert_allclose(np.array(rows[3:], float)[:, 1:], watched(tracks), atol=1e-6)
    again = read_annotations(path)
    assert again.frames == tuple(range(10))
    np.testing.assert_allclose(again.points[tracks.frames], tracks.keypoints, atol=1e-5)
    assert np.isnan(again.points).all(axis=(1, 2)).sum() == 7


def test_deeplabcut_hdf5_comes_back(tracks, tmp_path):
    pytest.importorskip('h5py')
    text, hdf5 = export_tracks(tracks, 'clip.mp4', tmp_path, ['deeplabcut', 'deeplabcut-h5'])
    again, expected = read_annotations(hdf5), read_annotations(text)
    assert (again.names, again.frames) == (expected.names, expected.frames)
    np.testing.assert_array_equal(again.points, expected.points)


def test_deeplabcut_comes_back_as_keypoints_of_a_video(tracks, tmp_path):
    pytest.importorskip('h5py')
    for path in export_tracks(tracks, 'clip.mp4', tmp_path, ['deeplabcut', 'deeplabcut-h5']):
        video = read_deeplabcut(path, fps=25)
        assert video.source == str(tmp_path / 'clip') and video.skeleton.points == tracks.names
        assert (video.num_frames, video.num_detections) == (10, 3)
        points, scores = video.main_track()
        np.testing.assert_allclose(points[tracks.frames], tracks.keypoints, rtol=1e-6)
        np.testing.assert_allclose(scores[tracks.frames], tracks.confidence, atol=1e-5)


def test_pandas_reads_deeplabcut(tracks, tmp_path):
    pandas = pytest.importorskip('pandas')
    (path,) = export_tracks(tracks, 'clip.mp4', tmp_path, ['deeplabcut'])
    found = pandas.read_csv(path, header=[0, 1, 2], index_col=0)
    assert found.index.tolist() == [*range(10)] and found.index.name is None
    np.testing.assert_allclose(found.to_numpy(), watched(tracks), atol=1e-6)
    # as DeepLabCut's tools select
    assert found['DLC_mmotion']['tail']['likelihood'].shape == (10,)


def test_pandas_reads_the_hdf5_as_the_csv(tracks, tmp_path):
    pandas = pytest.importorskip('pandas')
    pytest.importorskip('tables')
    text, hdf5 = export_tracks(tracks, 'clip.mp4', tmp_path, ['deeplabcut', 'deeplabcut-h5'])
    expected = pandas.read_csv(text, header=[0, 1, 2], index_col=0)
    pandas.testing.assert_frame_equal(pandas.read_hdf(hdf5), expected, check_index_type=False)


def test_pandas_reads_the_table(tracks, tmp_path):
    pandas = pytest.importorskip('pandas')
    (path,) = export_tracks(tracks, 'clip.mp4', tmp_path, ['csv'])
    found = pandas.read_csv(path)
    assert found['frame'].tolist() == [5, 6, 9]
    np.testing.assert_allclose(found['time_s'], [0.2, 0.24, 0.36], atol=1e-6)
    np.testing.assert_allclose(found['tail_confidence'], tracks.confidence[:, 1], rtol=1e-5)


@pytest.mark.parametrize('package', ['pycocotools', 'faster_coco_eval'])
def test_evaluators_read_coco(tracks, tmp_path, package):
    module = pytest.importorskip('pycocotools.coco' if package == 'pycocotools' else package)
    (path,) = export_tracks(tracks, 'clip.mp4', tmp_path, ['coco'])
    coco = module.COCO(str(path))
    assert coco.cats[1]['keypoints'] == ['nose', 'tail']
    for number, image in coco.imgs.items():
        (found,) = coco.imgToAnns[number]
        place = tracks.frames.tolist().index(image['frame_index'])
        points = np.reshape(found['keypoints'], (-1, 3))
        np.testing.assert_allclose(points[:, :2], tracks.keypoints[place], atol=1e-3)
        np.testing.assert_allclose(found['keypoint_scores'], tracks.confidence[place], atol=1e-5)


def test_sleap_reads_coco_beside_the_images(tracks, tmp_path):
    sleap_io = pytest.importorskip('sleap_io')
    (path,) = export_tracks(tracks, 'clip.mp4', tmp_path, ['coco'])
    (tmp_path / 'clip').mkdir()
    for frame in tracks.frames:
        picture = np.zeros((tracks.height, tracks.width, 3), np.uint8)
        assert cv2.imwrite(str(tmp_path / 'clip' / f'{frame:06d}.jpg'), picture)
    labels = sleap_io.load_coco(str(path))
    assert labels.skeleton.node_names == ['nose', 'tail'] and len(labels) == 3
    found = labels.numpy(untracked=True)[:, 0]
    np.testing.assert_allclose(found, tracks.keypoints, atol=1e-3)


@pytest.mark.parametrize('name', ['sleap', 'nwb'])
def test_sleap_io_reads_what_the_json_says(tracks, tmp_path, name):
    sleap_io = pytest.importorskip('sleap_io')
    (path,) = export_tracks(tracks, 'videos/clip.mp4', tmp_path, [name])
    assert path == tmp_path / f'clip.{"slp" if name == "sleap" else name}'
    said = json.loads(json.dumps(tracks.to_dict()))
    labels = getattr(sleap_io, f'load_{path.suffix[1:]}')(str(path))
    assert labels.skeleton.node_names == said['names']
    assert [frame.frame_idx for frame in labels] == said['frames']
    found = np.array([frame.predicted_instances[0].numpy(scores=True) for frame in labels])
    np.testing.assert_allclose(found[..., :2], said['keypoints'], atol=1e-3)
    np.testing.assert_allclose(found[..., 2], said['confidence'], atol=1e-5)


@pytest.mark.parametrize('layout', ['fixed', 'table'])
@pytest.mark.parametrize('text', [DEEPLABCUT, DEEPLABCUT_THREE_COLUMNS], ids=['path', 'parts'])
def test_hdf5_of_pandas_is_read_as_its_csv(tmp_path, layout, text):
    pandas = pytest.importorskip('pandas')
    pytest.importorskip('tables')
    source = write(tmp_path / 'a.csv', text)
    columns = 3 if text is DEEPLABCUT_THREE_COLUMNS else 1
    if columns == 3 and layout == 'table':
        pytest.skip('pandas writes no such table')
    frame = pandas.read_csv(source, header=[0, 1, 2], index_col=list(range(columns)))
    frame.to_hdf(tmp_path / 'a.h5', key='df_with_missing', mode='w', format=layout)
    one, other = read_annotations(source), read_annotations(tmp_path / 'a.h5')
    assert (one.names, one.frames) == (other.names, other.frames)
    np.testing.assert_array_equal(one.points, other.points)


@pytest.mark.parametrize(
    ('text', 'frames'),
    [
        pytest.param(
            DEEPLABCUT, ('labeled-data/m/img01.png', 'labeled-data/m/img07.png'), id='path'
        ),
        pytest.param(
            DEEPLABCUT_THREE_COLUMNS,
            ('labeled-data/m/img01.png', 'labeled-data/m/img07.png'),
            id='parts of the path',
        ),
        pytest.param(TABLE, (3, 9), id='table'),
    ],
)
def test_annotations_are_read(tmp_path, text, frames):
    found = read_annotations(write(tmp_path / 'a.csv', text))
    assert found.names == ('snout', 'tail')
    assert found.frames == frames
    np.testing.assert_array_equal(found.points[0], [[21.5, 265.25], [87.5, 152]])
    # half a point is none
    assert np.isnan(found.points[1]).all()


def test_animals_have_their_own_points(tmp_path):
    found = read_annotations(write(tmp_path / 'a.csv', DEEPLABCUT_ANIMALS))
    assert found.names == ('mus1_snout', 'tail')


def test_images_of_coco_are_in_the_order_of_their_names(tmp_path):
    content = {
        'images': [
            {'id': 1, 'file_name': 'b.png', 'width': 64, 'height': 48},
            {'id': 2, 'file_name': 'a.png', 'width': 64, 'height': 48},
        ],
        'annotations': [
            {
                'id': i, 'image_id': i, 'category_id': 1, 'bbox': [0, 0, 9, 9],
                'keypoints': [i, 2, 2, 0, 0, 0],
            }
            for i in (1, 2)
        ],
        'categories': [{'id': 1, 'name': 'mouse', 'keypoints': ['snout', 'tail']}],
    }  # fmt: skip
    found = read_annotations(write(tmp_path / 'a.json', json.dumps(content)))
    assert found.frames == ('a.png', 'b.png')
    assert found.points[:, 0].tolist() == [[2, 2], [1, 2]]
    assert np.isnan(found.points[:, 1]).all()


def test_numbers_in_names_are_ordered_by_value(tmp_path):
    images = [
        {'id': i, 'file_name': f'frame{i}.jpg', 'width': 64, 'height': 48} for i in range(1, 13)
    ]
    annotations = [
        {'image_id': i, 'category_id': 1, 'bbox': [0, 0, 9, 9], 'keypoints': [5 * i, 2, 0.9]}
        for i in range(1, 13)
    ]
    categories = [{'id': 1, 'name': 'mouse', 'keypoints': ['snout']}]
    content = {'images': images, 'annotations': annotations, 'categories': categories}
    found = read_annotations(write(tmp_path / 'a.json', json.dumps(content)))
    assert found.frames == tuple(f'frame{i}.jpg' for i in range(1, 13))
    assert found.points[:, 0, 0].tolist() == [*range(5, 65, 5)]


def test_two_scorers_are_refused(tmp_path):
    text = DEEPLABCUT.replace('scorer,me,me,me,me', 'scorer,me,me,you,you')
    text = text.replace('snout,snout,tail,tail', 'snout,snout,snout,snout')
    with pytest.raises(PoseFileError, match=r'a\.csv: .* several scorers \(me, you\); keep the'):
        read_annotations(write(tmp_path / 'a.csv', text))


def test_one_of_two_data_sets_is_deeplabcuts(tmp_path):
    h5py = pytest.importorskip('h5py')
    (path,) = export_tracks(make_tracks(names=('0', '1')), 'clip.mp4', tmp_path, ['deeplabcut-h5'])
    with h5py.File(path, 'r+') as file:
        file.copy('df_with_missing', 'an_older_one')
        # names that are numbers are so in DeepLabCut's files too
        for axis in ('axis0', 'block0_items'):
            group = file['df_with_missing']
            attributes = dict(group[f'{axis}_level1'].attrs)
            del group[f'{axis}_level1']
            group[f'{axis}_level1'] = np.array([0, 1])
            group[f'{axis}_level1'].attrs.update(attributes | {'kind': 'integer'})
        file['an_older_one/block0_values'][()] = 0
    found = read_annotations(path)
    assert found.names == ('0', '1')
    np.testing.assert_allclose(found.points[5], make_tracks().keypoints[0], atol=1e-5)
    with h5py.File(path, 'r+') as file:
        file.move('df_with_missing', 'a_new_one')
    with pytest.raises(PoseFileError, match=r'one data set or .* got a_new_one, an_older_one'):
        read_annotations(path)


def test_images_are_found_beside_and_above(tmp_path):
    folder = tmp_path / 'labeled-data' / 'm'
    folder.mkdir(parents=True)
    for name in ('img01.png', 'img07.png'):
        (folder / name).write_bytes(b'')
    found = read_annotations(write(folder / 'CollectedData_me.csv', DEEPLABCUT))
    assert found.find_images() == [folder / 'img01.png', folder / 'img07.png']
    moved = tmp_path / 'elsewhere'
    folder.rename(moved)
    found = read_annotations(moved / 'CollectedData_me.csv')
    assert found.find_images() == [moved / 'img01.png', moved / 'img07.png']
    (moved / 'img07.png').unlink()
    with pytest.raises(FileNotFoundError, match=r'got none for labeled-data/m/img07\.png'):
        found.find_images()
    with pytest.raises(ValueError, match='got the frame number 3; name the video'):
        read_annotations(write(tmp_path / 't.csv', TABLE)).find_images()


@pytest.mark.parametrize(
    ('name', 'text', 'message'),
    [
        pytest.param('a.csv', '', 'got the columns none', id='empty'),
        pytest.param('a.csv', 'time,x\n1,2\n', 'got the columns time, x', id='other table'),
        pytest.param('a.csv', 'frame,a_x,a_y\n', 'no annotated frame', id='no row'),
        pytest.param('a.csv', 'frame,a_x,a_y\n1,zwei,3\n', "'zwei'", id='text for a number'),
        pytest.param(
            'a.csv', DEEPLABCUT + 'img.png,1\n', '2 instead of 5 values in row 6', id='cut'
        ),
        pytest.param('a.json', '{}', 'must be COCO keypoints', id='JSON'),
    ],
)
def test_broken_files_are_named(tmp_path, name, text, message):
    path = write(tmp_path / name, text)
    with pytest.raises(PoseFileError, match=message) as error:
        read_annotations(path)
    assert str(path) in str(error.value)
    assert 'h5py' not in str(error.value)


def test_broken_hdf5_is_named(tmp_path):
    pytest.importorskip('h5py')
    (path,) = export_tracks(make_tracks(), 'clip.mp4', tmp_path, ['deeplabcut-h5'])
    content = path.read_bytes()
    for mark in (b'HEAP', b'TREE', b'SNOD'):
        path.write_bytes(content.replace(mark, bytes(4)))
        with pytest.raises(PoseFileError, match=r'clip\w*\.h5: the file must be HDF5'):
            read_annotations(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'no\.csv, which is none'):
        read_annotations(tmp_path / 'no.csv')


def test_hdf5_that_could_run_code_is_refused(tmp_path):
    h5py = pytest.importorskip('h5py')
    with h5py.File(tmp_path / 'a.h5', 'w') as file:
        group = file.create_group('df_with_missing')
        group.create_group('table')
        group.attrs['non_index_axes'] = np.bytes_(b'cos\nsystem\n.')
    with pytest.raises(PoseFileError, match='system in it, which is not read'):
        read_annotations(tmp_path / 'a.h5')
    write(tmp_path / 'b.h5', 'no HDF5')
    with pytest.raises(PoseFileError, match='must be HDF5 as DeepLabCut writes it'):
        read_annotations(tmp_path / 'b.h5')


def test_formats_are_checked_before_anything_is_written(tracks, tmp_path, monkeypatch):
    with pytest.raises(ValueError, match=f"among {', '.join(FORMATS)}, got 'lightning'"):
        export_tracks(tracks, 'clip.mp4', tmp_path, ['csv', 'lightning'])
    monkeypatch.setitem(sys.modules, 'h5py', None)
    with pytest.raises(
        ImportError, match=r'must have the package h5py.*pip install "mmotion\[deeplabcut\]"'
    ):
        export_tracks(tracks, 'clip.mp4', tmp_path, ['csv', 'deeplabcut-h5'])
    monkeypatch.setitem(sys.modules, 'sleap_io', None)
    for name in ('sleap', 'nwb'):
        with pytest.raises(ImportError, match=rf'{name} must have .*install "mmotion\[sleap\]"'):
            export_tracks(tracks, 'clip.mp4', tmp_path, ['csv', name])
    assert not list(tmp_path.iterdir())
    check_formats(['csv', 'deeplabcut'])


def test_real_annotations(data_root):
    path = data_root / f'{LABELLED}.csv'
    if not path.is_file():
        pytest.skip(f'needs {path}')
    found = read_annotations(path)
    assert found.names == ('snout', 'leftear', 'rightear', 'tailbase')
    assert found.points.shape == (116, 4, 2)
    assert all(image.is_file() for image in found.find_images())
    pytest.importorskip('h5py')
    other = read_annotations(path.with_suffix('.h5'))
    assert (other.names, other.frames) == (found.names, found.frames)
    np.testing.assert_allclose(other.points, found.points)
