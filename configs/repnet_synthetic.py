# RepNet on repetitions made from a folder of videos, data/videos; one GPU; not measured.
_base_ = ['_base_/default_runtime.py', '_base_/repnet.py', '_base_/repnet_videos.py']

_encoder = dict(type='TimmEncoder', name='resnet50', pretrained=True)
model = dict(encoder=_encoder, loss=dict(similarity_weight=0.5))
_augment = [dict(type='CameraMotion'), dict(type='ClipJitter'), dict(type='PackRepetitionInputs')]
_made = dict(type='SyntheticRepetitionDataset', data_root='data/videos', num_clips=10_000_000)
_epoch = dict(type='EpochSliceSampler', epoch_size=20_000)
train_dataloader = dict(sampler=_epoch, dataset=dict(pipeline=_augment, **_made))
_val, _test = dict(split='val', num_videos=100), dict(split='test', num_videos=400)
val_dataloader = dict(dataset=dict(type='RepetitionShapesDataset', size=112, **_val))
test_dataloader = dict(dataset=dict(type='RepetitionShapesDataset', size=112, **_test))
optim_wrapper = dict(optimizer=dict(lr=1e-4))
