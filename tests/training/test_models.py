import pytest
import torch
from mmengine.model import MMDistributedDataParallel
from torch import nn

from mmotion.training.models import MODES, check_mode, send_numbers, unwrap_model


@pytest.mark.parametrize('mode', MODES)
def test_modes_of_mmengine(mode):
    check_mode(mode)


def test_another_mode():
    with pytest.raises(ValueError, match="one of loss, predict, tensor, got mode='test'"):
        check_mode('test')


def test_numbers_are_sent_to_a_device():
    sent = send_numbers((1.5, 2.0), torch.device('meta'))
    assert (sent.device.type, sent.dtype, sent.shape) == ('meta', torch.float32, (2,))
    assert send_numbers([[1, 2], [3, 4]], torch.device('cpu')).tolist() == [[1, 2], [3, 4]]


def test_the_model_in_a_wrapper():
    model = nn.Linear(1, 1)
    # without a process group, which its constructor asks for
    wrapper = MMDistributedDataParallel.__new__(MMDistributedDataParallel)
    nn.Module.__init__(wrapper)
    wrapper.module = model
    assert unwrap_model(wrapper) is model
    assert unwrap_model(model) is model
