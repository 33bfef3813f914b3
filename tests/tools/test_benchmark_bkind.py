"""The comparison of BKinD's training step with the passes of the reference, on a tiny one."""

import pytest

from tests.tools.test_benchmark_timesformer import make_options
from tests.tools.test_measuring import read_rows


@pytest.fixture
def script(import_script):
    return import_script('benchmark_bkind')


def test_both_ways_and_all_parts_are_timed(script):
    ways, parts = script.compare_steps(make_options())
    rows = read_rows(ways)
    assert list(rows) == [*script.NAMES]
    # batch norm has other batches there; the losses are alike all the same
    assert float(rows['passes of the reference'][-1]) < 0.2
    assert float(rows['ours, bf16'][-1]) < 0.05
    assert list(read_rows(parts)) == [
        'encoder and pose decoder, 5 images a pair',
        'reconstruction decoder',
        'perceptual loss',
        'SSIM target',
    ]
