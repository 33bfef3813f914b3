"""Fetch one video by yt-dlp, cut it to its interval, and let it appear only when it is complete.

yt-dlp runs as a program of its own, so that it can be stopped. The picture is fetched without the
sound, with its shorter side at most 480 if YouTube has that. Two ways to the interval:

- with ffmpeg, yt-dlp fetches only the interval and encodes it, exactly cut;
- without, the whole video is fetched, and the frames of the interval are encoded through PyAV.

Either way the length is compared with what YouTube says, as ffmpeg takes a connection that broke
for the end of the video.
"""

import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from countix_table import CountixVideo, Outcome

from mmotion.atomic import write_atomically
from mmotion.video import VideoWriter, inspect_video, iterate_frames
from mmotion.video.scan import scan_video

# a video of ten minutes has some 30 MB; what takes longer than this hangs
MAX_MINUTES = 60
# YouTube gives whole seconds, and the sound may outlast the picture
_TOLERANCE_S = 2.0
_OPTIONS = (
    *('--ignore-config', '--no-playlist', '--quiet', '--no-progress', '--no-warnings'),
    # picture without sound, else both; see "Sorting formats" of yt-dlp
    *('--format', 'bv[ext=mp4]/b[ext=mp4]', '--format-sort', 'res:480,vcodec:h264'),
    *('--print', 'after_move:%(duration)s', '--socket-timeout', '30'),
)

# all that is known of YouTube's wordings. The first that is found wins: a rate limit and a private
# video begin with "Video unavailable" too, and what is said about a country names no other reason
_PATTERNS = {
    'bot check': r'confirm you.{1,3}re not a bot|confirm you are not a bot|rate-limited by YouTube'
    r'|try again later|HTTP Error 429|captcha',
    'disk': r'No space left on device|Disk quota exceeded|Read-only file system',
    'region': r'in your country|from your location|geo.?restrict|in your region',
    'private': r'private video|video is private|members.only|join this channel',
    'age': r'confirm your age|age.restricted|inappropriate for some users',
    'network': r'timed out|time-?out|connection (was )?(reset|refused|aborted|closed)|unreachable'
    r'|name resolution|name or service not known|getaddrinfo|failed to resolve|HTTP Error 5\d\d'
    r'|unable to connect|Unable to download|IncompleteRead|\bSSL',
    # "not available on this app" and "format is not available" pass, so they are no part of this
    'removed': r'(been|was) removed|removed for|terminated|no longer available|does not exist'
    r'|video (is )?unavailable|video is(n.t| not) available|copyright',
}


class StoppedError(Exception):
    """The download was told to stop before this video was complete."""


class FetchError(Exception):
    """There is no usable video; `args` are the kind, see `classify_failure`, and one line."""


def find_downloader() -> list[str]:
    """Give the command that runs yt-dlp: of this environment, else of the PATH.

    Raises:
        FileNotFoundError: If there is neither.
    """
    if importlib.util.find_spec('yt_dlp'):
        return [sys.executable, '-m', 'yt_dlp']
    program = shutil.which('yt-dlp')
    if program:
        return [program]
    raise FileNotFoundError(
        'yt-dlp must be installed, got neither its package nor its program; '
        'pip install "mmotion[download]"'
    )


def classify_failure(stderr: str) -> tuple[str, str]:
    r"""Tell the kind of a failure of yt-dlp and say it in one line.

    Args:
        stderr: What yt-dlp wrote there, warnings included.

    Returns:
        bot check, disk, region, private, age, network, removed or other, and the message.

    Example:
        >>> classify_failure('WARNING: old\nERROR: [youtube] APkos_Kqa3M: Private video. Sign in')
        ('private', 'Private video. Sign in')
    """
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith('ERROR:')] or lines[-1:]
    message = errors[-1] if errors else 'yt-dlp failed without a message'
    message = re.sub(r'^ERROR:\s*(\[[\w:+]+\]\s*([\w-]{11}:\s+)?)?', '', message)
    for kind, pattern in _PATTERNS.items():
        if re.search(pattern, message, re.IGNORECASE):
            return kind, message
    return 'other', message


