import sys
from pathlib import Path

import pytest
import torch
from mmaction.structures import ActionDataSample

from mmotion.checkpoint import load_checkpoint_file
from mmotion.config import load_config
from mmotion.registry import MODELS, OPTIM_WRAPPERS
from mmotion.training.precision import BFloat16OptimWrapper
from mmotion.training.runner import build_runner
from tests.training_runs import train

TOY = Path(__file__).resolve().parents[1] / 'toy' / 'toy.py'


def toy(**options):
    options = {key.replace('__', '.'): value for key, value in options.items()}
    return load_config(TOY, {'log_level': 'ERROR', **options})


@pytest.mark.parametrize('by_config', [False, True], ids=['flag', 'config'])
def test_mixed_precision_on_a_cpu_is_bfloat16(tmp_path, monkeypatch, by_config):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    seen = []
    hook = torch.nn.modules.module.register_module_forward_hook(
        lambda module, inputs, output: (
            seen.append(output.dtype) if isinstance(module, torch.nn.Linear) else None
        )
    )
    monkeypatch.setattr(torch.backends.cpu, 'get_cpu_capability', lambda: 'AVX512')
    config = toy(train_cfg__max_epochs=1)
    if by_config:
        config.optim_wrapper.update(type='AmpOptimWrapper', loss_scale='dynamic')
    try:
        train(config, work_dir=tmp_path, amp=not by_config, validate=False)
    finally:
        hook.remove()
    assert set(seen) == {torch.bfloat16}
    weights = load_checkpoint_file(tmp_path / 'epoch_1.pth')['state_dict']
    assert weights['head.weight'].dtype == torch.float32


@pytest.mark.parametrize('kind', ['AmpOptimWrapper', 'BFloat16OptimWrapper', 'OptimWrapper'])
def test_float32_where_mixed_precision_is_slower(tmp_path, monkeypatch, kind):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    monkeypatch.setattr(torch.backends.cpu, 'get_cpu_capability', lambda: 'AVX2')
    config = toy(optim_wrapper__type=kind)
    wrapper = build_runner(config, work_dir=tmp_path, amp=kind == 'OptimWrapper').optim_wrapper
    assert wrapper['type'] == 'OptimWrapper'


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a GPU')
def test_mixed_precision_on_a_gpu_scales_the_loss(tmp_path):
    runner = train(toy(train_cfg__max_epochs=1), work_dir=tmp_path, amp=True)
    assert type(runner.optim_wrapper).__name__ == 'AmpOptimWrapper'
    state = load_checkpoint_file(tmp_path / 'epoch_1.pth', 'cuda')
    assert state['optimizer']['loss_scaler']['scale'] > 1
    resumed = train(toy(train_cfg__max_epochs=2), work_dir=tmp_path, amp=True, resume='auto')
    assert resumed.iter == 16


HEAD = """
import torch
from mmaction.models.heads.base import BaseHead
from mmotion.registry import MODELS


@MODELS.register_module()
class OwnHead(BaseHead):
    def __init__(self, **options):
        super().__init__(**options)
        self.fc = torch.nn.Linear(self.in_channels, self.num_classes)

    def forward(self, embeddings, **_):
        return self.fc(embeddings)
"""


@pytest.mark.parametrize('kind', ['BFloat16OptimWrapper', 'OptimWrapper'])
def test_a_head_of_ones_own_trains_in_bfloat16(tmp_path, monkeypatch, kind):
    """MMAction2's BaseHead makes an array of NumPy of its logits, which knows no bfloat16."""
    name = f'own_head_{kind.lower()}'
    (tmp_path / f'{name}.py').write_text(HEAD.replace('OwnHead', f'OwnHead{kind}'))
    (tmp_path / 'own.py').write_text(
        "_base_ = 'mmotion::timesformer_shapes.py'\n"
        "custom_imports = dict(imports=['projects.timesformer', "
        f"'{name}'], allow_failed_imports=False)\n"
        "model = dict(cls_head=dict(_delete_=True, average_clips='prob', num_classes=8, "
        f"in_channels=96, type='OwnHead{kind}'))\n"
    )
    monkeypatch.setattr(sys, 'path', list(sys.path))
    config = load_config(tmp_path / 'own.py', {'optim_wrapper.type': kind})
    model = MODELS.build(config.model)
    wrapper = OPTIM_WRAPPERS.build(
        {'type': kind, 'optimizer': torch.optim.SGD(model.parameters(), lr=0.1)}
    )
    sample = ActionDataSample().set_gt_label(1)
    size, frames = config.model.backbone.image_size, config.model.backbone.num_frames
    batch = {
        'inputs': [torch.zeros(1, 3, frames, size, size, dtype=torch.uint8)] * 2,
        'data_samples': [sample, sample],
    }
    losses = model.train_step(batch, wrapper)
    assert losses['loss'].isfinite() and losses['top1_acc'].isfinite()
    # as it was afterwards
    assert not model.cls_head._forward_hooks


@pytest.mark.parametrize(
    ('kind', 'dtype'), [(torch.nn.Conv2d, torch.bfloat16), (torch.nn.Conv3d, torch.float32)]
)
def test_convolutions_in_time_stay_in_float32_on_a_cpu(monkeypatch, kind, dtype):
    monkeypatch.setattr('mmotion.training.precision.get_device', lambda: 'cpu')
    model = kind(3, 4, 1)
    wrapper = BFloat16OptimWrapper(torch.optim.SGD(model.parameters(), lr=0.1))
    with wrapper.optim_context(model):
        output = model(torch.zeros(1, 3, *[2] * (kind is torch.nn.Conv3d), 4, 4))
    assert output.dtype == dtype
