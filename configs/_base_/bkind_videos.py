# BKinD on real videos, what its configs share: pipeline, loaders, the optimizer of the paper.
test_pipeline = [dict(type='ResizePair', size=256), dict(type='PackPair')]

train_dataloader = dict(
    batch_size=16,
    num_workers=8,
    drop_last=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(type='FramePairs', pipeline=test_pipeline),
)
val_dataloader = dict(
    batch_size=16,
    num_workers=4,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(type='FramePairs', pipeline=test_pipeline),
)
test_dataloader = val_dataloader

# the rate stays as it is, as the reference's schedule is as long as its training
optim_wrapper = dict(
    optimizer=dict(type='SGD', lr=1e-3, momentum=0.9, weight_decay=1e-4, fused=True)
)
param_scheduler = []
