import json
import os

import pytest
import simplejson

from mmotion.inference.outputs import Outputs


class Count:
    num_frames, fps, num_lost, start_s = 6, 10.0, 0, 1.5

    def to_dict(self):
        return {'count': 3, 'rate': float('nan')}


class Painter:
    """Draws, or fails to."""

    def __init__(self, fails=False):
        self.fails = fails

    def draw(self, video, result, out_dir):
        if self.fails:
            raise OSError('no room')
        file = out_dir / f'{video.stem}_overlay.mp4'
        file.write_text('drawn')
        return [file]


@pytest.fixture
def video(tmp_path):
    file = tmp_path / 'clip.mp4'
    file.write_bytes(b'abc')
    return file


def write(outputs, video, predictor=None):
    record = outputs.make_record(video)
    return outputs.write(predictor or Painter(), video, Count(), 'clip', record)


def test_the_file_of_a_result_is_as_simplejson_writes_it(tmp_path, video):
    outputs = Outputs(out_dir=tmp_path / 'out', provenance={'config': 'c.py'})
    (file,) = write(outputs, video)
    content = {**Count().to_dict(), 'video': str(video), 'config': 'c.py'}
    assert file.read_text() == simplejson.dumps(content, ignore_nan=True)
    # nothing is said of how it was made
    assert outputs.explain(video, 'clip') == 'its result does not say that it is complete'


def test_what_is_done_is_known_until_something_changes(tmp_path, video):
    outputs = Outputs(out_dir=tmp_path / 'out', draw=True, settings={'fps': None})
    assert outputs.explain(video, 'clip') == ''
    file, overlay = write(outputs, video)
    assert outputs.explain(video, 'clip') is None
    assert json.loads(file.read_text())['count'] == 3

    other = Outputs(out_dir=tmp_path / 'out', draw=False, settings={'fps': 30.0})
    assert other.explain(video, 'clip') == 'not as before: fps, draw'
    os.utime(video, ns=(1, 1))
    assert outputs.explain(video, 'clip') == 'not as before: video'
    write(outputs, video)
    overlay.unlink()
    assert outputs.explain(video, 'clip') == 'not as before: clip_overlay.mp4'


def test_stills_of_what_was_drawn_belong_to_the_result(tmp_path, video, monkeypatch):
    made = []

    def make_still(video, kind, start_s):
        made.append((video.name, kind, start_s))
        path = video.with_suffix(f'.{kind}')
        path.write_text('')
        return path

    monkeypatch.setattr('mmotion.visualization.stills.make_still', make_still)
    outputs = Outputs(out_dir=tmp_path / 'out', draw=True, stills=['gif', 'sheet'], settings={})
    assert len(write(outputs, video)) == 4
    assert made == [('clip_overlay.mp4', kind, 1.5) for kind in ('gif', 'sheet')]
    assert outputs.explain(video, 'clip') is None
    fewer = Outputs(out_dir=tmp_path / 'out', draw=True, settings={})
    assert fewer.explain(video, 'clip') == 'not as before: stills'


def test_a_result_is_kept_if_it_cannot_be_drawn(tmp_path, video):
    outputs = Outputs(out_dir=tmp_path / 'out', draw=True, settings={})
    with pytest.raises(OSError, match='no room'):
        write(outputs, video, Painter(fails=True))
    assert json.loads((tmp_path / 'out' / 'clip.json').read_text())['count'] == 3
    # and an overlay of before does not make it complete
    (tmp_path / 'out' / 'clip_overlay.mp4').write_text('of before')
    assert outputs.explain(video, 'clip') == 'its result does not say that it is complete'


def test_the_place_of_a_large_result_is_checked_without_reading_it(tmp_path, video, monkeypatch):
    outputs = Outputs(out_dir=tmp_path / 'out', settings={})
    write(outputs, video)
    monkeypatch.setattr('mmotion.inference.outputs.check_origin', None)
    outputs.check_places(video, 'clip')


def test_a_folder_that_takes_nothing_is_refused(tmp_path):
    (tmp_path / 'file').write_text('')
    for folder in ('file', 'file/below'):
        with pytest.raises(OSError, match='must be a folder that can be written to'):
            Outputs(out_dir=tmp_path / folder).check(object)
    Outputs(out_dir=tmp_path / 'new' / 'below').check(object)
    assert not (tmp_path / 'new').exists()
