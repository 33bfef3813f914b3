"""Download the videos of a Countix CSV by yt-dlp, a part of which is gone from YouTube.

Start it as often as you like: files that are there are skipped, and so is what can never come
(private, removed, blocked in this region); other failures are tried again. `OUT/manifest.csv` tells
what became of each video. A file under its final name is complete.

Example:
    mmotion prepare countix download countix_val.csv data/countix/val --dry-run
"""

import argparse
import re
import shutil
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from countix_table import CountixVideo, Manifest, Outcome, describe_kinds, read_countix
from rich.console import Console
from rich.progress import Progress
from video_fetcher import StoppedError, VideoFetcher, find_downloader

from mmotion.atomic import hold_folder
from mmotion.video import VideoError, inspect_video

_UNITS = {'': 1, 'K': 1024, 'M': 1024**2, 'G': 1024**3}

# trying these again would change nothing
_PERMANENT = frozenset({'private', 'region', 'removed'})

# every video after it would fail the same way: what to do before going on
_ADVICE = {
    'bot check': 'YouTube takes this machine for a robot or limits its rate; wait an hour or more, '
    'take fewer --videos-per-hour, or give the cookies of a browser that has played a video there '
    '(--cookies FILE, see the README), then start the same command again',
    'disk': 'the disk is full or not writable; make room, then start the same command again',
}


@dataclass
class Plan:
    """What a start of the download will do.

    Attributes:
        todo: Videos to download, by the names of their files.
        done: Files that are there.
        failed: Failures of earlier starts that are not tried again.
        retried: Failures of earlier starts that are: their videos are in `todo`.
    """

    todo: dict[str, CountixVideo] = field(default_factory=dict)
    done: dict[str, CountixVideo] = field(default_factory=dict)
    failed: list[Outcome] = field(default_factory=list)
    retried: list[Outcome] = field(default_factory=list)


def make_plan(
    videos: Mapping[str, CountixVideo], out_dir: Path, manifest: Manifest, *, has_cookies: bool
) -> Plan:
    """Sort the videos by what is to be done about them.

    Args:
        videos: By the names of their files.
        out_dir: Folder of the files.
        manifest: Of earlier starts.
        has_cookies: With cookies, what was refused for age is tried again.
    """
    plan = Plan()
    permanent = _PERMANENT if has_cookies else _PERMANENT | {'age'}
    for name, video in videos.items():
        outcome = manifest.outcomes.get(name)
        if (out_dir / name).is_file():
            plan.done[name] = video
        elif outcome and outcome.kind in permanent:
            plan.failed.append(outcome)
        else:
            plan.todo[name] = video
            if outcome and outcome.status == 'failed':
                plan.retried.append(outcome)
    return plan


def download(
    videos: Sequence[CountixVideo], fetcher: VideoFetcher, manifest: Manifest, *, workers: int
) -> str | None:
    """Fetch the videos and record each; after an error, Ctrl-C included, end what is under way.

    Returns:
        The kind of failure that stopped it early, None if it went through.
    """
    counts = {'done': 0, 'failed': 0}
    progress = Progress(console=Console(stderr=True), disable=not videos)
    with ThreadPoolExecutor(workers) as pool, progress:
        task = progress.add_task('', total=len(videos))
        waiting = {pool.submit(fetcher.fetch, video) for video in videos}
        try:
            for future in as_completed(list(waiting)):
                outcome = future.result()
                manifest.record([outcome])
                waiting.discard(future)
                counts[outcome.status] += 1
                text = f'{counts["done"]:,} downloaded, {counts["failed"]:,} failed'
                progress.update(task, advance=1, description=text)
                if outcome.kind in _ADVICE:
                    return outcome.kind
        finally:
            fetcher.stop.set()
            pool.shutdown(cancel_futures=True)
            manifest.record(_collect_finished(waiting))
    return None


def main(argv: Sequence[str] | None = None) -> int:
    """Parse the command line, download, print a summary.

    Returns:
        0 if all went well, 1 if videos failed, now or before.
    """
    args = _build_parser().parse_args(argv)
    rows = read_countix(args.csv)
    if args.cookies and not args.cookies.is_file():
        raise FileNotFoundError(
            f'--cookies must be a file, got {args.cookies}; export it from a browser'
        )
    if args.out.exists() and not args.out.is_dir():
        raise NotADirectoryError(f'OUT must be a folder, got the file {args.out}; move it')
    manifest = Manifest(args.out / 'manifest.csv')
    videos = {row.video.file_name(trimmed=args.trim): row.video for row in rows}
    plan = make_plan(videos, args.out, manifest, has_cookies=args.cookies is not None)
    print(f'{len(videos):,} videos for the {len(rows):,} rows of {args.csv}')
    _print_plan(plan, args.limit)
    return 0 if args.dry_run else _run(args, plan, manifest)


