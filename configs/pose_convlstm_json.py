# ConvLSTM on your own keypoints, data/poses/class/*.json; a CPU; top-1 0.93 on 4 exercises.
_base_ = ['_base_/default_runtime.py', '_base_/pose_sequence.py']

# set num_points and num_classes
_encoder = dict(type='ConvLSTMEncoder', num_points=17, n_steps=4, n_length=16)
model = dict(type='SequenceClassifier', encoder=_encoder, num_classes=2, label_smoothing=0.1)
# 64 steps at 6 a second are 11 s; detectors look at every 5th frame
_start = [dict(type='ResampleSequence', rate_hz=6.0), dict(type='FillMissing')]
_pack = [dict(type='NormalizePose'), dict(type='PackSequence', max_seq_length=64)]
_augment = [
    dict(type='CropSequence', min_share=0.6),
    dict(type='WarpTime', max_speed=1.3),
    dict(type='MirrorPose'),
    dict(type='RotatePose', max_deg=15.0),
    dict(type='JitterPose', std=0.02),
]
test_pipeline = [*_start, *_pack]
_files = dict(type='KeypointSequenceDataset', data_root='data/poses')
_train = dict(subset=dict(split='train'), pipeline=[*_start, *_augment, *_pack], **_files)
_val = dict(subset=dict(split='val'), pipeline=test_pipeline, **_files)
_loader = dict(batch_size=16, num_workers=1)
_shuffle, _order = (dict(type='DefaultSampler', shuffle=shuffle) for shuffle in (True, False))
train_dataloader = dict(sampler=_shuffle, dataset=_train, **_loader)
val_dataloader = test_dataloader = dict(sampler=_order, dataset=_val, **_loader)
