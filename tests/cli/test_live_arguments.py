import argparse

import pytest

from mmotion.cli.live_arguments import add_live_arguments, open_alarm, open_live
from mmotion.inference.alarms import AlarmCommand
from tests.video_files import encode


def parse(*words, **more):
    parser = argparse.ArgumentParser()
    parser.add_argument('videos', nargs='+')
    add_live_arguments(parser)
    others = {'draw': False, 'attention': False, 'regions': None, 'export': [], 'resume': False}
    return argparse.Namespace(**vars(parser.parse_args(words)), **{**others, 'fps': None, **more})


def test_files_are_no_live_sources():
    assert open_live(parse('a.mp4', 'b.mp4')) is None


def test_a_stream():
    video = open_live(parse('rtsp://me:secret@cam/1', '--queue', '3', '--stall-s', '2'))
    assert video and video.name == 'rtsp://cam/1'


def test_a_file_as_a_test_camera(tmp_path):
    path = encode(tmp_path / 'a.mp4')
    video = open_live(parse(str(path), '--realtime'))
    assert video and video.name == str(path)


@pytest.mark.parametrize(
    ('words', 'more', 'message'),
    [
        (['a.mp4', '--stall-s', '2'], {}, '--stall-s must come with a camera, .* got a.mp4'),
        (['a.mp4', '--stats'], {}, '--stats must come with a camera, a stream or --realtime'),
        (['a.mp4', '--on-alarm', 'x'], {}, '--on-alarm must come with a camera'),
        (['udp://:1', 'a.mp4'], {}, 'a live source must be the only VIDEO, got 2'),
        (
            ['udp://:1'],
            {'draw': True},
            '--draw must be left out for a live source, got it',
        ),
        (['-'], {'regions': ['1']}, '--regions must be left out for a live source, got it with -'),
        (['a.mp4', '--realtime'], {'resume': True}, '--resume must be .* got it with --realtime'),
        (['udp://:1', '--realtime'], {}, 'realtime must come with a file'),
        (['udp://:1', '--queue', '0'], {}, 'queue must be at least 1, got queue=0'),
        (['ftp://host/a'], {}, 'a stream must be one of rtsp'),
    ],
)
def test_wrong_use(words, more, message):
    with pytest.raises(ValueError, match=message):
        open_live(parse(*words, **more))


class Counter:
    has_alarms = False


class Detector:
    has_alarms = True


def test_a_command_needs_alarms():
    assert isinstance(open_alarm('true', Detector, 'door'), AlarmCommand)
    with pytest.raises(ValueError, match='a predictor that raises alarms, got Counter; take one'):
        open_alarm('true', Counter, 'door')
    assert open_alarm(None, Counter, 'door') is None
