# Generated sequences of 8 activities, what their configs share; two CPU cores, 5 minutes.
_pack = [dict(type='NormalizePose'), dict(type='PackSequence', max_seq_length=64)]
# not ReverseSequence: an activity is another one in reverse
_train_pipeline = [
    dict(type='FillMissing'),
    dict(type='CropSequence', min_share=0.5),
    dict(type='MirrorPose'),
    dict(type='RotatePose', max_deg=10.0),
    dict(type='JitterPose', std=0.02),
    *_pack,
]
# of a detector's points, and at the rate of the generated ones, which change nothing by it
_as_generated = [dict(type='MakeFigure'), dict(type='ResampleSequence', rate_hz=10.0)]
test_pipeline = [dict(type='FillMissing'), *_as_generated, *_pack]

# 5 % of the labels: --cfg-options train_dataloader.dataset.label_share=0.05
_train = dict(split='train', num_sequences=960, label_share=1.0, label_seed=0)
train_dataloader = dict(
    batch_size=64,
    num_workers=1,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(type='FigureActivities', pipeline=_train_pipeline, **_train),
)
val_dataloader = dict(
    batch_size=100,
    num_workers=1,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(type='FigureActivities', split='val', num_sequences=400, pipeline=test_pipeline),
)
test_dataloader = dict(
    batch_size=100,
    num_workers=1,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(type='FigureActivities', split='test', num_sequences=800, pipeline=test_pipeline),
)
