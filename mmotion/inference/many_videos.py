"""Run a predictor over many videos; one that fails does not stop the rest.

There is a JSON file for each video, and a table of all of them; or a line of JSON for each result
while the video goes on.
"""

import dataclasses
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TextIO

from mmotion.atomic import keep_files
from mmotion.inference.lines import LineFile
from mmotion.inference.outputs import Outputs
from mmotion.inference.predictor import Predictor
from mmotion.inference.summary import NAME, describe_rows, keep_summary
from mmotion.regions import MARGIN, Region, RegionResults
from mmotion.structures.json_file import dump_json
from mmotion.structures.results import Result
from mmotion.video.files import name_outputs, name_video


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
    resume: bool = False,
    debug: bool = False,
) -> list[Path]:
    """Write `<stem>.json` for each video, pictures if wanted, and a table of several videos.

    Args:
        predictor: From `mmotion.inference.load_model`.
        videos: The files and folders of pictures, see `find_videos`.
        outputs: What to write, and where; the table is there if it has `settings`.
        fps: Frames per second of folders of pictures, and of files whose own are wrong.
        start_s: From where the videos are looked at, in seconds.
        end_s: Up to where; None for the end.
        regions: Parts of the picture to look at, each by itself; without any, all of it.
        region_margin: See `Predictor.predict_regions`.
        resume: Whether to pass over the videos that are done, as `Outputs.explain` tells.
        debug: Whether to show where an error was raised.

    Returns:
        The videos that failed, which have been named on stderr with the reason.

    Raises:
        ValueError: If the predictor cannot write these outputs, or what it needs is not there.
        ImportError: If a package for one of them, or for the predictor, is not installed.
        OSError: If the table alone cannot be written.
    """
    outputs.check(predictor)
    failed: list[Path] = []
    named = list(zip(videos, name_outputs(videos), strict=True))
    todo = _list_todo(named, outputs) if resume else named
    has_table = len(videos) > 1 and outputs.settings is not None
    times = {'fps': fps, 'start_s': start_s, 'end_s': end_s}
    predictor.prepare([video for video, _ in todo])
    # what is kept: once, as of ten thousand names it takes a third of a second
    with (
        keep_summary(videos, outputs.out_dir, wanted=has_table) as summary,
        keep_files(videos),
    ):
        for video, name in {*named} - {*todo}:
            summary.add(video, 'skipped', outputs.read_rows(video, name))
        for video, name in show_progress(todo, 'predict'):
            began, rows = time.monotonic(), ()
            stem = name_video(video)
            if name != stem:
                print(f'{video}: another video is named {stem} too, so this one is {name}')
            try:
                outputs.check_places(video, name)
                record = outputs.make_record(video)
                if regions:
                    margin = region_margin
                    result = predictor.predict_regions(video, regions, margin=margin, **times)
                else:
                    result = predictor.predict(video, **times)
                taken_s = time.monotonic() - began
                if record:
                    rows = describe_rows(result)
                    record = dataclasses.replace(record, rows=rows)
                written = outputs.write(predictor, video, result, name, record)
                lines = _describe(video, result, written)
            except BrokenPipeError:
                raise
            except Exception as error:
                # whatever it is, the other videos may still be fine
                summary.add(video, 'failed', reason=str(error))
                _report(video, error, failed, debug)
                continue
            summary.add(video, 'ok', rows, taken_s=taken_s)
            print('\n'.join(lines))
    if has_table and not summary.error:
        print(f'\n{summary.lay_out()}\n{outputs.out_dir / NAME}', file=sys.stderr)
    _sum_up(len(videos), len(videos) - len(todo), failed)
    if summary.error and not failed:
        raise summary.error
    return failed


