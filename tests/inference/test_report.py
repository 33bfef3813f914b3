import json
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from mmotion.inference import load_model
from mmotion.inference.many_videos import predict_videos
from mmotion.inference.outputs import Outputs
from mmotion.inference.report import write_report
from mmotion.regions import Region
from mmotion.video.writer import VideoWriter

TOY = Path(__file__).parents[1] / 'toy' / 'toy.py'
NASTY = '<script>alert(1)</script>&"quoted".mp4'


class Page(HTMLParser):
    """What a page says and asks for."""

    def __init__(self, path):
        super().__init__()
        self.tags, self.links, self.words, self.policy = [], [], [], ''
        self.feed(path.read_text('utf-8'))

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.links += [value for name, value in attrs if name in ('src', 'href', 'srcset', 'data')]
        self.policy += dict(attrs).get('content') or ''

    def handle_data(self, data):
        if self.tags[-1:] != ['style']:
            self.words += [data.strip()] if data.strip() else []


def write_video(path, num_frames):
    with VideoWriter(path.with_name('plain.mp4'), fps=10.0) as writer:
        for level in range(num_frames):
            writer.write(np.full((32, 48, 3), 20 * level, np.uint8))
    return path.with_name('plain.mp4').rename(path)


@pytest.fixture
def predict(tmp_path):
    def run(videos, **options):
        regions = options.pop('regions', ())
        provenance = {'config': '/home/me/toy.py', 'checkpoint': '/home/me/epoch_3.pth'}
        outputs = Outputs(
            out_dir=tmp_path / 'out',
            settings={'version': '0.1.0'},
            provenance=provenance,
            **options,
        )
        predict_videos(load_model(TOY, 'random'), videos, outputs, regions=regions)
        return tmp_path / 'out'

    return run


@pytest.mark.parametrize('draw', [False, True])
def test_a_page_needs_nothing_else_and_runs_nothing(tmp_path, predict, draw):
    broken = tmp_path / '=broken.mp4'
    broken.write_bytes(b'no video')
    videos = [write_video(tmp_path / name, size) for name, size in (('a.mp4', 4), ('b.mp4', 6))]
    results = predict([*videos, broken], draw=draw)
    path = tmp_path / 'report.html'
    assert write_report(results, path, title=NASTY) == 2
    page = Page(path)
    assert not {'script', 'iframe', 'link', 'object', 'form'} & {*page.tags}
    assert all(link.startswith(('#video', 'data:image/')) for link in page.links)
    assert "default-src 'none'" in page.policy and 'width=device-width' in page.policy
    assert page.words[:2] == [NASTY, NASTY]
    for word in ('a.mp4', 'b.mp4', 'count', '4', '6', 'confidence', '100 %', 'failed'):
        assert word in page.words, word
    assert 'Made by mmotion 0.1.0, model toy, weights epoch_3.' in page.words
    assert page.words.count('ok') == 2
    # nothing of where they lie on this machine
    assert str(tmp_path) not in path.read_text()
    assert '/home' not in path.read_text()
    # stills, and what was drawn or a curve of each number
    assert page.tags.count('img') == 10 + 2 * draw
    assert page.tags.count('svg') == 0 if draw else page.tags.count('svg') > 1


def test_names_are_no_code(tmp_path, predict):
    results = predict([write_video(tmp_path / 'a.mp4', 4)])
    file = results / 'a.json'
    content = json.loads(file.read_text())
    content['made_from']['rows'] = [{'label': '<img src=x onerror=alert(1)>', 'score': 0.5}]
    content['made_from']['source']['path'] = '/x/<b>.mp4'
    content['config'] = '<i>.py'
    file.write_text(json.dumps(content))
    write_report(results, tmp_path / 'report.html')
    page = Page(tmp_path / 'report.html')
    assert '<img src=x onerror=alert(1)>' in page.words and '<b>.mp4' in page.words
    assert not {'b', 'i'} & {*page.tags} and 'x' not in page.links
    assert page.words[0] == 'Results of 1 video'


def test_regions_have_a_row_each(tmp_path, predict):
    regions = [Region(name=name, boxes_xyxy=[[0, 0, 20, 32]]) for name in ('left', 'right')]
    results = predict([write_video(tmp_path / 'a.mp4', 4)], regions=regions)
    write_report(results, tmp_path / 'report.html')
    page = Page(tmp_path / 'report.html')
    assert [page.words.count(word) for word in ('left', 'right', 'region')] == [2, 2, 2]


def test_a_page_stays_small_enough_for_mail(tmp_path, predict, monkeypatch):
    videos = [write_video(tmp_path / f'{n}.mp4', 6) for n in range(5)]
    results = predict(videos, draw=True)
    monkeypatch.setattr('mmotion.inference.report.MAX_BYTES', 100_000)
    write_report(results, tmp_path / 'report.html')
    assert 30_000 < (tmp_path / 'report.html').stat().st_size < 110_000


def test_what_is_left_out_is_said(tmp_path, predict, capsys):
    results = predict([write_video(tmp_path / name, 4) for name in ('a.mp4', 'b.mp4')])
    (results / 'a.json').write_bytes((results / 'a.json').read_bytes()[:100])
    assert write_report(results, tmp_path / 'report.html') == 1
    said = capsys.readouterr().err.splitlines()[-1]
    assert said == f'mmotion: {results / "a.json"}: left out, as it is no complete result'


def test_a_result_that_is_no_json_is_named(tmp_path, predict):
    file = predict([write_video(tmp_path / 'a.mp4', 4)]) / 'a.json'
    file.write_text(file.read_text().replace('"count":', '"count"', 1))
    with pytest.raises(ValueError, match=r'a result must be JSON, got .*a\.json; predict it again'):
        write_report(file.parent, tmp_path / 'report.html')


def test_results_that_are_not_there_are_refused(tmp_path):
    (tmp_path / 'other.json').write_text('{}')
    message = (
        'RESULTS must be a folder that "mmotion predict" has written, got .* without a complete'
    )
    with pytest.raises(ValueError, match=message):
        write_report(tmp_path, tmp_path / 'report.html')
    assert not (tmp_path / 'report.html').exists()
