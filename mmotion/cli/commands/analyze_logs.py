"""Compare training runs: a table of their losses and metrics, their speed, and curves as a picture.

RUN is a work dir, or a `scalars.json` in it. Where a run was stopped and gone on with, the later
part counts. Losses stand over iterations; metrics of validation over what mmengine counts them by,
epochs unless training is by iterations.

Example:
    mmotion analyze-logs work_dirs/repnet_shapes work_dirs/repnet_small --out curves.png
    mmotion analyze-logs work_dirs/* --keys loss RepetitionMetric/mae --smooth 5 --out curves.png
"""

import argparse
import difflib
import json
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

# of a logged line: where training was, what it took, and the settings of the optimizer
PLACES = ('step', 'iter', 'epoch')
NOT_CURVES = (*PLACES, 'time', 'data_time', 'memory', 'lr', 'base_lr', 'momentum')

# values of one key by their step
Curve = dict[int, float]


class Run:
    """What a training run has logged.

    Args:
        path: Its work dir, or a `scalars.json`.

    Attributes:
        name: What tables and curves call it.
        curves: By key, those of training first.
        lines: Of training, in their order.
        trained: Keys of training: their steps are iterations.

    Raises:
        FileNotFoundError: If there is no log.
        ValueError: If a log has no line that can be read.
    """

    def __init__(self, path: Path) -> None:
        files = [path] if path.is_file() else sorted(path.glob('*/vis_data/scalars.json'))
        if not files:
            raise FileNotFoundError(
                f'RUN must be a work dir with */vis_data/scalars.json, or such a file, got {path}'
            )
        self.name = path.resolve().name if path.is_dir() else str(path)
        self.curves: dict[str, Curve] = defaultdict(dict)
        steps: dict[int, Mapping[str, float]] = {}
        self.trained: set[str] = set()
        for line in (line for file in files for line in _read_lines(file)):
            numbers = {k: float(v) for k, v in line.items() if isinstance(v, int | float)}
            step = int(numbers.get('step', 0))
            if 'iter' in numbers:
                steps[step] = numbers
                self.trained.update(numbers)
            # validation counts its steps in epochs, and has times of its own
            for key in numbers.keys() - {*(PLACES if 'iter' in numbers else NOT_CURVES)}:
                self.curves[key][step] = numbers[key]
        if not self.curves:
            raise ValueError(f'RUN must have a log with JSON lines, got none in {path}')
        self.lines = [steps[step] for step in sorted(steps)]
        self.curves = {key: dict(sorted(curve.items())) for key, curve in self.curves.items()}

    def describe_speed(self) -> str:
        """Say how long an iteration takes, in all and in the slowest and fastest epoch."""
        timed = [line for line in self.lines if 'time' in line]
        if not timed:
            return f'{self.name}: no times'
        epochs: dict[int, list[float]] = defaultdict(list)
        for line in timed:
            epochs[int(line.get('epoch', 0))].append(line['time'])
        mean = _mean(line['time'] for line in timed)
        data = _mean(line.get('data_time', 0.0) for line in timed)
        text = f'{self.name}: {mean:.4f} s an iteration, {data:.4f} s of them for data'
        means = {epoch: _mean(times) for epoch, times in epochs.items()}
        if len(means) > 1:
            slow, fast = max(means, key=means.__getitem__), min(means, key=means.__getitem__)
            text += f'; epoch {slow} slowest, {means[slow]:.4f}; epoch {fast} fastest, '
            text += f'{means[fast]:.4f}'
        return text


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `mmotion analyze-logs`."""
    add = parser.add_argument
    add('runs', metavar='RUN', nargs='+', type=Path, help='a work dir, or a scalars.json')
    add('--keys', nargs='+', metavar='KEY', help='default: the loss, and what validation measures')
    add('--smooth', type=int, default=1, metavar='N', help='curves: mean of N values; default: 1')
    add('--out', type=Path, metavar='FILE', help='draw the curves: .png, .pdf or .svg')


def run(args: argparse.Namespace) -> int:
    """Print the tables, and draw the curves."""
    if args.smooth < 1:
        raise ValueError(f'--smooth must be at least 1, got --smooth {args.smooth}')
    runs = [Run(path) for path in args.runs]
    if len({run.name for run in runs}) < len(runs):
        for run_, path in zip(runs, args.runs, strict=True):
            run_.name = str(path)
    keys = choose_keys(runs, args.keys)
    print('\n'.join(make_table(runs, keys)))
    print()
    for run_ in runs:
        print(run_.describe_speed())
    if args.out:
        draw_curves(runs, keys, args.out, smooth=args.smooth)
        print(f'\ncurves drawn: {args.out}')
    return 0


def choose_keys(runs: Sequence[Run], wanted: Sequence[str] | None) -> list[str]:
    """Check the keys that are wanted, or choose the loss and all metrics.

    Raises:
        ValueError: If no run has one of them.
    """
    known = list(dict.fromkeys(key for run_ in runs for key in sorted(run_.curves)))
    for key in wanted or ():
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            raise ValueError(
                f'--keys must be in a log ({", ".join(known)}), got {key!r}'
                + (f'; did you mean {near[0]!r}?' if near else '')
            )
    trained = {key for run_ in runs for key in run_.trained}
    chosen = [key for key in known if key == 'loss' or key not in trained.union(NOT_CURVES)]
    return list(wanted or chosen or known)


def make_table(runs: Sequence[Run], keys: Sequence[str]) -> list[str]:
    """Write last, lowest and highest value of each key and run, with the steps of the latter."""
    rows = [('key', 'run', 'last', 'lowest', 'at', 'highest', 'at')]
    for key in keys:
        for run_ in runs:
            curve = {s: v for s, v in run_.curves.get(key, {}).items() if math.isfinite(v)}
            if not curve:
                continue
            low, high = (choose(curve, key=curve.__getitem__) for choose in (min, max))
            unit = 'iter' if key in run_.trained else 'epoch'
            last = curve[max(curve)]
            lowest = (f'{curve[low]:.4g}', f'{unit} {low}')
            highest = (f'{curve[high]:.4g}', f'{unit} {high}')
            rows.append((key, run_.name, f'{last:.4g}', *lowest, *highest))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ['  '.join(map(str.ljust, row, widths)).rstrip() for row in rows]


def smooth_curve(values: Sequence[float], window: int) -> list[float]:
    """Replace each value by the mean of the last `window` ones.

    Example:
        >>> smooth_curve([1.0, 3.0, 5.0], 2)
        [1.0, 2.0, 4.0]
    """
    return [_mean(values[max(i + 1 - window, 0) : i + 1]) for i in range(len(values))]


def draw_curves(runs: Sequence[Run], keys: Sequence[str], file: Path, *, smooth: int) -> None:
    """Draw a plot for each key, with a curve for each run.

    Args:
        runs: The runs.
        keys: What to draw.
        file: Where to; its suffix is the format.
        smooth: Values that are averaged.

    Raises:
        ValueError: If the format is not known.
    """
    from matplotlib.figure import Figure

    from mmotion.visualization import save_figure

    columns = min(len(keys), 3)
    rows = -(-len(keys) // columns)
    figure = Figure(figsize=(5 * columns, 3.6 * rows), layout='constrained')
    for place, key in enumerate(keys):
        axes = figure.add_subplot(rows, columns, place + 1)
        for color, run_ in enumerate(runs):
            curve = run_.curves.get(key, {})
            if curve:
                values = smooth_curve([*curve.values()], smooth)
                # a dot where there is no line to see
                marker = 'o' if len(curve) < 20 else ''
                (line,) = axes.plot([*curve], values, f'C{color % 10}', label=run_.name)
                line.set(linewidth=1.2, marker=marker, markersize=3)
        axes.set_title(key, fontsize=10)
        axes.set_xlabel('iteration' if any(key in r.trained for r in runs) else 'epoch')
        # there is no half epoch
        axes.locator_params('x', integer=True, min_n_ticks=1)
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8)
    save_figure(figure, file)


def _read_lines(file: Path) -> Iterable[dict[str, object]]:
    # a run that was killed may have left half a line, and one of another kind none at all
    for text in file.read_text(encoding='utf-8', errors='replace').splitlines():
        try:
            line = json.loads(text)
        except (ValueError, RecursionError):
            continue
        if isinstance(line, dict):
            yield line


def _mean(values: Iterable[float]) -> float:
    values = list(values)
    return sum(values) / len(values)
