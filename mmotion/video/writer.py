"""Write a video that plays everywhere."""

import math
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, cast

import av
import numpy as np
from av.video.plane import VideoPlane
from av.video.reformatter import Colorspace, VideoReformatter
from numpy.typing import ArrayLike

from mmotion.atomic import write_atomically
from mmotion.video.decode import DecodedFrame, VideoFrame
from mmotion.video.scan import VideoError
from mmotion.video.sound import Sound

# crf: 0 is lossless, 18 hard to tell from the original, 51 the worst
_ENCODER_OPTIONS = {'crf': '18', 'preset': 'superfast'}
# in half of the time: a file that is a third larger or, where its size is limited, a decibel worse;
# what hides the edges of blocks, and codes them well, stays, and so does the look ahead,
# without which a limit can leave next to nothing for some of them
_HASTY_OPTIONS = {
    'crf': '18',
    'preset': 'ultrafast',
    'x264-params': 'cabac=1:deblock=1,0,0:rc-lookahead=10',
}
# the values of AVCOL_PRI_BT709, AVCOL_TRC_BT709 and AVCOL_SPC_BT709, and of AVCOL_RANGE_MPEG and
# AVCOL_RANGE_UNSPECIFIED
_BT709 = 1
_LIMITED_RANGE, _UNKNOWN_RANGE = 1, 0
# by AVCOL_SPC: BT.709, and BT.601 as AVCOL_SPC_UNSPECIFIED, of 625 and of 525 lines
_MATRICES = {
    _BT709: Colorspace.ITU709,
    2: Colorspace.ITU601,
    5: Colorspace.ITU601,
    6: Colorspace.ITU601,
}
# bits a second that no H.264 of this quality reaches; FFmpeg's numbers end at twice as many
_NO_LIMIT = 1_000_000_000
# x264 takes no more
MAX_SIDE_PX = 16384
# of frames that are not evenly spaced, as cameras have it
_TICKS_A_SECOND = 90_000


class Colors(NamedTuple):
    """What the numbers of a video mean, in FFmpeg's values, those of H.273."""

    space: int
    range: int
    primaries: int
    transfer: int