def _run(args: argparse.Namespace, plan: Plan, manifest: Manifest) -> int:
    todo = list(plan.todo.values())[: args.limit]
    command = find_downloader() if todo else []
    args.out.mkdir(parents=True, exist_ok=True)
    with _hold(args.out) as work_dir:
        fetcher = VideoFetcher(
            command=command,
            out_dir=args.out,
            work_dir=work_dir,
            trim=args.trim,
            bytes_per_s=max(1, args.rate_limit // args.workers),
            pause_s=3600 / args.videos_per_hour,
            cookies=args.cookies,
        )
        manifest.record(_describe_unrecorded(plan, args.out, manifest))
        stopped = None
        try:
            stopped = download(todo, fetcher, manifest, workers=args.workers)
        finally:
            num_failed = _print_summary(plan, args.out, manifest)
    if stopped:
        print(f'stopped early, {stopped}: {_ADVICE[stopped]}', file=sys.stderr)
    return 1 if stopped or num_failed else 0


@contextmanager
def _hold(out_dir: Path) -> Iterator[Path]:
    """Let one download at a time use the folder, and give it one for what is not complete."""
    work_dir = out_dir / '.partial'
    with hold_folder(out_dir, remedy='wait for that download'):
        # what a killed start left
        shutil.rmtree(work_dir, ignore_errors=True)
        work_dir.mkdir()
        try:
            yield work_dir
        finally:
            shutil.rmtree(work_dir, ignore_errors=True)


def _collect_finished(futures: set[Future[Outcome]]) -> list[Outcome]:
    """Take what ended between the last look and the stop."""
    outcomes = []
    for future in futures:
        try:
            outcomes.append(future.result(timeout=0))
        except (CancelledError, StoppedError, TimeoutError):
            continue
    return outcomes


def _describe_unrecorded(plan: Plan, out_dir: Path, manifest: Manifest) -> Iterator[Outcome]:
    """Give rows for files that are there without one: a start was killed, or the manifest lost."""
    for name, video in plan.done.items():
        known = manifest.outcomes.get(name)
        if known is None or known.status != 'done':
            try:
                seconds = f'{inspect_video(out_dir / name).duration_s:.3f}'
            except VideoError:
                seconds = ''
            yield Outcome(video.video_id, 'done', '', name, seconds)


def _print_plan(plan: Plan, limit: int | None) -> None:
    again = f', again after {describe_kinds(plan.retried)}' if plan.retried else ''
    first = f', the first {limit:,} of them now' if limit and limit < len(plan.todo) else ''
    print(f'  to download: {len(plan.todo):,}{again}{first}')
    print(f'  done already: {len(plan.done):,}')
    kinds = f' ({describe_kinds(plan.failed)})' if plan.failed else ''
    print(f'  failed before, not tried again: {len(plan.failed):,}{kinds}', flush=True)


def _print_summary(plan: Plan, out_dir: Path, manifest: Manifest) -> int:
    """Say what is there, and give the number of failures."""
    new = {name for name in plan.todo if (out_dir / name).is_file()}
    num_videos = len(plan.todo) + len(plan.done) + len(plan.failed)
    rows = (manifest.outcomes.get(name) for name in plan.todo if name not in new)
    failures = [*plan.failed, *(row for row in rows if row and row.status == 'failed')]
    num_there = len(plan.done) + len(new)
    print(f'{num_there:,} of {num_videos:,} videos are in {out_dir}, {len(new):,} of them new')
    if failures:
        print(f'  failed: {len(failures):,} ({describe_kinds(failures)})')
    if num_there + len(failures) < num_videos:
        print(f'  not tried yet: {num_videos - num_there - len(failures):,}')
    print(f'  each with its reason: {manifest.path}', flush=True)
    return len(failures)


def _build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description='Download the videos of a Countix CSV by yt-dlp.')
    parser.add_argument('csv', metavar='CSV', type=Path, help='countix_train.csv and the like')
    parser.add_argument('out', metavar='OUT', type=Path, help='folder of the videos; one a CSV')
    add = parser.add_argument
    add('--workers', metavar='N', type=_count, default=4, help='at a time (default: 4)')
    add(
        '--rate-limit',
        metavar='RATE',
        type=_rate,
        default='5M',
        help='bytes a second of all workers together (default: 5M); see the README about ffmpeg',
    )
    add(
        '--videos-per-hour',
        metavar='N',
        type=_count,
        default=240,
        help='starts of downloads (default: 240); YouTube refuses guests at some 300',
    )
    add(
        '--no-trim',
        dest='trim',
        action='store_false',
        help='keep whole videos as <video_id>.mp4, not the Kinetics intervals',
    )
    add('--cookies', metavar='FILE', type=Path, help='cookies.txt of a browser, for a bot check')
    add('--limit', metavar='N', type=_count, help='download N videos at most in this start')
    add('--dry-run', action='store_true', help='show what would be done, and do nothing')
    return parser


def _count(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f'must be a whole number from 1 on, got {text!r}')
    return int(text)


def _rate(text: str) -> int:
    match = re.fullmatch(r'(\d+(?:\.\d+)?)([KMG]?)', text.upper())
    rate = int(float(match[1]) * _UNITS[match[2]]) if match else 0
    if not rate:
        raise argparse.ArgumentTypeError(f'must be bytes a second such as 500K or 5M, got {text!r}')
    return rate


if __name__ == '__main__':
    # a batch system or `timeout` ends it as Ctrl-C does
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(main())
