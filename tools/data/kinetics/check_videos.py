"""Open every video of a collection and write a list of what is missing or broken.

SOURCE is a folder `root/class/*.mp4`, a list `path label` or an official Kinetics CSV. A video is
good if it opens, nothing is known to be missing from it, and its first and last frame can be
decoded. Written to OUT:

    missing_or_broken.csv: path, label (name of the class), problem; a row for each that is not good
    checked.csv: path, size, problem; what was checked so far. Started again, the check passes over
        files that were good and still have that size.

Example:
    mmotion prepare kinetics check-videos k400_val.csv data/k400/checked --videos data/k400/val
"""

import argparse
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from convert_layout import add_source_options, read_source
from rich.console import Console
from rich.progress import track

from mmotion.tables import read_table, write_table
from mmotion.video import VideoError, read_frames
from mmotion.video.scan import scan_video
from projects.timesformer.layouts import VideoList

# from one saving of what was checked to the next
SAVE_EVERY_S = 30.0
_COLUMNS = ('path', 'size', 'problem')


def main(argv: Sequence[str] | None = None) -> int:
    """Parse the command line, check, print and write what is wrong.

    Returns:
        0 if all videos are good, 1 if some are not.
    """
    parser = argparse.ArgumentParser(description='Check the videos of a collection.')
    add_source_options(parser)
    parser.add_argument('out', metavar='OUT', type=Path, help='folder for the two tables')
    parser.add_argument(
        '--workers', metavar='N', type=int, default=os.cpu_count() or 1, help='processes'
    )
    args = parser.parse_args(argv)
    if args.workers < 1:
        raise ValueError(f'--workers must be at least 1, got --workers {args.workers}')
    return report(read_source(args), args.out, workers=args.workers)


def find_problem(path: str) -> str:
    """Tell what is wrong with the file of a video, '' if it is good."""
    if not os.path.isfile(path):
        return 'missing'
    try:
        index = scan_video(path)
        read_frames(path, [0, index.info.num_frames - 1])
    except (VideoError, OSError) as error:
        return f'broken: {error}'
    return f'broken: {index.damage}' if index.damage else ''


def report(videos: VideoList, out_dir: Path, *, workers: int) -> int:
    """Check all videos, write the tables, print the counts; 0 if all are good, else 1."""
    memory = Memory(out_dir / 'checked.csv')
    paths = list(dict.fromkeys(str(videos.root / path) for path, _ in videos.videos))
    sizes = {path: _measure(path) for path in paths}
    due = [path for path in paths if not memory.is_good(path, sizes[path])]
    if len(due) < len(paths):
        print(f'{len(paths) - len(due):,} videos were good before and have not changed')
    with memory.saving(), _mapping(workers) as map_all:
        progress = track(
            map_all(find_problem, due), 'check', total=len(due), console=Console(stderr=True)
        )
        for path, problem in zip(due, progress, strict=True):
            memory.note(path, sizes[path], problem)

    problems = [
        (path, videos.classes[label], problem)
        for path, label in videos.videos
        if (problem := memory.problems[str(videos.root / path)])
    ]
    target = out_dir / 'missing_or_broken.csv'
    write_table(target, ('path', 'label', 'problem'), problems)
    for path, _, problem in problems:
        print(f'{path}: {problem}')
    num_missing = sum(problem == 'missing' for *_, problem in problems)
    print(
        f'{len(videos.videos) - len(problems):,} of {len(videos.videos):,} videos are good, '
        f'{num_missing:,} missing, {len(problems) - num_missing:,} broken; listed in {target}'
    )
    return 1 if problems else 0


class Memory:
    """What was checked so far, in a table on disk.

    Args:
        path: The table; where there is none, nothing was checked.

    Raises:
        ValueError: If the file is another table.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.sizes: dict[str, int] = {}
        self.problems: dict[str, str] = {}
        if path.is_file():
            remedy = 'delete it or name another OUT'
            for row in read_table(
                path, _COLUMNS, what='checked.csv', remedy=remedy, may_be_empty=True
            ):
                video = row.text('path')
                self.sizes[video], self.problems[video] = row.whole('size'), row.text('problem')
        self._saved_s = time.monotonic()

    def is_good(self, path: str, size: int) -> bool:
        """Whether a file of this size was found good."""
        return self.problems.get(path) == '' and self.sizes[path] == size

    def note(self, path: str, size: int, problem: str) -> None:
        """Remember a file, and now and then write the table."""
        self.sizes[path], self.problems[path] = size, problem
        if time.monotonic() - self._saved_s > SAVE_EVERY_S:
            self._save()

    @contextmanager
    def saving(self) -> Iterator[None]:
        """Write the table at the end of the block, however it ends."""
        try:
            yield
        finally:
            self._save()

    def _save(self) -> None:
        rows = [(path, self.sizes[path], problem) for path, problem in self.problems.items()]
        write_table(self.path, _COLUMNS, rows)
        self._saved_s = time.monotonic()


@contextmanager
def _mapping(workers: int) -> Iterator:
    """Give a `map` that works in several processes and keeps the order."""
    if workers == 1:
        yield map
        return
    # Ctrl-C is for this process alone, which then ends the others
    with multiprocessing.Pool(workers, signal.signal, (signal.SIGINT, signal.SIG_IGN)) as pool:
        yield lambda function, items: pool.imap(function, items, chunksize=8)
        # not by a signal, which a worker that is just being forked off may lose
        pool.close()
        pool.join()


def _measure(path: str) -> int:
    """Size of a file in bytes, -1 if it is not there."""
    try:
        return os.path.getsize(path)
    except OSError:
        return -1


if __name__ == '__main__':
    sys.exit(main())