class VideoWriter:
    """Write frames to a video in H.264, yuv420p and BT.709.

    The file appears when the block ends without an error, and not at all otherwise. Its sides are
    even, as this format wants them: an odd one gets its last row or column twice.

    Args:
        path: File to write, ending in .mp4, .mov or .mkv; an existing one is replaced.
        fps: Frames per second, kept to the nearest fraction with a denominator up to 100000.
        times_s: When each frame is shown (N,), rising; the file begins with the first. None if they
            are evenly spaced.
        sound: What is heard with it, from `open_sound`; closed when the block ends.
        max_rate: Bits a second that its pictures may take, None for as many as look like the
            frames.
        hasty: Encode in half of the time, and not as small, for what is looked at once.

    Raises:
        VideoError: If an argument or a frame is not as described, there is no frame at all, or
            FFmpeg cannot write the file.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / 'brighter.mp4'
        >>> with VideoWriter(path, fps=29.97) as writer:
        ...     for level in range(10):
        ...         writer.write(np.full((48, 64, 3), level, np.uint8))
        >>> path.exists()
        True
    """

    def __init__(
        self,
        path: str | Path,
        *,
        fps: float,
        times_s: ArrayLike | None = None,
        sound: Sound | None = None,
        max_rate: float | None = None,
        hasty: bool = False,
    ) -> None:
        self.path = Path(path)
        self.fps = fps
        self.num_frames = 0
        if self.path.suffix.lower() not in ('.mp4', '.mov', '.mkv'):
            raise VideoError(f'path must end in .mp4, .mov or .mkv, got path={path}; rename it')
        if not (math.isfinite(fps) and fps >= 0.001):
            raise VideoError(f'fps must be finite and at least 0.001, got fps={fps} for {path}')
        self._times_s = None if times_s is None else np.asarray(times_s, np.float64)
        self._sound, self._max_rate = sound, max_rate
        self._options = _HASTY_OPTIONS if hasty else _ENCODER_OPTIONS
        self._shape: tuple[int, ...] = ()
        self._reformatter = VideoReformatter()
        self._colors = Colors(_BT709, _LIMITED_RANGE, _BT709, _BT709)
        self._files = ExitStack()
        self._temporary: Path | None = None
        self._container: av.container.OutputContainer | None = None

    def __enter__(self) -> 'VideoWriter':
        self._temporary = self._files.enter_context(write_atomically(self.path.absolute()))
        # undone from the last to the first: flush, close, then rename or, after an error, delete
        self._files.callback(self._close)
        self._files.push(self._flush)
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._files.__exit__(error_type, error, traceback)

    def write(self, image: np.ndarray) -> None:
        """Append a frame.

        Args:
            image: RGB (H, W, 3), uint8, as large as the first one.
        """
        image = np.asarray(image)
        self._check(image, image.shape)
        height, width = image.shape[:2]
        if height % 2 or width % 2:
            image = np.pad(image, ((0, height % 2), (0, width % 2), (0, 0)), mode='edge')
        with _as_video_error(self.path):
            self._encode(self._to_yuv(image))

    def write_above(self, frame: VideoFrame, strip: np.ndarray) -> None:
        """Append a frame with a strip below it, as stored in its file where that can be.

        Its pixels are then copied as they are. The colours of the file are those of its first
        frame, where that is stored in BT.709, BT.601 or says nothing, in the limited range.

        Args:
            frame: The frame; above the strip as large as the first one.
            strip: RGB (h, W, 3), uint8, h >= 0.
        """
        yuv = frame.yuv if isinstance(frame, DecodedFrame) else None
        if yuv is None or not self._takes_colors(yuv):
            self.write(np.concatenate([frame.image, strip]))
            return
        self._check(strip, (yuv.height + len(strip), *strip.shape[1:]))
        strip = np.pad(strip, ((0, len(strip) % 2), (0, 0), (0, 0)), mode='edge')
        with _as_video_error(self.path):
            parts = [yuv, self._to_yuv(strip)] if len(strip) else [yuv]
            self._encode(_stack(parts))

    def _takes_colors(self, frame: av.VideoFrame) -> bool:
        """Whether a frame has the colours of the file; the first one may choose them."""
        colors = Colors(frame.colorspace, frame.color_range, frame.color_primaries, frame.color_trc)
        is_known = colors.space in _MATRICES and colors.range in (_UNKNOWN_RANGE, _LIMITED_RANGE)
        if is_known and self._container is None:
            self._colors = colors
        return colors == self._colors

    def _to_yuv(self, image: np.ndarray) -> av.VideoFrame:
        """Convert RGB (H, W, 3) with even sides to the colours of the file."""
        return self._reformatter.reformat(
            av.VideoFrame.from_numpy_buffer(np.ascontiguousarray(image), format='rgb24'),
            format='yuv420p',
            dst_colorspace=_MATRICES[self._colors.space],
            dst_color_range='MPEG',
        )

    def _check(self, image: np.ndarray, shape: tuple[int, ...]) -> None:
        """Refuse what is no image, or makes no frame of the shape of the first one."""
        if self._temporary is None:
            raise VideoError(f'write must be called inside the with block, got path={self.path}')
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not all(shape):
            raise VideoError(
                f'image must be RGB (H, W, 3) uint8, got shape={image.shape} and '
                f'dtype={image.dtype} as frame {self.num_frames} of {self.path}'
            )
        if self.num_frames and shape != self._shape:
            raise VideoError(
                f'image must have the shape of the first one, {self._shape}, got '
                f'shape={shape} as frame {self.num_frames} of {self.path}; resize it'
            )
        if max(shape) > MAX_SIDE_PX:
            raise VideoError(
                f'image must have sides of up to {MAX_SIDE_PX} pixels, which is what x264 takes, '
                f'got shape={shape} for {self.path}; scale it'
            )
        self._shape = shape

    def _encode(self, frame: av.VideoFrame) -> None:
        container = self._container or self._open(frame.width, frame.height)
        frame.pts = self._next_pts()
        stream = container.streams.video[0]
        if self._sound:
            # side by side in the file, as players want them
            ticks = self.fps if self._times_s is None else _TICKS_A_SECOND
            self._sound.write(container, frame.pts / ticks)
        container.mux(stream.encode(frame))
        self.num_frames += 1

    def _next_pts(self) -> int:
        """When the next frame is shown, in units of the stream."""
        if self._times_s is None:
            return self.num_frames
        if self.num_frames >= len(self._times_s):
            raise VideoError(
                f'times_s must have a time for each frame, got {len(self._times_s)} for more '
                f'frames of {self.path}'
            )
        return round((self._times_s[self.num_frames] - self._times_s[0]) * _TICKS_A_SECOND)

    def _open(self, width: int, height: int) -> av.container.OutputContainer:
        # faststart puts the table of frames first, so that players begin before they have it all
        options = {} if self.path.suffix.lower() == '.mkv' else {'movflags': '+faststart'}
        container = self._container = av.open(str(self._temporary), 'w', options=options)
        rate = Fraction(self.fps).limit_denominator(100_000)
        stream = container.add_stream('libx264', rate=rate, options=self._choose_options())
        stream.width, stream.height, stream.pix_fmt = width, height, 'yuv420p'
        context = stream.codec_context
        context.colorspace, context.color_range = self._colors[:2]
        context.color_primaries, context.color_trc = self._colors[2:]
        if self._times_s is not None:
            context.time_base = Fraction(1, _TICKS_A_SECOND)
        if self._sound:
            self._sound.attach(container)
        return container

    def _choose_options(self) -> dict[str, str]:
        if self._max_rate is None or self._max_rate > _NO_LIMIT:
            return self._options
        # x264 counts thousands, and takes 0 for no limit
        rate = max(round(self._max_rate), 10_000)
        limit = {'maxrate': str(rate), 'bufsize': str(rate // 2)}
        # with more threads x264 keeps to the limit in another way each time
        return {**self._options, **limit, 'threads': '1'}

    def _flush(self, error_type: type[BaseException] | None, *_: object) -> None:
        if error_type is not None:
            return
        if self._container is None:
            raise VideoError(f'a video must have at least one frame, got none for path={self.path}')
        with _as_video_error(self.path):
            self._container.mux(self._container.streams.video[0].encode(None))
            if self._sound:
                self._sound.write(self._container)

    def _close(self) -> None:
        self._temporary = None
        if self._container is not None:
            with _as_video_error(self.path):
                self._container.close()
        if self._sound:
            self._sound.close()


def _stack(frames: Sequence[av.VideoFrame]) -> av.VideoFrame:
    """Put frames of one width, yuv420p with even sides, below each other."""
    stacked = av.VideoFrame(frames[0].width, sum(frame.height for frame in frames), 'yuv420p')
    for number, plane in enumerate(stacked.planes):
        parts = [_as_array(frame.planes[number]) for frame in frames]
        np.concatenate(parts, out=_as_array(plane))
    return stacked


def _as_array(plane: VideoPlane) -> np.ndarray:
    """The values of a plane (H, W), which are not copied."""
    rows = np.frombuffer(cast('Any', plane), np.uint8).reshape(-1, plane.line_size)
    return rows[: plane.height, : plane.width]


@contextmanager
def _as_video_error(path: Path) -> Iterator[None]:
    try:
        yield
    except av.FFmpegError as error:
        raise VideoError(
            f'a video must be writable, got {error.strerror} for path={path}; '
            'check the space on the disk and the permissions'
        ) from error
