"""The table of training steps of a config."""

import pytest

from tests.tools.test_benchmark_timesformer import make_options
from tests.tools.test_measuring import read_rows


@pytest.mark.parametrize(
    ('config', 'names'),
    [
        ('repnet_shapes', ['ours', 'ours, bf16', 'ours, bf16, channels last']),
        ('pose_lstm_shapes', ['ours', 'ours, bf16']),
    ],
)
def test_a_config_is_timed_in_each_precision(import_script, config, names):
    script = import_script('training_steps')
    table = script.compare_training(config, make_options())
    rows = read_rows(table)
    assert list(rows) == names
    # what is dropped is the same, so only rounding is left
    assert all(float(cells[-1]) < 0.1 for name, cells in rows.items() if name != 'ours')
    assert f'`{config}`, 2 samples a batch' in table and 'A data worker makes a batch in' in table
