"""Count by signal processing: the figures that a trained RepNet has to beat.

A video becomes a curve, the first principal component over time either of its frames (grey,
24 x 24) or of the optical flow between them. The strongest peak of the curve's autocorrelation is
the period, and the count is the duration over the period: a video repeats all through, or not at
all. Which peak is high enough to repeat is chosen on the validation videos of a config. Videos of
a table of counts always repeat here, so no threshold is needed.

Example:
    mmotion repetition-baseline repnet_shapes
    mmotion repetition-baseline videos/counts.csv
"""

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument(
        'source',
        metavar='SOURCE',
        help='a config with labelled videos, or a .csv table of counts',
    )


def run(args: argparse.Namespace) -> int:
    """Measure the baselines on a config's test videos or on a table of counts."""
    from projects.repnet.commands._baselines import BASELINES, count_config, count_table
    from projects.repnet.metrics import RepetitionMetric

    samples = (count_table if args.source.endswith('.csv') else count_config)(args.source)
    metrics = {name: RepetitionMetric() for name in BASELINES}
    num_samples = 0
    for sample, results in samples:
        num_samples += 1
        for name, result in results.items():
            metrics[name].process(None, [{**sample.to_dict(), 'pred': result}])
    for name, metric in metrics.items():
        print(f'\n{name}, {num_samples} videos')
        for score, value in metric.evaluate(num_samples).items() if num_samples else ():
            print(f'  {score}: {value:.3f}')
    return 0