def stream_videos(
    predictor: Predictor,
    videos: Sequence[Path],
    lines: TextIO | LineFile,
    *,
    fps: float | None = None,
    start_s: float = 0.0,
    end_s: float | None = None,
    debug: bool = False,
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
        debug: Whether to show where an error was raised.

    Returns:
        The videos that failed, which have been named on stderr with the reason.

    Raises:
        ImportError: If a package of the predictor is not installed.
        ValueError: If something else that it needs is not there.
        BrokenPipeError: If nobody reads the lines any more.
    """
    failed: list[Path] = []
    predictor.prepare(videos)
    for video in videos:
        try:
            for result in predictor.stream(video, fps=fps, start_s=start_s, end_s=end_s):
                content = {'video': str(video), **result.to_dict()}
                if fps is not None:
                    content['fps_given'] = fps
                lines.write(dump_json(content) + '\n')
                lines.flush()
        except BrokenPipeError:
            raise
        except Exception as error:
            # whatever it is, the other videos may still be fine
            _report(video, error, failed, debug)
    _sum_up(len(videos), 0, failed)
    return failed


def do_each(named: Iterable[tuple[str, Any]], do: Callable[[str, Any], object]) -> int:
    """Do the same with each of some videos, and say what came of it; one that fails stops nothing.

    Args:
        named: What a video is called in messages, and what else `do` gets.
        do: Returns what is printed behind the name. `ValueError` and `OSError` are said on stderr.

    Returns:
        The exit code: 1 if any failed, else 0.
    """
    num_videos = num_failed = 0
    for name, item in named:
        num_videos += 1
        try:
            done = do(name, item)
        except (ValueError, OSError) as error:
            num_failed += 1
            print(f'mmotion: {name}: {error}', file=sys.stderr)
            continue
        print(f'{name}: {done}')
    if num_failed:
        print(f'mmotion: {num_failed} of {num_videos} videos failed', file=sys.stderr)
    return 1 if num_failed else 0


def show_progress(items: Sequence[Any], what: str) -> Iterator[Any]:
    """Give items one after the other; a terminal shows how many are done, how fast, until when."""
    if not sys.stderr.isatty() or len(items) < 2:
        yield from items
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        ProgressColumn,
        TextColumn,
        TimeRemainingColumn,
    )
    from rich.text import Text

    class RateColumn(ProgressColumn):
        """How many are done in a minute."""

        def render(self, task: Any) -> Text:
            speed = task.finished_speed or task.speed
            text = '' if speed is None else f'{60 * speed:.3g}/min'
            return Text(text, style='progress.data.speed')

    columns = (
        TextColumn(what),
        BarColumn(),
        MofNCompleteColumn(),
        RateColumn(),
        TimeRemainingColumn(),
    )
    # what goes to a file must not go to the terminal instead
    to_file = not sys.stdout.isatty()
    console = Console(stderr=True)
    with Progress(*columns, console=console, redirect_stdout=not to_file) as progress:
        yield from progress.track(items)


def _list_todo(named: Sequence[tuple[Path, str]], outputs: Outputs) -> list[tuple[Path, str]]:
    """Leave out what is done, and say of the rest why it is not, if it was predicted before."""
    todo = []
    for video, name in named:
        reason = outputs.explain(video, name)
        if reason:
            print(f'{video}: predicted again, {reason}')
        if reason is not None:
            todo.append((video, name))
    return todo


def _describe(video: Path, result: Result, written: Sequence[Path]) -> list[str]:
    parts = [(str(video), result)]
    if isinstance(result, RegionResults):
        names = [f'{video}, {region.name}' for region in result.regions]
        parts = list(zip(names, result.results, strict=True))
    lines = [f'{place}: {part.describe()}' for place, part in parts]
    if result.num_lost:
        lost = f'{result.num_lost} frames are lost, beside {result.num_frames} good ones'
        lines.append(f'{video}: {lost}; copy or encode it again')
    return [*lines, *(f'  {path}' for path in written)]


def _report(video: Path, error: Exception, failed: list[Path], debug: bool) -> None:
    failed.append(video)
    if debug:
        traceback.print_exception(error)
    # mmengine's logger would put its own file and line before the reason
    print(f'mmotion: {video}: {error}', file=sys.stderr)


def _sum_up(num_videos: int, num_skipped: int, failed: Sequence[Path]) -> None:
    """Say on stderr what became of the videos, and which failed."""
    num_done = num_videos - num_skipped - len(failed)
    skipped = f', {num_skipped} were done before' if num_skipped else ''
    if num_videos > 1 or num_skipped or failed:
        text = f'mmotion: {num_done} of {num_videos} videos done{skipped}'
        print(text, file=sys.stderr)
    if failed:
        names = ', '.join(map(str, failed))
        print(f'mmotion: {len(failed)} of {num_videos} videos failed: {names}', file=sys.stderr)
