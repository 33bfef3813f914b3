# RepNet on generated videos from random weights; two CPU cores, 10 minutes; OBO 0.81.
_base_ = ['_base_/default_runtime.py', '_base_/repnet.py', '_base_/repnet_generated.py']

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
train_dataloader = dict(sampler=dict(epoch_size=2400), dataset=_shapes)
val_dataloader = dict(dataset=dict(split='val', num_videos=100, **_shapes))
test_dataloader = dict(dataset=dict(num_videos=400, **_shapes))
train_cfg = dict(max_epochs=9, val_interval=3)
