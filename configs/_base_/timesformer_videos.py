# TimeSformer on real videos, what its configs share: Kinetics-400, 8x32 clips, the schedule.
_pack = [
    dict(type='FormatShape', input_format='NCTHW'),
    dict(type='PackActionInputs', meta_keys=('name', 'num_clips', 'excluded')),
]
train_pipeline = [
    dict(type='SampleClip', num_frames=8, stride=32, at_random=True),
    dict(type='DecodeClip'),
    dict(type='RandomRescale', scale_range=(256, 320)),
    dict(type='RandomCrop', size=224),
    dict(type='Flip', flip_ratio=0.5),
    *_pack,
]
# 10 clips of 3 crops: --cfg-options test_dataloader.dataset.pipeline.0.num_clips=10
test_pipeline = [
    dict(type='SampleClip', num_frames=8, stride=32),
    dict(type='DecodeClip'),
    dict(type='Resize', scale=(-1, 224)),
    dict(type='ThreeCrop', crop_size=224),
    *_pack,
]

_root = 'data/kinetics400'
_videos = dict(type='ActionDataset', classes=f'{_root}/label_map_k400.txt')
_train = dict(
    ann_file=f'{_root}/kinetics400_train_list_videos.txt', data_root=f'{_root}/videos_train'
)
_val = dict(ann_file=f'{_root}/kinetics400_val_list_videos.txt', data_root=f'{_root}/videos_val')
train_dataloader = dict(
    batch_size=8,
    num_workers=8,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(pipeline=train_pipeline, **_videos, **_train),
)
val_dataloader = dict(
    batch_size=1,
    num_workers=8,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(pipeline=test_pipeline, test_mode=True, **_videos, **_val),
)
test_dataloader = val_dataloader

# the rate belongs to 64 clips in a step, and follows their number
optim_wrapper = dict(
    optimizer=dict(type='SGD', lr=0.005, momentum=0.9, nesterov=True, weight_decay=1e-4, fused=True)
)
auto_scale_lr = dict(base_batch_size=64, enable=True)
param_scheduler = [dict(type='MultiStepLR', milestones=[11, 14], gamma=0.1)]
