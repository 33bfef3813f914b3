# RepNet on generated videos from random weights; two CPU cores, 10 minutes; see projects/repnet.
_base_ = ['_base_/default_runtime.py', '_base_/repnet.py']

model = dict(
    encoder=dict(type='ConvEncoder', channels=(24, 48, 48)),
    embedding_dim=64,
    similarity=dict(channels=16, temperature=2.0, learn_temperature=True, align_lags=True),
    head=dict(width=128, dropout=0.0),
    loss=dict(soft_periods=True, similarity_weight=0.5),
    counting=dict(threshold=0.55, period_estimate='expected', stride_tolerance=0.1),
)
test_pipeline = [dict(type='ResizeFrames', size=64), dict(type='PackRepetitionInputs')]
_shapes = dict(type='RepetitionShapesDataset', size=64, pipeline=test_pipeline)
_slow_loader = dict(batch_size=1, num_workers=1, sampler=dict(type='DefaultSampler', shuffle=False))
train_dataloader = dict(
    batch_size=8,
    num_workers=1,
    sampler=dict(type='EpochSliceSampler', epoch_size=2400),
    dataset=dict(split='train', num_videos=10_000_000, clip_frames=64, **_shapes),
)
val_dataloader = dict(dataset=dict(split='val', num_videos=100, **_shapes), **_slow_loader)
test_dataloader = dict(dataset=dict(split='test', num_videos=400, **_shapes), **_slow_loader)
train_cfg = dict(max_epochs=9, val_interval=3)
default_hooks = dict(checkpoint=dict(save_best='count/MAE', rule='less'))
