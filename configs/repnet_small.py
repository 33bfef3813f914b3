# RepNet that ships with its weights, of generated videos; two CPU cores, 95 minutes; OBO 0.90.
_base_ = ['_base_/default_runtime.py', '_base_/repnet.py', '_base_/repnet_generated.py']
_pace = dict(strides=(1, 2, 3, 4, 6, 8, 12, 16), stride_score='mean_square', stride_tolerance=0.2)
model = dict(
    encoder=dict(type='ConvEncoder', channels=(32, 64, 128, 192)),
    embedding_dim=96,
    similarity=dict(channels=16, temperature=2.0, learn_temperature=True, align_lags=True),
    head=dict(width=256, dropout=0.0),
    loss=dict(soft_periods=True, similarity_weight=0.5),
    counting=dict(threshold=0.45, confidence_curve=(12, -7.2), period_estimate='expected', **_pace),
)
test_pipeline = [dict(type='ResizeFrames', size=96), dict(type='PackRepetitionInputs')]
_wild = dict(num_frames=(64, 640), periods=(4, 120), in_the_wild=True)
_shapes = dict(type='RepetitionShapesDataset', size=96, shapes=_wild, pipeline=test_pipeline)
_real = dict(type='CountsTableDataset', csv_file='data/reps/counts.csv', size=96)
train_dataloader = dict(sampler=dict(epoch_size=12_000), dataset=_shapes)
_val = [dict(split='val', num_videos=100, **_shapes), dict(pipeline=test_pipeline, **_real)]
val_dataloader = dict(dataset=dict(type='JoinedRepetitionDataset', datasets=_val))
test_dataloader = dict(dataset=dict(num_videos=500, **_shapes))
_on_real = dict(type='RepetitionMetric', names='real/*', prefix='real')
val_evaluator = [dict(type='RepetitionMetric', names='val_*'), _on_real]
shipped_weights = 'projects/repnet/weights/repnet_small.pth'
train_cfg = dict(max_epochs=8)
optim_wrapper = dict(type='BFloat16OptimWrapper')
