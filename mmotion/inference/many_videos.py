"""Run a predictor over many videos; one that fails does not stop the rest.

There is a JSON file for each video, or a line of JSON for each result while the video goes on.
"""

import dataclasses
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

import simplejson
from rich.console import Console
from rich.progress import track

from mmotion.atomic import check_not_kept, keep_files, lock_file, write_atomically
from mmotion.inference.abilities import DrawsAttention, Exports
from mmotion.inference.predictor import Predictor
from mmotion.regions import MARGIN, Region, RegionResults
from mmotion.structures.results import Result
from mmotion.video.files import check_origin, name_outputs, name_video


@dataclasses.dataclass(frozen=True, kw_only=True)
class Outputs:
    """What to write of each video, besides `<out_dir>/<stem>.json`.

    Args:
        out_dir: Folder of the outputs.
        draw: Whether to draw the result.
        attention: Whether to draw where the model looks, not with regions.
        export: Formats of files for other programs, see `Exports`; those of a region lie in a
            folder of its own, such as `<stem>_regions/1_left`.
        provenance: Entries to add to each JSON file: config and checkpoint.
    """

    out_dir: Path
    draw: bool = False
    attention: bool = False
    export: Sequence[str] = ()
    provenance: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def check(self, predictor: Predictor | type[Predictor]) -> None:
        """Refuse what a predictor, or any of a class, cannot write.

        Raises:
            ValueError: If it does not draw attention, or does not export in these formats.
            ImportError: If a package for one of them is not installed.
        """
        kind = predictor if isinstance(predictor, type) else type(predictor)
        if self.attention and not issubclass(kind, DrawsAttention):
            raise ValueError(
                'attention must be drawn by a predictor of a model that has it, got '
                f'{kind.__name__}; leave attention out'
            )
        if not self.export:
            return
        if not issubclass(kind, Exports):
            raise ValueError(
                f'predictor must export {list(self.export)}, got {kind.__name__}; leave export out'
            )
        kind.check_export(self.export)

    def check_places(self, video: Path, name: str) -> None:
        """Refuse to write over what is being read, and over what is about another video.

        Args:
            video: File or folder of pictures.
            name: What the output is called.

        Raises:
            ValueError: If a file is in the way.
        """
        target, folder = self._place(video, name)
        drawn = {'overlay': self.draw, 'attention': self.attention}
        stem = name_video(video)
        for path in (target, *(folder / f'{stem}_{kind}.mp4' for kind in drawn if drawn[kind])):
            check_not_kept(path)
        check_origin(target, video, 'video')

    def _place(self, video: Path, name: str) -> tuple[Path, Path]:
        """The JSON file, and the folder of the rest."""
        is_own = name == name_video(video)
        return self.out_dir / f'{name}.json', self.out_dir if is_own else self.out_dir / name

    @staticmethod
    def _list_parts(result: Result, folder: Path) -> list[tuple[Path | None, Result]]:
        """The results of regions, each with a folder of its own; or that of the whole picture."""
        if not isinstance(result, RegionResults):
            return [(None, result)]
        names = [re.sub(r'\W+', '_', region.name) for region in result.regions]
        places = [folder / f'{number}_{name}' for number, name in enumerate(names, 1)]
        return list(zip(places, result.results, strict=True))

    def write(self, predictor: Predictor, video: Path, result: Result, name: str) -> list[Path]:
        """Write everything of one video.

        Args:
            predictor: What predicted it.
            video: File or folder of pictures.
            result: What it said, of the whole picture or of regions.
            name: What the output is called; all but the JSON file has a folder of this name if it
                is not the video's own.

        Returns:
            The files.

        Raises:
            ValueError: If a file would take the place of one that is read, or of another video's.
        """
        target, folder = self._place(video, name)
        content = dict(result.to_dict(), video=str(video), **self.provenance)
        with write_atomically(target) as temporary:
            temporary.write_text(simplejson.dumps(content, ignore_nan=True), encoding='utf-8')
        written = [target]
        if self.draw and isinstance(result, RegionResults):
            written += predictor.draw_regions(video, result, folder)
        elif self.draw:
            written += predictor.draw(video, result, folder)
        if self.export and isinstance(predictor, Exports):
            for place, part in self._list_parts(result, folder / f'{name_video(video)}_regions'):
                written += predictor.export(video, part, place or folder, self.export)
        if self.attention and isinstance(predictor, DrawsAttention):
            written += predictor.draw_attention(video, result, folder)
        return written


