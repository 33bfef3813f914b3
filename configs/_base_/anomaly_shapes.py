# Anomaly detectors on generated clips, what their configs share: normal motions and unseen ones.
_normal = ('right', 'left', 'sway', 'down', 'up', 'bob', 'grow', 'shrink', 'pulse')
_unseen = ('clockwise', 'anticlockwise', 'rock')
_pack = [
    dict(type='FormatShape', input_format='NCTHW'),
    dict(type='PackActionInputs', meta_keys=('name',)),
]
test_pipeline = [dict(type='Resize', scale=(64, 64), keep_ratio=False), *_pack]

_clips = dict(type='ActionShapesDataset', pipeline=_pack)
_train = dict(split='train', num_videos=4800, actions=_normal, **_clips)
_val = dict(split='val', num_videos=1200, actions=_normal, **_clips)
_test = dict(split='test', num_videos=2400, actions=_normal, **_clips)
_anomaly = dict(split='test', num_videos=1200, actions=_unseen, **_clips)
_seen = dict(split='train', num_videos=1200, actions=_normal, **_clips)
_embedded = dict(type='EmbeddedClips', batch_size=50, num_workers=1)
_order = dict(type='DefaultSampler', shuffle=False)
train_dataloader = dict(
    batch_size=64,
    num_workers=1,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(dataset=dict(type='SubsetDataset', subsets=dict(train=_train)), **_embedded),
)
val_dataloader = dict(
    batch_size=100,
    num_workers=1,
    sampler=_order,
    dataset=dict(dataset=dict(type='SubsetDataset', subsets=dict(val=_val)), **_embedded),
)
_subsets = dict(train=_seen, val=_val, test=_test, anomaly=_anomaly)
test_dataloader = dict(
    batch_size=100,
    num_workers=1,
    sampler=_order,
    dataset=dict(dataset=dict(type='SubsetDataset', subsets=_subsets), **_embedded),
)
