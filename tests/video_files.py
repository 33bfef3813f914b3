"""Make the videos that the tests read: any codec, container, timing and damage."""

import struct
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

# frame n has the grey level 8 n, so that a decoded frame tells its own number
_LEVEL_STEP = 8
MAX_FRAMES = 256 // _LEVEL_STEP


def paint(number: int, height: int = 48, width: int = 64) -> np.ndarray:
    """Draw frame `number` of every video that `encode` makes."""
    return np.full((height, width, 3), _LEVEL_STEP * number, np.uint8)


def read_number(image: np.ndarray) -> int:
    """Tell which frame this is."""
    return round(float(image.mean()) / _LEVEL_STEP)


def encode(
    path: Path,
    images: Sequence[np.ndarray] | None = None,
    *,
    codec: str = 'libx264',
    pixel_format: str = 'yuv420p',
    fps: Fraction | int = 30,
    times_ms: Sequence[int] | None = None,
    rotation: int | None = None,
    mirrored: bool = False,
    **options: str,
) -> Path:
    """Encode images (24 painted ones by default), with B-frames and a keyframe every 6 frames.

    Args:
        path: File; its ending chooses the container.
        images: RGB (H, W, 3), uint8.
        codec: FFmpeg's name of the encoder.
        pixel_format: FFmpeg's name of the format to store.
        fps: Frames per second.
        times_ms: When each frame is shown; None for a constant rate.
        rotation: Degrees in the display matrix, counterclockwise, for MP4; None for no matrix.
        mirrored: Let the display matrix mirror left and right.
        options: Options of the encoder, or of the container for movflags.
    """
    images = [paint(number) for number in range(24)] if images is None else images
    if codec in ('libx264', 'mpeg4', 'mpeg2video'):
        options = {'g': '6', 'bf': '2'} | options
    if codec == 'mpeg4':
        options['qmax'] = '2'
    # the same bytes again: without random numbers and dates
    container_options = {'fflags': '+bitexact'}
    if 'movflags' in options:
        container_options['movflags'] = options.pop('movflags')
    with av.open(str(path), 'w', options=container_options) as container:
        stream = container.add_stream(codec, rate=fps, options=options)
        stream.height, stream.width = images[0].shape[:2]
        stream.pix_fmt = pixel_format
        if times_ms is not None:
            stream.codec_context.time_base = Fraction(1, 1000)
        for number, image in enumerate(images):
            frame = av.VideoFrame.from_ndarray(image, format='rgb24')
            if times_ms is not None:
                frame.pts, frame.time_base = times_ms[number], Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    if rotation is not None:
        _write_display_matrix(path, rotation, mirrored)
    return path


def _write_display_matrix(path: Path, rotation: int, mirrored: bool) -> None:
    """Set the matrix in the track header of an MP4 file (ISO 14496-12, 8.3.2)."""
    sine, cosine = ((0, 1), (1, 0), (0, -1), (-1, 0))[rotation // 90]
    across = -1 if mirrored else 1
    one = 1 << 16
    identity = struct.pack('>9i', one, 0, 0, 0, one, 0, 0, 0, 1 << 30)
    matrix = [across * cosine, -sine, 0, across * sine, cosine, 0, 0, 0]
    content = path.read_bytes()
    track = content.index(b'tkhd')
    turned = struct.pack('>9i', *(one * value for value in matrix), 1 << 30)
    path.write_bytes(content[:track] + content[track:].replace(identity, turned, 1))


def copy_photos(path: Path, *, orientation: int = 1, frames: int = 24) -> Path:
    """Copy JPEGs with EXIF, as cameras write them, into a container without encoding them again.

    Args:
        path: File; its ending chooses the container.
        orientation: EXIF's, 1 is upright and 6 turned by 90 degrees.
        frames: How many of the painted ones.
    """
    directory = struct.pack('<HHHIHHI', 1, 0x0112, 3, 1, orientation, 0, 0)
    body = b'Exif\0\0II*\0' + struct.pack('<I', 8) + directory
    exif = b'\xff\xe1' + struct.pack('>H', len(body) + 2) + body
    with av.open(str(path), 'w') as container:
        stream = container.add_stream('mjpeg', rate=30)
        stream.height, stream.width = paint(0).shape[:2]
        stream.pix_fmt, stream.time_base = 'yuvj420p', Fraction(1, 30)
        for number in range(frames):
            jpeg = cv2.imencode('.jpg', paint(number))[1].tobytes()
            packet = av.Packet(jpeg[:2] + exif + jpeg[2:])
            packet.pts = packet.dts = number
            packet.duration, packet.time_base = 1, Fraction(1, 30)
            packet.stream, packet.is_keyframe = stream, True
            container.mux(packet)
    return path


def encode_sound(path: Path, cover: np.ndarray | None = None) -> Path:
    """Encode a short silence, with or without a cover picture."""
    with av.open(str(path), 'w') as container:
        stream = container.add_stream('mp3' if path.suffix == '.mp3' else 'aac', rate=44100)
        if cover is not None:
            picture = container.add_stream('png')
            picture.height, picture.width = cover.shape[:2]
            picture.pix_fmt = 'rgb24'
            picture.disposition = av.stream.Disposition.attached_pic
            container.mux(picture.encode(av.VideoFrame.from_ndarray(cover, format='rgb24')))
            container.mux(picture.encode(None))
        for number in range(20):
            frame = av.AudioFrame.from_ndarray(np.zeros((2, 1024), np.float32), format='fltp')
            frame.sample_rate, frame.pts = 44100, 1024 * number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def cut_start(source: Path, target: Path, *, frames: int) -> Path:
    """Copy packets with their times shifted, so that an edit list hides the first frames."""
    with av.open(str(source)) as reader, av.open(str(target), 'w') as writer:
        stream = reader.streams.video[0]
        copy = writer.add_stream_from_template(stream)
        shift = round(frames / (stream.average_rate * stream.time_base))
        for packet in reader.demux(stream):
            if packet.size:
                packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
                packet.stream = copy
                writer.mux(packet)
    return target


def trim(source: Path, target: Path, *, start_ms: int, end_ms: int) -> Path:
    """Copy packets of a file that begins with its only keyframe, so that an edit list trims it."""
    with av.open(str(source)) as reader, av.open(str(target), 'w') as writer:
        stream = reader.streams.video[0]
        copy = writer.add_stream_from_template(stream)
        for packet in reader.demux(stream):
            if packet.size and packet.dts < round(end_ms / 1000 / packet.time_base):
                shift = round(start_ms / 1000 / packet.time_base)
                packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
                packet.stream = copy
                writer.mux(packet)
    return target


def truncate(source: Path, target: Path, *, part: float) -> Path:
    """Copy the first part of a file's bytes."""
    content = source.read_bytes()
    target.write_bytes(content[: int(len(content) * part)])
    return target
