"""Open every video of a Countix CSV and write the rows whose videos are good.

A video is good if it opens, nothing is known to be missing from it, its first and last frame can be
decoded, and it does not end before the repetitions of the row. The good rows are written to
`OUT/available.csv`, with the columns of the CSV.

Example:
    mmotion prepare countix check countix_val.csv data/countix/val
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from countix_table import CountixRow, CountixVideo, Manifest, read_countix
from rich.console import Console
from rich.progress import track

from mmotion.tables import write_table
from mmotion.video import VideoError, read_frames
from mmotion.video.scan import scan_video

# cuts are at frames, and the end of an interval may be the end of the video
_TOLERANCE_S = 0.5


@dataclass(frozen=True)
class Checked:
    """What is known of the file of a video.

    Attributes:
        file: Its name, or the one that it would have.
        offset_s: Where it begins, in seconds of the whole video.
        duration_s: Its length.
        problem: Why it is of no use, '' if it is good.
    """

    file: str
    offset_s: int = 0
    duration_s: float = 0.0
    problem: str = ''


def check_video(video: CountixVideo, out_dir: Path, manifest: Manifest) -> Checked:
    """Open the file of a video: the trimmed one, or else the whole one.

    Args:
        video: What the row needs.
        out_dir: Folder of the files.
        manifest: Knows why a file is missing.
    """
    names = [video.file_name(trimmed=trimmed) for trimmed in (True, False)]
    found = [name for name in names if (out_dir / name).is_file()]
    if not found:
        reasons = [manifest.outcomes[name].reason for name in names if name in manifest.outcomes]
        return Checked(
            names[0], problem=f'missing, {next(filter(None, reasons), "not downloaded")}'
        )
    name = found[0]
    try:
        index = scan_video(out_dir / name)
        read_frames(out_dir / name, [0, index.info.num_frames - 1])
    except VideoError as error:
        return Checked(name, problem=f'broken, {error}')
    offset_s = video.start_s if name == names[0] else 0
    problem = f'broken, {index.damage}' if index.damage else ''
    return Checked(name, offset_s, index.info.duration_s, problem)


def find_problem(row: CountixRow, checked: Checked) -> str:
    """Tell why a row cannot be used, '' if it can."""
    end_s = row.repetition_end_s - checked.offset_s
    if checked.problem or checked.duration_s >= end_s - _TOLERANCE_S:
        return checked.problem
    return f'short, it lasts {checked.duration_s:.1f} s and the repetitions end at {end_s:.1f} s'


def main(argv: Sequence[str] | None = None) -> int:
    """Parse the command line, check, print what is wrong and how much is good.

    Returns:
        0 if all videos are good, 1 if some are not.
    """
    parser = argparse.ArgumentParser(description='Check the videos of a Countix CSV.')
    parser.add_argument('csv', metavar='CSV', type=Path, help='countix_train.csv and the like')
    parser.add_argument('out', metavar='OUT', type=Path, help='folder of the videos')
    args = parser.parse_args(argv)
    rows = read_countix(args.csv)
    if not args.out.is_dir():
        raise NotADirectoryError(
            f'OUT must be the folder of the videos, got {args.out}; download them first: '
            f'mmotion prepare countix download {args.csv} {args.out}'
        )
    return _report(rows, args.out)


def _report(rows: Sequence[CountixRow], out_dir: Path) -> int:
    manifest = Manifest(out_dir / 'manifest.csv')
    videos = dict.fromkeys(row.video for row in rows)
    progress = track(videos, 'check', console=Console(stderr=True))
    checked = {video: check_video(video, out_dir, manifest) for video in progress}
    problems = [(checked[row.video].file, find_problem(row, checked[row.video])) for row in rows]
    for file, problem in dict.fromkeys(problems):
        if problem:
            print(f'{file}: {problem}')

    good = [row for row, (_, problem) in zip(rows, problems, strict=True) if not problem]
    target = out_dir / 'available.csv'
    write_table(target, list(rows[0].values), [row.values for row in good])
    num_files = sum(not item.problem for item in checked.values())
    print(
        f'{len(good):,} of {len(rows):,} videos available, in {num_files:,} of {len(checked):,} '
        f'files; listed in {target}'
    )
    return 0 if len(good) == len(rows) else 1


if __name__ == '__main__':
    sys.exit(main())
