"""Compare a trained RepNet with counts that were made by eye, in parts of ordinary videos.

The CSV has a row a part: `file` (a video beside the CSV), `start_s`, `end_s`, `count`. A part that
cannot be read is named and left out.

Example:
    python tools/analysis/evaluate_counts.py repnet_shapes epoch_9.pth videos/counts.csv
"""

import argparse
import csv
import sys
from pathlib import Path

from mmengine.structures import BaseDataElement
from rich.progress import track

# the checkout, so that nothing needs to be installed
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from mmotion.inference import load_model
from mmotion.registry import METRICS
from mmotion.video import VideoError


def main() -> None:
    """Count in each row of the CSV, print all counts and the scores."""
    parser = argparse.ArgumentParser(description='Compare counts with those of a CSV.')
    parser.add_argument('config')
    parser.add_argument('checkpoint')
    parser.add_argument('csv', type=Path, help='columns file, start_s, end_s, count')
    parser.add_argument('--device')
    args = parser.parse_args()
    predictor = load_model(args.config, args.checkpoint, device=args.device)
    metric = METRICS.build(predictor.config.test_evaluator)

    with open(args.csv, newline='', encoding='utf-8') as file:
        rows = list(csv.DictReader(file))
    lines, num_done = [], 0
    for row in track(rows, 'count'):
        name, start_s, end_s = row['file'], float(row['start_s']), float(row['end_s'])
        part = f'{name} {start_s:g}-{end_s:g} s'
        try:
            result = predictor.predict(args.csv.parent / name, start_s=start_s, end_s=end_s)
        except (VideoError, FileNotFoundError) as error:
            lines.append(f'{part}: left out, {error}')
            continue
        sample = BaseDataElement(gt_count=float(row['count']), pred=result)
        metric.process(None, [sample.to_dict()])
        num_done += 1
        lines.append(
            f'{part}: {result.count:.1f}, true {row["count"]}, stride {result.stride}, '
            f'confidence {result.confidence:.2f}'
        )
    print('\n'.join(lines))
    # the metric prints its own table, with the protocol
    metric.evaluate(num_done)


if __name__ == '__main__':
    main()
