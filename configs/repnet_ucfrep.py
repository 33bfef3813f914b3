# RepNet on UCFRep, 421 videos of UCF101 to train and 105 to test; one GPU; not measured yet.
_base_ = ['_base_/default_runtime.py', '_base_/repnet.py', '_base_/repnet_videos.py']

_ucf101 = 'https://www.crcv.ucf.edu/data/UCF101/UCF101.rar'
_ucfrep = dict(
    type='CycleDataset',
    data_root='data/ucf101',
    first_frame=1,
    get_by=f'curl -O {_ucf101} && unrar x UCF101.rar data/ucf101/ (tables: see projects/repnet)',
)
_augment = [dict(type='CameraMotion'), dict(type='ClipJitter'), dict(type='PackRepetitionInputs')]
_clips = dict(ann_file='data/ucfrep/new_train.csv', clip_frames=64, pipeline=_augment)
train_dataloader = dict(
    dataset=dict(type='RepeatDataset', times=20, dataset=_ucfrep | _clips),
    sampler=dict(type='DefaultSampler', shuffle=True),
)
val_dataloader = dict(dataset=dict(ann_file='data/ucfrep/new_val.csv', **_ucfrep))
test_dataloader = val_dataloader
model = dict(encoder=dict(type='TimmEncoder', pretrained=True), loss=dict(similarity_weight=0.5))
optim_wrapper = dict(optimizer=dict(lr=1e-4))
default_hooks = dict(checkpoint=dict(save_best='count/OBO'))