class VideoFetcher:
    """Fetch videos into a folder, from several threads at once if wanted.

    Set `stop` to end all of them: what runs is killed and leaves nothing.

    Args:
        command: See `find_downloader`.
        out_dir: Folder of the videos.
        work_dir: Folder on the same disk for what is not complete.
        trim: Whether to cut to the Kinetics interval.
        bytes_per_s: Rate of one download; ffmpeg, where it fetches, does not keep to it.
        pause_s: Time from the start of one download to the start of the next.
        cookies: Netscape cookie file, or None.
    """

    def __init__(
        self,
        *,
        command: list[str],
        out_dir: Path,
        work_dir: Path,
        trim: bool,
        bytes_per_s: int,
        pause_s: float,
        cookies: Path | None,
    ) -> None:
        self.command = command
        self.out_dir = out_dir
        self.work_dir = work_dir
        self.trim = trim
        self.bytes_per_s = bytes_per_s
        self.pause_s = pause_s
        self.cookies = cookies
        self.ffmpeg = shutil.which('ffmpeg')
        self.stop = threading.Event()
        self._turn = threading.Lock()
        self._next_start_s = 0.0

    def fetch(self, video: CountixVideo) -> Outcome:
        """Make the file of a video, or tell why there is none.

        Raises:
            StoppedError: If `stop` was set meanwhile.
        """
        name = video.file_name(trimmed=self.trim)
        self._wait_for_turn()
        try:
            seconds = self._make_file(video, self.out_dir / name)
        except StoppedError:
            raise
        except FetchError as error:
            return Outcome(video.video_id, 'failed', ': '.join(error.args), name)
        except Exception as error:
            # whatever it is, the other videos may still be fine
            message = ' '.join(str(error).split()) or type(error).__name__
            # other kinds are about YouTube, and a path may contain any word
            kind = 'disk' if classify_failure(message)[0] == 'disk' else 'other'
            return Outcome(video.video_id, 'failed', f'{kind}: {message}', name)
        return Outcome(video.video_id, 'done', '', name, f'{seconds:.3f}')

    def _wait_for_turn(self) -> None:
        with self._turn:
            delay_s = self._next_start_s - time.monotonic()
            if self.stop.wait(max(0.0, delay_s)):
                raise StoppedError
            self._next_start_s = time.monotonic() + self.pause_s

    def _make_file(self, video: CountixVideo, target: Path) -> float:
        with tempfile.TemporaryDirectory(dir=self.work_dir) as folder:
            source, whole_s = self._download(video, Path(folder))
            due_s = min(video.end_s, whole_s) - video.start_s if self.trim else whole_s
            with write_atomically(target) as temporary:
                if self.trim and not self.ffmpeg:
                    trim_video(source, temporary, video, self.stop)
                else:
                    os.replace(source, temporary)
                index = scan_video(temporary)
                seconds = index.info.duration_s
                if index.damage or seconds < due_s - _TOLERANCE_S:
                    problem = index.damage or f'{seconds:.1f} of {due_s:.1f} s'
                    raise FetchError('network', f'what came is not complete, {problem}')
            return seconds

    def _download(self, video: CountixVideo, folder: Path) -> tuple[Path, float]:
        """Run yt-dlp; give its file and the length of the whole video in s, 0 if not known."""
        process = subprocess.Popen(
            self._build_command(video, folder),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding='utf-8',
            errors='replace',
            # Ctrl-C reaches this process alone, which then ends yt-dlp and its ffmpeg
            start_new_session=True,
        )
        stdout, stderr = self._wait(process)
        if process.returncode:
            raise FetchError(*classify_failure(stderr))
        found = [path for path in folder.glob('video.*') if path.suffix != '.part']
        if len(found) != 1:
            raise FetchError('other', f'yt-dlp left {len(found)} files instead of one')
        # it prints NA for what it does not know
        length = re.fullmatch(r'[\d.]+', stdout.strip())
        return found[0], float(length[0]) if length else 0.0

    def _build_command(self, video: CountixVideo, folder: Path) -> list[str]:
        command = [*self.command, *_OPTIONS, '--limit-rate', str(self.bytes_per_s)]
        # a fragment that does not come would otherwise be left out in silence
        command += ['--abort-on-unavailable-fragments', '--output', str(folder / 'video.%(ext)s')]
        if self.trim and self.ffmpeg:
            interval = f'*{video.start_s}-{video.end_s}'
            command += ['--download-sections', interval, '--force-keyframes-at-cuts']
        if self.cookies:
            # yt-dlp writes its cookies back when it ends: each process gets a copy of its own
            command += ['--cookies', str(shutil.copyfile(self.cookies, folder / 'cookies.txt'))]
        return [*command, '--', video.url]

    def _wait(self, process: subprocess.Popen[str]) -> tuple[str, str]:
        deadline = time.monotonic() + 60 * MAX_MINUTES
        while True:
            try:
                return process.communicate(timeout=0.2)
            except subprocess.TimeoutExpired:
                if self.stop.is_set():
                    _end(process)
                    raise StoppedError from None
                if time.monotonic() > deadline:
                    _end(process)
                    message = f'the download timed out after {MAX_MINUTES} minutes'
                    raise FetchError('network', message) from None


def trim_video(source: Path, target: Path, video: CountixVideo, stop: threading.Event) -> None:
    """Encode the frames of the Kinetics interval anew, at a constant rate.

    Raises:
        VideoError: If the source cannot be read or ends before the interval.
        StoppedError: If `stop` was set meanwhile.
    """
    fps = inspect_video(source).fps
    first_s = None
    with VideoWriter(target, fps=fps) as writer:
        for frame in iterate_frames(source, start_s=video.start_s, end_s=video.end_s):
            if stop.is_set():
                raise StoppedError
            first_s = frame.time_s if first_s is None else first_s
            # where the rate varies, frames are repeated or left out: the times stay right
            num_due = round((frame.time_s - first_s) * fps) + 1
            while writer.num_frames < num_due:
                writer.write(frame.image)


def _end(process: subprocess.Popen[str]) -> None:
    """End yt-dlp and what it has started, and wait for it."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
            process.communicate(timeout=5)
            return
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue
