"""Time a training step of the LSTM, the ConvLSTM and SimCLR on keypoint sequences.

No package that can be installed does the same.

    mmotion benchmark pose_sequence
    mmotion benchmark pose_sequence --end-to-end
"""

from functools import partial

from end_to_end import measure_prediction
from measuring import Options, run_benchmark
from training_steps import compare_training

CONFIGS = ('pose_lstm_shapes', 'pose_convlstm_shapes', 'pose_simclr_shapes')


def compare_networks(options: Options) -> list[str]:
    """A table in Markdown for each of `CONFIGS`."""
    return [compare_training(config, options) for config in CONFIGS]


if __name__ == '__main__':
    run_benchmark(
        'Time a training step of the pose networks.',
        compare_networks,
        predicts=partial(measure_prediction, 'pose_convlstm_shapes', keypoints=True),
    )
