import subprocess
import sys

import numpy as np
import pytest
import torch

from mmotion.inference.lean import import_lean, to_array, without_gradients
from tests.inference.lean_cases import run_lean


def test_a_module_of_a_system_is_imported_without_torch():
    code = """
from mmotion.inference.lean import import_lean
module = import_lean('projects.repnet.inference')
print(module.__name__, 'projects.repnet' in sys.modules)
"""
    assert run_lean(code).split() == ['mmotion_lean.repnet.inference', 'False']


def test_the_whole_system_can_be_imported_afterwards():
    code = """
from mmotion.inference.lean import import_lean
module = import_lean('projects.repnet.inference')
from mmotion.config import load_config
from mmotion.registry import PREDICTORS
kind = PREDICTORS.get(load_config('repnet_small').predictor.type)
print(kind.__module__, kind is module.RepetitionPredictor)
"""
    command = [sys.executable, '-W', 'ignore', '-c', code]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ['projects.repnet.inference', 'False']


def test_what_is_imported_already_is_not_imported_again():
    import projects.repnet.inference as module

    assert import_lean('projects.repnet.inference') is module


def test_nothing_needs_gradients():
    with without_gradients():
        assert torch.is_inference_mode_enabled()


@pytest.mark.parametrize(
    'values', [np.ones(2, np.float32), torch.ones(2), torch.ones(2, dtype=torch.bfloat16)]
)
def test_arrays_are_made_of_what_models_give(values):
    array = to_array(values)
    assert array.dtype == np.float32
    assert array.tolist() == [1, 1]


def test_whole_numbers_stay_what_they_are():
    assert to_array(torch.tensor([True])).dtype == bool
    assert to_array(torch.tensor([3])).dtype == np.int64
