"""The comparison of BKinD's training step with the passes of the reference, on a tiny one."""

import importlib
from pathlib import Path
from types import ModuleType

import pytest

ANALYSIS = Path(__file__).resolve().parents[2] / 'tools' / 'analysis'


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    # where Python looks when a script is run
    monkeypatch.syspath_prepend(ANALYSIS)
    return importlib.import_module('benchmark_bkind')


@pytest.mark.slow
def test_both_ways_and_all_parts_are_timed(script, monkeypatch) -> None:
    class SameProcess:
        def __init__(self, *args, **kwargs) -> None:
            pass

        def __enter__(self):
            return self

        def __exit__(self, *args) -> None:
            pass

        def submit(self, task, *args):
            result = task(*args)
            return type('Future', (), {'result': lambda self: result})()

    monkeypatch.setattr(script, 'ProcessPoolExecutor', SameProcess)
    sizes = script.Sizes(encoder='resnet18', num_keypoints=2, image_size=32, batch_size=2)
    table = script.compare_steps(sizes, rounds=1, device='cpu', keep_memory=False)
    rows = [line.split('|')[1].strip() for line in table.splitlines() if line.startswith('| ')]
    assert rows == [
        '',
        'ours',
        'reference',
        'part of ours, alone',
        'encoder and pose decoder, 5 images a pair',
        'reconstruction decoder',
        'perceptual loss',
        'SSIM target',
        'SGD',
    ]
    assert '1.00 times as fast' in table
