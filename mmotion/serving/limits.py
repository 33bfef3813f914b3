"""What a server takes from others, and what it does not.

A file is refused by its header, before a frame of it is decoded. FFmpeg is told which kinds of
files may be opened at all: some, such as playlists, name further files that it would read.
"""

from dataclasses import dataclass
from pathlib import Path

# names of this machine for itself, which no other can use
LOOPBACK = ('127.0.0.1', 'localhost', '::1', '[::1]')
# FFmpeg's names of what cameras, phones and programs write; none refers to other files
FORMATS = (
    'mov',
    'mp4',
    'matroska',
    'webm',
    'avi',
    'asf',
    'flv',
    'gif',
    'ogg',
    'mpeg',
    'mpegts',
    'mjpeg',
    'mxf',
    'h264',
    'hevc',
    'ivf',
    'apng',
)
OPTIONS = {'format_whitelist': ','.join(FORMATS), 'protocol_whitelist': 'file'}


class RefusedError(ValueError):
    """A file that the server does not work on."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Bounds, all above 0.

    Args:
        max_bytes: Of an upload.
        max_seconds: Of a video, or of the part of it that is asked for.
        max_pixels: Of a picture: width times height. 4K has 8.8 million.
        max_queued: Jobs that wait.
        max_job_s: Seconds that a job may take.
        max_memory_mb: Resident memory of a worker process.
        keep_s: Seconds for which the results of a job are kept.
        max_stored_bytes: Of all uploads and results together.

    Raises:
        ValueError: If one is not above 0.
    """

    max_bytes: float = 1_000_000_000
    max_seconds: float = 600.0
    max_pixels: int = 10_000_000
    max_queued: int = 100
    max_job_s: float = 3600.0
    max_memory_mb: int = 6000
    keep_s: float = 86_400.0
    max_stored_bytes: int = 50_000_000_000

    def __post_init__(self) -> None:
        # the command line shows the bounds without numpy
        from mmotion.checks import check_positive

        for name, value in vars(self).items():
            check_positive(name, value)


def check_header(path: Path, limits: Limits, *, start_s: float, end_s: float | None) -> float:
    """Refuse a file that is no video, or has too large pictures or too many seconds.

    Args:
        path: The file.
        limits: Bounds.
        start_s: From when on it is looked at.
        end_s: Up to when; None for all of it.

    Returns:
        Seconds that will be looked at; 0 if the header does not tell.

    Raises:
        RefusedError: If it is.
    """
    import av

    try:
        with av.open(str(path), options=OPTIONS) as container:
            sizes = [(stream.width, stream.height) for stream in container.streams.video]
            duration_s = (container.duration or 0) / av.time_base
    except av.FFmpegError:
        sizes, duration_s = [], 0.0
    if not sizes:
        raise RefusedError(
            'the file must be a video, got one that is damaged or of another kind; send MP4, MOV, '
            'MKV, WebM, AVI, MPEG or GIF'
        )
    for width, height in sizes:
        if width * height > limits.max_pixels:
            raise RefusedError(
                f'pictures must have at most {limits.max_pixels} pixels, got {width} x {height}; '
                'scale the video down'
            )
    # a header may have no duration, or a wrong one: it is checked again while frames are read
    seconds = max(min(end_s or duration_s, duration_s) - start_s, 0.0)
    check_seconds(seconds, limits)
    return seconds


def check_seconds(seconds: float, limits: Limits) -> None:
    """Refuse more seconds than are looked at.

    Raises:
        RefusedError: If it is more.
    """
    if seconds > limits.max_seconds:
        raise RefusedError(
            f'a video must have at most {limits.max_seconds:g} s, got {seconds:.0f} s; cut it, or '
            'ask for a part of it by start_s and end_s'
        )
