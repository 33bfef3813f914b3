import dataclasses
import sys

import numpy as np
import pytest

from mmotion.keypoints.poses import Person, PoseVideo
from mmotion.keypoints.skeletons import Skeleton
from mmotion.keypoints.sleap import import_sleap, write_nwb, write_sleap

ARMS = Skeleton('arms', ('left', 'neck', 'right'), edges=((0, 1), (1, 2)), mirror=(2, 1, 0))
FPS = 30000 / 1001


def make_poses(track=3, frame_times_s=None):
    """One person in frames 2, 3 and 7, of whom one point is missing, and nobody in frame 5."""
    rng = np.random.default_rng(0)

    def person():
        points = rng.uniform(10, 400, (3, 2))
        points[1] = np.nan
        scores = rng.uniform(0.1, 1, 3)
        return (Person(keypoints=points, scores=scores, score=0.75, track=track),)

    return PoseVideo(
        source='videos/clip.mp4',
        fps=FPS,
        width=640,
        height=480,
        num_frames=20,
        detector='somebody',
        skeleton=ARMS,
        frame_indices=[2, 3, 5, 7],
        frame_times_s=frame_times_s,
        frames=(person(), person(), (), person()),
    )


def assert_frames(labels, poses):
    """Compare the frames that show somebody."""
    shown = [frame for frame in labels if len(frame.instances)]
    seen = [i for i, persons in enumerate(poses.frames) if persons]
    assert [frame.frame_idx for frame in shown] == poses.frame_indices[seen].tolist()
    for frame, place in zip(shown, seen, strict=True):
        (instance,), (person,) = frame.predicted_instances, poses.frames[place]
        found = instance.numpy(scores=True, invisible_as_nan=False)
        np.testing.assert_allclose(found[:, :2], person.keypoints, atol=1e-4)
        there = ~np.isnan(person.keypoints[:, 0])
        np.testing.assert_allclose(found[there, 2], person.scores[there], atol=1e-6)


@pytest.mark.parametrize('track', [3, None])
def test_slp_comes_back(tmp_path, track):
    sleap_io = pytest.importorskip('sleap_io')
    poses = make_poses(track)
    write_sleap(poses, tmp_path / 'a.slp')
    assert [path.name for path in tmp_path.iterdir()] == ['a.slp']
    labels = sleap_io.load_slp(str(tmp_path / 'a.slp'))
    assert labels.skeleton.name == 'arms'
    assert labels.skeleton.node_names == [*ARMS.points]
    assert labels.skeleton.edge_inds == [*ARMS.edges]
    assert labels.skeleton.symmetry_inds == [(0, 2)]
    assert labels.video.filename.endswith('videos/clip.mp4')
    assert [frame.frame_idx for frame in labels] == [2, 3, 5, 7]
    assert [found.name for found in labels.tracks] == ([] if track is None else ['track3'])
    assert_frames(labels, poses)


@pytest.mark.parametrize('times_s', [None, (0.05, 0.1, 0.2, 0.4)], ids=['even', 'uneven'])
def test_nwb_has_the_time_of_each_frame(tmp_path, times_s):
    pytest.importorskip('sleap_io')
    pynwb = pytest.importorskip('pynwb')
    poses = make_poses(frame_times_s=times_s)
    write_nwb(poses, tmp_path / 'a.nwb')
    assert [path.name for path in tmp_path.iterdir()] == ['a.nwb']
    with pynwb.NWBHDF5IO(str(tmp_path / 'a.nwb'), 'r') as file:
        pose = file.read().processing['SLEAP_VIDEO_000']['track3']
        assert [*pose.skeleton.nodes] == [*ARMS.points]
        assert pose.skeleton.edges[:].tolist() == [[0, 1], [1, 2]]
        assert pose.description == 'in a picture of 640 x 480 pixels'
        keypoints, scores = poses.track(3)
        for i, name in enumerate(ARMS.points):
            series = pose[name]
            found_s = series.timestamps[:]
            assert len(found_s) == 8 and (np.diff(found_s) > 0).all()
            # frames before the first that was looked at had times below 0
            assert found_s[0] == 0
            np.testing.assert_allclose(found_s[poses.frame_indices], poses.times_s, atol=1e-9)
            np.testing.assert_array_equal(series.data[:][poses.frame_indices], keypoints[:, i])
            np.testing.assert_array_equal(series.confidence[:][poses.frame_indices], scores[:, i])
            assert np.isnan(series.data[:][[0, 1, 4, 6]]).all()


def test_sleap_io_reads_the_nwb(tmp_path, monkeypatch):
    sleap_io = pytest.importorskip('sleap_io')
    # its reader takes `np.empty(())`, whatever is in that memory, as one more time of a frame
    # (0.9.5, nwb_predictions.py): another number than 0 shifts all frames by one
    monkeypatch.setattr(np, 'empty', np.zeros)
    poses = make_poses()
    write_nwb(poses, tmp_path / 'a.nwb')
    labels = sleap_io.load_nwb(str(tmp_path / 'a.nwb'))
    assert labels.skeleton.node_names == [*ARMS.points]
    assert_frames(labels, poses)


def test_nwb_needs_tracks(tmp_path):
    pytest.importorskip('sleap_io')
    empty = dataclasses.replace(make_poses(), frames=((),) * 4)
    for poses, count in ((make_poses(track=None), 3), (empty, 0)):
        with pytest.raises(ValueError, match=f'must have tracks for NWB, got {count} without'):
            write_nwb(poses, tmp_path / 'a.nwb')
    assert not list(tmp_path.iterdir())


def test_the_missing_package_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, 'sleap_io', None)
    for write in (write_sleap, write_nwb):
        with pytest.raises(
            ImportError, match=r'must have the package sleap-io, .*"mmotion\[sleap\]"'
        ):
            write(make_poses(), tmp_path / 'a.slp')
    with pytest.raises(ImportError, match='nwb must have the package'):
        import_sleap('nwb')
    assert not list(tmp_path.iterdir())
