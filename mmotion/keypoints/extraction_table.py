"""Which videos an extraction of keypoints has to do, and what became of each.

Of a folder of videos the sub-folders are kept: `videos/squat/clip.mp4` becomes `squat/clip.json`.

`extraction.csv` has a row a video: `video`, its path; `status`, done or failed; `reason`, why it
failed, or what is missing; `file`, from the output folder; `frames`, how many were looked at;
`with_people`, in how many of them somebody was found; `settings`, what it was extracted with.
Rows are added as videos end, so while an extraction runs, and after one that was killed, the last
row of a file counts, and the last line may be torn; the next extraction drops what does not count.
"""

import dataclasses
from collections.abc import Iterable
from pathlib import Path

from mmotion.tables import append_row, read_table, write_table
from mmotion.video.files import find_videos, name_outputs


@dataclasses.dataclass(frozen=True)
class Outcome:
    """A row of the table.

    Args:
        video: Path of the video, absolute.
        status: 'done' or 'failed'.
        reason: Why it failed; or, of a damaged video that is done, what is missing.
        file: The JSON file, from the output folder.
        frames: Frames that were looked at, '' if it failed.
        with_people: Those with somebody in them, '' if it failed.
        settings: What it was extracted with, in words.
    """

    video: str
    status: str
    reason: str
    file: str
    frames: str
    with_people: str
    settings: str


COLUMNS = [field.name for field in dataclasses.fields(Outcome)]


@dataclasses.dataclass(frozen=True)
class Job:
    """A video, and its file from the output folder on."""

    video: Path
    file: Path


class ExtractionTable:
    """The outcomes by file, read once; each video adds a line to the table.

    Args:
        path: The CSV; where there is none, the table is empty.

    Raises:
        ValueError: If the file is not such a table.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.outcomes: dict[str, Outcome] = {}
        # whether the file has these outcomes, and each of them once
        self._is_compact = False
        self._can_append = False
        if path.is_file():
            for row in read_table(
                path,
                COLUMNS,
                what='the table of an extraction',
                remedy='delete it to extract anew',
                may_be_empty=True,
                may_be_torn=True,
            ):
                outcome = Outcome(**{name: row.text(name) for name in COLUMNS})
                self.outcomes[outcome.file] = outcome

    def is_done(self, job: Job, settings: str) -> bool:
        """Whether a video was extracted with these settings, and its file is still there."""
        outcome = self.outcomes.get(job.file.as_posix())
        return (
            outcome is not None
            and (outcome.status, outcome.settings) == ('done', settings)
            and (self.path.parent / job.file).is_file()
        )

    def check_owners(self, jobs: Iterable[Job]) -> None:
        """Refuse to write over what was found in other videos.

        Raises:
            ValueError: If a file that is to be written is that of another video.
        """
        for job in jobs:
            outcome = self.outcomes.get(job.file.as_posix())
            if outcome and outcome.status == 'done' and outcome.video != str(job.video.resolve()):
                raise ValueError(
                    f'{self.path.parent / job.file} must not be written over, got {job.video} for '
                    f'it, and it is of {outcome.video}; choose another --out, or delete {self.path}'
                )

    def record(self, outcome: Outcome) -> None:
        """Add a row, which counts from now on in place of an earlier one of the same file."""
        is_new = outcome.file not in self.outcomes
        self.outcomes[outcome.file] = outcome
        if not (self._can_append and self.path.is_file()):
            self._is_compact = False
            self.compact()
            return
        self._is_compact &= is_new
        # what fails may leave a torn row
        self._can_append = False
        append_row(self.path, dataclasses.astuple(outcome))
        self._can_append = True

    def compact(self) -> None:
        """Write the table anew, without rows that no longer count, if there may be any."""
        if not self._is_compact:
            rows = [dataclasses.astuple(outcome) for outcome in self.outcomes.values()]
            write_table(self.path, COLUMNS, rows)
            self._is_compact = self._can_append = True


def plan_jobs(names: Iterable[str]) -> list[Job]:
    """Find the videos, and name the file of each.

    Args:
        names: Files, folders or patterns, see `find_videos`.

    Returns:
        A job per video. Files in one folder whose stems are the same get `_2`, `_3`, ... added.

    Raises:
        FileNotFoundError: If a name stands for no video.
    """
    places: dict[Path, Path] = {}
    for name in names:
        folder = Path(name).expanduser()
        for video in find_videos([name]):
            place = video.relative_to(folder) if folder.is_dir() else Path(video.name)
            places.setdefault(video, place)
    by_folder: dict[Path, list[Path]] = {}
    for video, place in places.items():
        by_folder.setdefault(place.parent, []).append(video)
    return [
        Job(video, folder / f'{stem}.json')
        for folder, videos in by_folder.items()
        for video, stem in zip(videos, name_outputs(videos), strict=True)
    ]
