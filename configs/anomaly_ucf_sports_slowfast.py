# Anomalies in UCF Sports by a frozen SlowFast-R50; one GPU, minutes; not measured.
_base_ = [
    '_base_/default_runtime.py',
    '_base_/anomaly.py',
    '_base_/anomaly_videos.py',
    '_base_/anomaly_autoencoder.py',
]

# the file of pytorchvideo; what those of MMAction2 need is told in backbones.py
_weights = 'slowfast_r50_k400'
_slowfast = dict(type='SlowFast', pooling='windows', weights=_weights)
model = dict(backbone=_slowfast, scorer=dict(type='EmbeddingAutoencoder', dims=(2304, 512, 128)))
_clip = [dict(type='SampleClip', num_frames=32, stride=2), dict(type='DecodeClip')]
_view = [dict(type='Resize', scale=(-1, 256)), dict(type='AugmentClip')]
_crop = dict(type='CenterCrop', crop_size=256)
_shape = [_crop, dict(type='FormatShape', input_format='NCTHW'), dict(type='PackPathways')]
_keys = ('name', 'subset', 'class_name', 'video', 'excluded')
test_pipeline = [*_clip, *_view, *_shape, dict(type='PackActionInputs', meta_keys=_keys)]
_clips = dict(dataset=dict(pipeline=test_pipeline))
train_dataloader = val_dataloader = test_dataloader = dict(dataset=_clips)
default_hooks = dict(checkpoint=dict(interval=10, save_best=None))
