"""Every writer on a disk that is full, fills up or is read-only: our words, and nothing lost."""

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from mmotion.atomic import hold_folder
from mmotion.checkpoint.weights import save_checkpoint_file, save_safetensors
from mmotion.cli.commands.publish import publish
from mmotion.keypoints.arrays import write_mmaction_pickle
from mmotion.keypoints.coco import write_coco
from mmotion.keypoints.files import write_poses
from mmotion.keypoints.skeletons import COCO17
from mmotion.keypoints.sleap import write_nwb, write_sleap
from mmotion.metrics import plot_confusion
from mmotion.tables import append_row, write_table
from mmotion.video.pictures import write_picture
from mmotion.video.writer import VideoWriter
from mmotion.visualization.results import save_figure
from projects.anomaly.cache import EmbeddingCache
from projects.anomaly.metrics import plot_roc
from projects.bkind.export import export_tracks
from projects.bkind.results import KeypointTracks
from tests.command_lines import TOY, run
from tests.pose_videos import make_video
from tests.stopping import fill, make_read_only, mount_small_disk, read_all

# what is left on a disk that fills up, less than any writer below has to write
ROOM = 1 << 14
NOISE = np.random.default_rng(0).integers(0, 256, (200, 200, 3), dtype=np.uint8)
ROWS = [[number, 'a word'] for number in range(9000)]
TENSORS = {'weight': torch.arange(20_000.0)}
POSES = make_video(200, labels={'label': 'walk'})
TRACKS = KeypointTracks(
    keypoints=np.ones((900, 8, 2), np.float32),
    confidence=np.ones((900, 8), np.float32),
    covariance=np.ones((900, 8, 3), np.float32),
    frames=np.arange(900),
    names=tuple('abcdefgh'),
    fps=25.0,
    width=10,
    height=10,
)


class Nobody:
    """Finds nobody."""

    name = 'nobody'
    skeleton = COCO17

    def detect(self, images):
        return [[] for _ in images]


def write_overlay(path):
    with VideoWriter(path, fps=10.0) as writer:
        for _ in range(30):
            writer.write(NOISE)


def write_plot(path):
    figure = Figure()
    figure.subplots().imshow(NOISE)
    save_figure(figure, path)


def export(format):
    return lambda path: export_tracks(TRACKS, 'clip.mp4', path.parent, [format])


def publish_weights(path):
    source = path.parents[1] / 'trained.pth'
    torch.save({'state_dict': TENSORS}, source)
    publish(source, path)


def hold(path):
    with hold_folder(path.parent, remedy='wait'):
        write_table(path, ['number', 'word'], ROWS)


WRITERS = {
    'a.json poses': lambda path: write_poses(POSES, path),
    'a.json coco': lambda path: write_coco(POSES, path),
    'a.slp sleap': lambda path: write_sleap(POSES, path),
    'a.nwb nwb': lambda path: write_nwb(POSES, path),
    'a.pkl mmaction': lambda path: write_mmaction_pickle([POSES], path),
    'clip.csv deeplabcut': export('deeplabcut'),
    'clip.h5 deeplabcut-h5': export('deeplabcut-h5'),
    'a.csv table': lambda path: write_table(path, ['number', 'word'], ROWS),
    'a.csv held folder': hold,
    'a.csv row': lambda path: append_row(path, ['a word' * 9000]),
    'a.png picture': lambda path: write_picture(path, NOISE),
    'a.png plot': write_plot,
    'a.png confusion': lambda path: plot_confusion(np.eye(9, dtype=int), list('abcdefghi'), path),
    'a.png roc': lambda path: plot_roc(np.arange(9.0), np.arange(9.0) + 3, path),
    'a.mp4 overlay': write_overlay,
    'a.mkv overlay': write_overlay,
    'a.pth checkpoint': lambda path: save_checkpoint_file({'state_dict': TENSORS}, path),
    'a.safetensors weights': lambda path: save_safetensors(TENSORS, path, {}),
    'a.pth publish': publish_weights,
}
# of extras, by what is written
PACKAGES = {'sleap': 'sleap_io', 'nwb': 'sleap_io', 'deeplabcut-h5': 'h5py'}
REASONS = {
    'full': 'No space left on device',
    'fills up': 'No space left on device',
    'read-only': 'Read-only file system',
}


@pytest.fixture(params=REASONS)
def disk(tmp_path, request):
    """A disk with an earlier file of each name, which then takes no more; and why."""
    with mount_small_disk(tmp_path / 'disk') as place:
        for name in {writer.split()[0] for writer in WRITERS}:
            (place / name).write_bytes(b'earlier')
        if request.param == 'read-only':
            make_read_only(place)
        else:
            ballast = fill(place)
            if request.param == 'fills up':
                with open(ballast, 'r+b') as file:
                    file.truncate(ballast.stat().st_size - ROOM)
        yield place, REASONS[request.param]


@pytest.mark.parametrize('writer', WRITERS)
def test_a_writer_says_so_and_loses_nothing(disk, writer):
    if package := PACKAGES.get(writer.split()[1]):
        pytest.importorskip(package)
    place, reason = disk
    path = place / writer.split()[0]
    before = read_all(place)
    with pytest.raises((OSError, ValueError)) as caught:
        WRITERS[writer](path)
    message = str(caught.value)
    assert reason in message and str(path.parent) in message, message
    assert 'make room there' in message or 'check the space on the disk' in message
    after = read_all(place)
    after.pop('.lock', None)
    # the beginning of a row may be there, which `may_be_torn` leaves out
    if writer == 'a.csv row':
        assert after.pop('a.csv').startswith(before.pop('a.csv'))
    assert after == before


def test_the_cache_of_embeddings_does_without(disk):
    place, _ = disk
    cache = EmbeddingCache(place / 'cache')
    before = read_all(place)
    for number in range(3):
        cache.store(f'{number:02x}' * 32, np.ones(90_000, np.float32))
    assert read_all(place) == before


@pytest.mark.parametrize('disk', ['full', 'read-only'], indirect=True)
@pytest.mark.parametrize(
    'words',
    [
        pytest.param(['extract-keypoints', '{tmp}/videos', '--out', '{disk}'], id='extract'),
        pytest.param(['train', TOY, '--work-dir', '{disk}/work'], id='train'),
        pytest.param(['print-config', TOY, '--out', '{disk}/a.py'], id='print-config'),
    ],
)
def test_a_command_says_so_in_one_line(disk, tmp_path, capsys, monkeypatch, words):
    place, reason = disk
    monkeypatch.setattr('mmotion.keypoints.detectors.build_detector', lambda *_: Nobody())
    with VideoWriter(tmp_path / 'videos' / 'clip.mp4', fps=10.0) as writer:
        writer.write(NOISE)
    before = read_all(place)
    code, _, error = run(capsys, *(word.format(tmp=tmp_path, disk=place) for word in words))
    assert code == 2
    assert reason in error and str(place) in error and 'Traceback' not in error
    assert 'make room' in error
    assert {name: read_all(place)[name] for name in before} == before
