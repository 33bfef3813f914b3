# The toy of the tests; CPU, seconds.
_base_ = ['mmotion::_base_/default_runtime.py']
custom_imports = dict(imports=['toy_motion'], allow_failed_imports=False)

model = dict(type='ToyCounter', dropout=0.3, norm=True)
_loader = dict(
    batch_size=8,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(type='ToyVectors', num_samples=20),
)
train_dataloader = dict(
    batch_size=8,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(type='ToyVectors', num_samples=64, augment=True),
)
val_dataloader = _loader
test_dataloader = _loader
train_cfg = dict(by_epoch=True, max_epochs=2)
val_cfg = {}
test_cfg = {}
val_evaluator = dict(type='ToyError')
test_evaluator = dict(type='ToyError')
optim_wrapper = dict(optimizer=dict(type='AdamW', lr=0.01))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, end=1, convert_to_iter_based=True),
    dict(type='CosineAnnealingLR', T_max=8, convert_to_iter_based=True),
]
default_hooks = dict(logger=dict(interval=1))
test_pipeline = [dict(type='FormatShape', input_format='NCTHW')]
predictor = dict(type='ToyPredictor')
