# RepNet on repetitions made from a folder of videos, tested on generated ones; GPU; not measured.
_base_ = ['_base_/default_runtime.py', '_base_/repnet.py', '_base_/repnet_videos.py']

model = dict(
    encoder=dict(type='TimmEncoder', name='resnet50', pretrained=True),
    loss=dict(similarity_weight=0.5),
)
_augment = [dict(type='CameraMotion'), dict(type='ClipJitter'), dict(type='PackRepetitionInputs')]
train_dataloader = dict(
    sampler=dict(type='EpochSliceSampler', epoch_size=20_000),
    dataset=dict(
        type='SyntheticRepetitionDataset',
        data_root='data/videos',
        num_clips=10_000_000,
        pipeline=_augment,
    ),
)
_shapes = dict(type='RepetitionShapesDataset', size=112)
val_dataloader = dict(dataset=dict(split='val', num_videos=100, **_shapes))
test_dataloader = dict(dataset=dict(split='test', num_videos=400, **_shapes))
optim_wrapper = dict(optimizer=dict(lr=1e-4))
