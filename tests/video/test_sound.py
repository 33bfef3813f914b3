"""Sound in the copy of a video: a beep is heard where it was, whatever is copied."""

from pathlib import Path

import av
import numpy as np
import pytest

from mmotion.video.sound import open_sound
from mmotion.video.writer import VideoWriter
from tests.video_files import MAX_FRAMES, paint

RATE = 16_000
FPS = 25
# of the 3 s of each video
BEEP_S = 1.5


def write_video(path: Path, codec: str, *, video_from_s: float = 0.0) -> Path:
    """75 frames and a beep of 0.1 s."""
    samples = np.zeros((1, 3 * RATE), np.int16)
    first = round((video_from_s + BEEP_S) * RATE)
    samples[0, first : first + RATE // 10] = 20_000 * np.sin(np.arange(RATE // 10) * 0.5)
    with av.open(str(path), 'w') as container:
        video = container.add_stream('libx264', rate=FPS)
        video.width, video.height, video.pix_fmt = 64, 48, 'yuv420p'
        sound = container.add_stream(codec, rate=RATE, layout='mono')
        frame = av.AudioFrame.from_ndarray(samples, format='s16', layout='mono')
        frame.sample_rate, frame.pts = RATE, 0
        resampler = av.AudioResampler(sound.format, 'mono', RATE, sound.frame_size or 1024)
        frames = [*resampler.resample(frame), *resampler.resample(None)]
        packets = [packet for part in [*frames, None] for packet in sound.encode(part)]
        for packet in packets:
            container.mux(packet)
        for number in range(3 * FPS):
            picture = av.VideoFrame.from_ndarray(paint(number % MAX_FRAMES), format='rgb24')
            picture.pts = number + round(video_from_s * FPS)
            container.mux(video.encode(picture))
        container.mux(video.encode(None))
    return path


def copy(path: Path, target: Path, start_s: float = 0.0, end_s: float = 3.0) -> Path:
    """Write as many frames as there are from one time to another, with the sound of a video."""
    sound = open_sound(path, start_s=start_s, end_s=end_s)
    with VideoWriter(target, fps=FPS, sound=sound) as writer:
        for number in range(round((end_s - start_s) * FPS)):
            writer.write(paint(number % MAX_FRAMES))
    return target


def find_beep(path: Path) -> tuple[str, float]:
    """What the sound is encoded by, and when the beep begins after the first frame."""
    with av.open(str(path)) as container:
        frame = next(container.decode(video=0))
        origin_s = float(frame.pts * frame.time_base)
        container.seek(0)
        stream = container.streams.audio[0]
        for frame in container.decode(stream):
            loud = np.flatnonzero(np.abs(frame.to_ndarray()[0].astype(float)) > 0.05)
            if len(loud):
                begin_s = float(frame.pts * frame.time_base) + loud[0] / frame.sample_rate
                return stream.codec_context.name, begin_s - origin_s
    raise AssertionError(f'no beep in {path}')


@pytest.mark.parametrize(
    ('name', 'codec', 'kept'),
    [
        pytest.param('clip.mp4', 'aac', 'aac', id='aac'),
        pytest.param('clip.mkv', 'libmp3lame', 'mp3float', id='mp3'),
        pytest.param('clip.ts', 'aac', 'aac', id='transport stream'),
        pytest.param('clip.mkv', 'pcm_s16le', 'aac', id='pcm'),
        pytest.param('clip.mkv', 'libopus', 'aac', id='opus'),
    ],
)
@pytest.mark.parametrize('start_s', [0.0, 1.0])
def test_a_beep_is_heard_where_it_was(tmp_path, name, codec, kept, start_s):
    path = write_video(tmp_path / name, codec)
    found, time_s = find_beep(copy(path, tmp_path / 'copy.mp4', start_s))
    assert found == kept
    # a packet of AAC lasts 64 ms at this rate
    assert time_s == pytest.approx(BEEP_S - start_s, abs=0.08)


def test_packets_are_copied_as_they_are(tmp_path):
    path = write_video(tmp_path / 'clip.mp4', 'aac')
    before, after = (
        [bytes(packet) for packet in av.open(str(file)).demux(audio=0) if packet.size]
        for file in (path, copy(path, tmp_path / 'copy.mp4'))
    )
    assert set(after) <= set(before) and len(after) >= len(before) - 3


def test_sound_and_pictures_lie_side_by_side(tmp_path):
    copied = copy(write_video(tmp_path / 'clip.mp4', 'aac'), tmp_path / 'copy.mp4')
    with av.open(str(copied)) as container:
        kinds = [packet.stream.type for packet in container.demux() if packet.size]
    assert {'audio', 'video'} == set(kinds[:20]) == set(kinds[-20:])


def test_sound_that_begins_before_the_pictures(tmp_path):
    path = write_video(tmp_path / 'clip.mkv', 'aac', video_from_s=0.4)
    assert find_beep(path)[1] == pytest.approx(BEEP_S, abs=0.08)
    assert find_beep(copy(path, tmp_path / 'copy.mp4'))[1] == pytest.approx(BEEP_S, abs=0.08)


def test_sound_ends_with_the_part(tmp_path):
    path = write_video(tmp_path / 'clip.mp4', 'aac')
    with av.open(str(copy(path, tmp_path / 'copy.mp4', 0.5, 1.0))) as container:
        packets = [packet for packet in container.demux(audio=0) if packet.pts is not None]
    assert float(packets[-1].pts * packets[-1].time_base) < 0.5 + 0.07


def test_a_video_without_sound_has_none(tmp_path):
    with VideoWriter(tmp_path / 'clip.mp4', fps=FPS) as writer:
        writer.write(paint(0))
    assert open_sound(tmp_path / 'clip.mp4', start_s=0.0, end_s=1.0) is None


def test_sound_that_is_broken_is_left_out_and_said(tmp_path):
    path = write_video(tmp_path / 'clip.mp4', 'aac')
    with av.open(str(path)) as container:
        places = [(packet.pos, packet.size) for packet in container.demux(audio=0) if packet.size]
    content = bytearray(path.read_bytes())
    for place, size in places:
        content[place : place + size] = b'\xff' * size
    path.write_bytes(content)
    with pytest.warns(UserWarning, match=r'must be readable, got none .*clip\.mp4; the copy has'):
        copied = copy(path, tmp_path / 'copy.mp4')
    with av.open(str(copied)) as container:
        assert not container.streams.audio
        assert sum(1 for _ in container.decode(video=0)) == 75
