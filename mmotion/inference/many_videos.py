"""Run a predictor over many videos; one that fails does not stop the rest.

There is a JSON file for each video, or a line of JSON for each result while the video goes on.
"""

import logging
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

import simplejson
from mmengine.logging import print_log
from rich.console import Console
from rich.progress import track

from mmotion.atomic import write_atomically
from mmotion.inference.predictor import Predictor
from mmotion.regions import MARGIN, Region, RegionResults
from mmotion.video.files import name_outputs
from mmotion.visualization import draw_result, plot_result


def predict_videos(
    predictor: Predictor,
    videos: Sequence[Path],
    *,
    out_dir: str | Path,
    draw: bool = False,
    attention: bool = False,
    export: Sequence[str] = (),
    start_s: float = 0.0,
    end_s: float | None = None,
    regions: Sequence[Region] = (),
    region_margin: float = MARGIN,
    provenance: Mapping[str, Any] | None = None,
) -> list[Path]:
    """Write `<out_dir>/<stem>.json` for each video, and pictures if wanted.

    Args:
        predictor: From `mmotion.inference.load_model`.
        videos: The files, see `find_videos`.
        out_dir: Folder of the outputs.
        draw: Whether to draw the result of each video.
        attention: Whether to draw where the model looks, not with `regions`.
        export: Formats of files for other programs, see `Predictor.export`; not with `regions`.
        start_s: From where the videos are looked at, in seconds.
        end_s: Up to where; None for the end.
        regions: Parts of the picture to look at, each by itself; without any, all of it.
        region_margin: See `Predictor.predict_regions`.
        provenance: Entries to add to each JSON file: config and checkpoint.

    Returns:
        The videos that failed, which have been named on stderr with the reason.

    Raises:
        ValueError: If the predictor does not export in these formats.
        ImportError: If a package for one of them is not installed.
    """
    if export:
        predictor.check_export(export)
    out_dir = Path(out_dir)
    failed: list[Path] = []
    console = Console(stderr=True)
    outputs = list(zip(videos, name_outputs(videos), strict=True))
    for video, name in track(outputs, 'predict', console=console, disable=len(videos) < 2):
        if name != video.stem:
            print(f'{video}: another video is named {video.stem} too, so this one is {name}')
        try:
            target = out_dir / f'{name}.json'
            if target.resolve() == video.resolve():
                raise ValueError(
                    f'the result must not take the place of its input, got {target}; choose '
                    'another --out'
                )
            if regions:
                result = predictor.predict_regions(
                    video, regions, start_s=start_s, end_s=end_s, margin=region_margin
                )
            else:
                result = predictor.predict(video, start_s=start_s, end_s=end_s)
            summary = result.to_dict()
            with write_atomically(target) as temporary:
                content = dict(summary, video=str(video), **(provenance or {}))
                temporary.write_text(simplejson.dumps(content, ignore_nan=True), encoding='utf-8')
            written = [target]
            files_dir = out_dir if name == video.stem else out_dir / name
            if draw:
                if regions:
                    written += _draw_regions(video, result, files_dir)
                else:
                    written += predictor.draw(
                        video, result, files_dir, start_s=start_s, end_s=end_s
                    )
            if export:
                written += predictor.export(video, result, files_dir, export)
            if attention:
                written += predictor.draw_attention(
                    video, result, files_dir, start_s=start_s, end_s=end_s
                )
        except Exception as error:
            # whatever it is, the other videos may still be fine
            failed.append(video)
            print_log(f'{video}: {error}', logger='current', level=logging.ERROR)
            continue
        parts = zip(regions, result.results, strict=True) if regions else [(None, result)]
        for region, part in parts:
            place = f'{video}, {region.name}' if region else video
            print(f'{place}: {_describe(part)}')
        for path in written:
            print(f'  {path}')
    _name_failed(failed, videos)
    return failed


def stream_videos(
    predictor: Predictor,
    videos: Sequence[Path],
    lines: TextIO,
    *,
    start_s: float = 0.0,
    end_s: float | None = None,
) -> list[Path]:
    """Write each result of `Predictor.stream` as a line of JSON as soon as it is there.

    A line has the entries of the result's `to_dict`, and `video`. Memory does not grow with the
    length of a video.

    Args:
        predictor: From `mmotion.inference.load_model`.
        videos: The files, see `find_videos`; one after the other.
        lines: Where to write, flushed after each line.
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
            for result in predictor.stream(video, start_s=start_s, end_s=end_s):
                content = {'video': str(video), **result.to_dict()}
                lines.write(simplejson.dumps(content, ignore_nan=True) + '\n')
                lines.flush()
        except BrokenPipeError:
            raise
        except Exception as error:
            # whatever it is, the other videos may still be fine
            failed.append(video)
            print_log(f'{video}: {error}', logger='current', level=logging.ERROR)
    _name_failed(failed, videos)
    return failed


def _name_failed(failed: Sequence[Path], videos: Sequence[Path]) -> None:
    if failed:
        names = ', '.join(map(str, failed))
        print(f'mmotion: {len(failed)} of {len(videos)} videos failed: {names}', file=sys.stderr)


def _describe(result: Any) -> str:
    """What a result says of itself in a line, or the numbers in it."""
    if hasattr(result, 'describe'):
        return result.describe()
    summary = result.to_dict()
    return ', '.join(f'{k} {v:.4g}' for k, v in summary.items() if isinstance(v, (int, float)))


def _draw_regions(video: Path, result: RegionResults, out_dir: Path) -> list[Path]:
    """Write `<stem>_overlay.mp4` and `<stem>_regions.png`."""
    overlay, plot = (out_dir / f'{video.stem}_{name}' for name in ('overlay.mp4', 'regions.png'))
    draw_result(video, result, overlay)
    plot_result(result, plot, title=video.stem)
    return [overlay, plot]
