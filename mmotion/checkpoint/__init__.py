"""Weights: found, read without running code, and written whole or not at all."""

from mmotion.checkpoint import sources
from mmotion.checkpoint.files import CheckpointError, check_checkpoint_file, find_last_checkpoint
from mmotion.checkpoint.hub import ask_hub
from mmotion.checkpoint.released import (
    RANDOM_WEIGHTS,
    fetch_if_released,
    find_weights,
    load_image_weights,
)
from mmotion.checkpoint.weights import (
    check_finite,
    find_state_dict,
    load_checkpoint_file,
    load_state_dict,
    load_weights,
    save_checkpoint_file,
    save_safetensors,
)

__all__ = [
    'RANDOM_WEIGHTS',
    'CheckpointError',
    'ask_hub',
    'check_checkpoint_file',
    'check_finite',
    'fetch_if_released',
    'find_last_checkpoint',
    'find_state_dict',
    'find_weights',
    'load_checkpoint_file',
    'load_image_weights',
    'load_state_dict',
    'load_weights',
    'save_checkpoint_file',
    'save_safetensors',
    'sources',
]
