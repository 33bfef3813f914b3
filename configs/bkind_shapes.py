# BKinD on generated videos of a jointed figure, random weights; two CPU cores; not measured yet.
_base_ = ['_base_/default_runtime.py', '_base_/bkind.py']

model = dict(
    encoder=dict(name='resnet10t', init=None),
    image_size=64,
    losses=dict(kind='mse', vgg=None),
    curriculum_epoch=3,
)
test_pipeline = [dict(type='ResizePair', size=64), dict(type='PackPair')]
_pairs = dict(type='FramePairsShapes', size=64, pipeline=test_pipeline)
_shuffle, _order = (dict(type='DefaultSampler', shuffle=shuffle) for shuffle in (True, False))
train_dataloader = dict(
    batch_size=16,
    num_workers=1,
    drop_last=True,
    sampler=_shuffle,
    dataset=dict(split='train', num_videos=60, **_pairs),
)
_loader = dict(batch_size=50, num_workers=1, sampler=_order)
val_dataloader = dict(dataset=dict(split='val', num_videos=10, **_pairs), **_loader)
test_dataloader = dict(dataset=dict(split='test', num_videos=20, **_pairs), **_loader)
optim_wrapper = dict(optimizer=dict(type='AdamW', lr=1e-3, weight_decay=0.01, fused=True))
param_scheduler = [dict(type='CosineAnnealingLR', eta_min=1e-6, convert_to_iter_based=True)]
train_cfg = dict(max_epochs=6, val_interval=3)