class LineFile:
    """A text file that takes the place of an older one with its first line, not before.

    Args:
        path: The file; missing parent folders are made.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: TextIO | None = None

    def __enter__(self) -> 'LineFile':
        return self

    def __exit__(self, *_: object) -> None:
        if self._file:
            self._file.close()

    def write(self, text: str) -> None:
        """Write, and let others see it.

        Raises:
            ValueError: If another process is writing the file.
        """
        if self._file is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            file = self.path.open('a', encoding='utf-8')
            try:
                lock_file(file.fileno())
            except BlockingIOError as error:
                file.close()
                raise ValueError(
                    f'{self.path} must not be in use by another process, got one that writes to '
                    'it; name another file'
                ) from error
            if self.path.is_file():
                file.truncate(0)
            self._file = file
        self._file.write(text)
        self._file.flush()

    def flush(self) -> None:
        """Nothing is left to do."""


def predict_videos(
    predictor: Predictor,
    videos: Sequence[Path],
    outputs: Outputs,
    *,
    fps: float | None = None,
    start_s: float = 0.0,
    end_s: float | None = None,
    regions: Sequence[Region] = (),
    region_margin: float = MARGIN,
) -> list[Path]:
    """Write `<stem>.json` for each video, and pictures if wanted.

    Args:
        predictor: From `mmotion.inference.load_model`.
        videos: The files and folders of pictures, see `find_videos`.
        outputs: What to write, and where.
        fps: Frames per second of folders of pictures, and of files whose own are wrong.
        start_s: From where the videos are looked at, in seconds.
        end_s: Up to where; None for the end.
        regions: Parts of the picture to look at, each by itself; without any, all of it.
        region_margin: See `Predictor.predict_regions`.

    Returns:
        The videos that failed, which have been named on stderr with the reason.

    Raises:
        ValueError: If the predictor cannot write these outputs.
        ImportError: If a package for one of them is not installed.
    """
    outputs.check(predictor)
    failed: list[Path] = []
    console = Console(stderr=True)
    named = list(zip(videos, name_outputs(videos), strict=True))
    for video, name in track(named, 'predict', console=console, disable=len(videos) < 2):
        stem = name_video(video)
        if name != stem:
            print(f'{video}: another video is named {stem} too, so this one is {name}')
        times = {'fps': fps, 'start_s': start_s, 'end_s': end_s}
        try:
            with keep_files(videos):
                outputs.check_places(video, name)
                if regions:
                    margin = region_margin
                    result = predictor.predict_regions(video, regions, margin=margin, **times)
                else:
                    result = predictor.predict(video, **times)
                written = outputs.write(predictor, video, result, name)
        except Exception as error:
            # whatever it is, the other videos may still be fine
            _report(video, error, failed)
            continue
        parts = zip(regions, result.results, strict=True) if regions else [(None, result)]
        for region, part in parts:
            place = f'{video}, {region.name}' if region else video
            print(f'{place}: {part.describe()}')
        if result.num_lost:
            good = f'beside {result.num_frames} good ones'
            print(f'{video}: {result.num_lost} frames are lost, {good}; copy or encode it again')
        for path in written:
            print(f'  {path}')
    _name_failed(failed, videos)
    return failed


def stream_videos(
    predictor: Predictor,
    videos: Sequence[Path],
    lines: TextIO | LineFile,
    *,
    fps: float | None = None,
    start_s: float = 0.0,
    end_s: float | None = None,
) -> list[Path]:
    """Write each result of `Predictor.stream` as a line of JSON as soon as it is there.

    A line has the entries of the result's `to_dict`, and `video`. Memory does not grow with the
    length of a video.

    Args:
        predictor: From `mmotion.inference.load_model`.
        videos: The files and folders, see `find_videos`; one after the other.
        lines: Where to write, flushed after each line.
        fps: See `predict_videos`.
        start_s: From where the videos are looked at, in seconds.
        end_s: Up to where; None for the end.

    Returns:
        The videos that failed, which have been named on stderr with the reason.

    Raises:
        BrokenPipeError: If nobody reads the lines any more.
    """
    failed: list[Path] = []
    for video in videos:
        try:
            for result in predictor.stream(video, fps=fps, start_s=start_s, end_s=end_s):
                content = {'video': str(video), **result.to_dict()}
                if fps is not None:
                    content['fps_given'] = fps
                lines.write(simplejson.dumps(content, ignore_nan=True) + '\n')
                lines.flush()
        except BrokenPipeError:
            raise
        except Exception as error:
            # whatever it is, the other videos may still be fine
            _report(video, error, failed)
    _name_failed(failed, videos)
    return failed


def _report(video: Path, error: Exception, failed: list[Path]) -> None:
    failed.append(video)
    # mmengine's logger would put its own file and line before the reason
    print(f'mmotion: {video}: {error}', file=sys.stderr)


def _name_failed(failed: Sequence[Path], videos: Sequence[Path]) -> None:
    if failed:
        names = ', '.join(map(str, failed))
        print(f'mmotion: {len(failed)} of {len(videos)} videos failed: {names}', file=sys.stderr)
