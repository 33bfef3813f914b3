# The example of docs/add_a_system.md on generated dots; a CPU, 5 seconds; accuracy above 0.95.
_base_ = ['_base_/default_runtime.py', '_base_/example_project.py']

_in_order = dict(type='DefaultSampler', shuffle=False)
train_dataloader = dict(
    batch_size=16,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(type='MovingDots', num_clips=1600, seed=0),
)
val_dataloader = dict(
    batch_size=50,
    num_workers=0,
    sampler=_in_order,
    dataset=dict(type='MovingDots', num_clips=200, seed=1),
)
test_dataloader = dict(
    batch_size=50,
    num_workers=0,
    sampler=_in_order,
    dataset=dict(type='MovingDots', num_clips=200, seed=2),
)
