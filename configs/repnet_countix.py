# RepNet on Countix and made repetitions, 400,000 steps as in the paper; one GPU; not measured.
_base_ = ['_base_/default_runtime.py', '_base_/repnet.py', '_base_/repnet_videos.py']

model = dict(encoder=dict(type='TimmEncoder', name='resnet50', pretrained=True))
_augment = [dict(type='CameraMotion'), dict(type='ClipJitter'), dict(type='PackRepetitionInputs')]
_clips = dict(pipeline=_augment, data_root='data/countix/train', clip_frames=64)
_countix = dict(type='CountixDataset', ann_file='data/countix/countix_train.csv', **_clips)
_made = dict(type='SyntheticRepetitionDataset', num_clips=90_000, **_clips)
# an epoch: Countix 20 times, and as many made clips
_datasets = [dict(type='RepeatDataset', dataset=_countix, times=20), _made]
_both = dict(type='ConcatDataset', datasets=_datasets)
train_dataloader = dict(dataset=_both, sampler=dict(type='DefaultSampler', shuffle=True))
_val = dict(ann_file='data/countix/countix_val.csv', data_root='data/countix/val')
_test = dict(ann_file='data/countix/countix_test.csv', data_root='data/countix/test')
val_dataloader = dict(dataset=dict(type='CountixDataset', **_val))
test_dataloader = dict(dataset=dict(type='CountixDataset', **_test))
# 36,000 steps an epoch if all videos are there; the rate stays as it is, as in the paper
train_cfg = dict(max_epochs=11)
optim_wrapper = dict(optimizer=dict(type='Adam', lr=6e-6, weight_decay=0.0))
param_scheduler = []
