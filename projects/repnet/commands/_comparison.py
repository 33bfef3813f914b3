"""Counts of a RepNet beside those that were made by eye, see `mmotion evaluate-counts`."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from rich.progress import track

from mmotion.atomic import write_atomically
from mmotion.inference import Predictor
from mmotion.regions import RegionResults
from mmotion.video import VideoError
from mmotion.visualization import plot_result
from projects.repnet.commands._baselines import measure_clip
from projects.repnet.metrics import RepetitionMetric, describe_protocol
from projects.repnet.results import RepetitionCount
from projects.repnet.table_data import CountedClip

SCORES = ('MAE', 'OBO', 'OBZ')
# of a contact sheet
TILE_SIZE = (540, 360)
NUM_COLUMNS = 4


@dataclass(frozen=True)
class Comparison:
    """What each method says of a clip.

    Args:
        clip: Stretch of a video with its true count.
        results: By the name of the method; the model comes first.
    """

    clip: CountedClip
    results: dict[str, RepetitionCount]

    def to_row(self) -> dict[str, str]:
        """Cells of the table by column."""
        model, *others = self.results
        result = self.results[model]
        return {
            'clip': self.clip.name,
            'true': f'{self.clip.count:g}',
            model: f'{result.count:.1f}',
            'stride': str(result.stride),
            'confidence': f'{result.confidence:.2f}',
            **{name: f'{self.results[name].count:.1f}' for name in others},
        }


def compare_clips(
    predictor: Predictor, clips: Sequence[CountedClip], *, model: str, baselines: bool
) -> tuple[list[Comparison], list[str]]:
    """Count in each clip.

    Args:
        predictor: Of a RepNet.
        clips: What to count in.
        model: Name of the predictor in the table.
        baselines: Whether to count by signal processing too.

    Returns:
        The comparisons, and the reasons why clips were left out.
    """
    comparisons, problems = [], []
    for clip in track(clips, 'count'):
        try:
            found = predictor.predict(clip.path, start_s=clip.start_s, end_s=clip.end_s)
            # of several people, the one that the video is about
            result: Any = found.results[0] if isinstance(found, RegionResults) else found
            results = {model: result} | (measure_clip(clip) if baselines else {})
        except (VideoError, OSError) as error:
            problems.append(f'{clip.name}: {error}')
        else:
            comparisons.append(Comparison(clip, results))
    return comparisons, problems


def score_methods(comparisons: Sequence[Comparison]) -> list[dict[str, str]]:
    """MAE, OBO and OBZ of each method over all clips, as cells of a table by column."""
    rows = []
    for name in comparisons[0].results:
        metric = RepetitionMetric()
        samples = [{'gt_count': c.clip.count, 'pred': c.results[name]} for c in comparisons]
        metric.process(None, samples)
        scores = metric.evaluate(len(samples))
        cells = {score: f'{scores.get(f"count/{score}", np.nan):.2f}' for score in SCORES}
        strides = comparisons[0].results[name].strides or (1,)
        rows.append({'method': name, **cells, 'strides': describe_protocol(strides)})
    return rows


def draw_plots(comparisons: Sequence[Comparison], folder: Path) -> Path:
    """Plot the model's result of each clip, and all plots on one sheet, `sheet.png`."""
    tiles = []
    for comparison in comparisons:
        clip, result = comparison.clip, next(iter(comparison.results.values()))
        path = folder / f'{clip.name.replace(" ", "_")}.png'
        plot_result(result, path, title=clip.name, truth=clip.count)
        tiles.append(Image.open(path).convert('RGB').resize(TILE_SIZE))
    width, height = TILE_SIZE
    num_rows = -(-len(tiles) // NUM_COLUMNS)
    sheet = Image.new('RGB', (width * NUM_COLUMNS, height * num_rows), 'white')
    for i, tile in enumerate(tiles):
        sheet.paste(tile, (i % NUM_COLUMNS * width, i // NUM_COLUMNS * height))
    with write_atomically(folder / 'sheet.png') as temporary:
        sheet.save(temporary)
    return folder / 'sheet.png'
