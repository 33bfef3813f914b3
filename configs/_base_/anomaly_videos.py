# Anomaly detectors on real videos, what their configs share: UCF Sports, 8 x 112 x 112.
_keys = ('name', 'subset', 'class_name', 'video', 'excluded')
test_pipeline = [
    # 8 of 64 frames at 30 a second: 2.1 s
    dict(type='SampleClip', num_frames=8, stride=8),
    dict(type='DecodeClip'),
    dict(type='Resize', scale=(171, 128), keep_ratio=False),
    dict(type='AugmentClip'),
    dict(type='CenterCrop', crop_size=112),
    dict(type='FormatShape', input_format='NCTHW'),
    dict(type='PackActionInputs', meta_keys=_keys),
]

_root = 'data/ucf_sports'
_clips = dict(type='AnomalyClipDataset', data_root=_root, pipeline=test_pipeline)
_tables = {subset: f'{_root}/{subset}.csv' for subset in ('train', 'val', 'test', 'anomaly')}
# computed once a clip and backbone, for all runs; see the README of the system
_embedded = dict(
    type='EmbeddedClips', cache_dir='work_dirs/embeddings', batch_size=8, num_workers=4
)
_order = dict(type='DefaultSampler', shuffle=False)
train_dataloader = dict(
    batch_size=32,
    num_workers=4,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(dataset=dict(ann_files=dict(train=_tables['train']), **_clips), **_embedded),
)
val_dataloader = dict(
    batch_size=32,
    num_workers=4,
    sampler=_order,
    dataset=dict(
        dataset=dict(ann_files=dict(val=_tables['val']), test_mode=True, **_clips), **_embedded
    ),
)
test_dataloader = dict(
    batch_size=32,
    num_workers=4,
    sampler=_order,
    dataset=dict(dataset=dict(ann_files=_tables, test_mode=True, **_clips), **_embedded),
)
