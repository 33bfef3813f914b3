# Anomalies in UCF Sports by a frozen TimeSformer; one GPU, minutes; not measured.
_base_ = [
    '_base_/default_runtime.py',
    '_base_/anomaly.py',
    '_base_/anomaly_videos.py',
    '_base_/anomaly_autoencoder.py',
]
custom_imports = dict(imports=['projects.anomaly', 'projects.timesformer'])

# the file of facebookresearch/TimeSformer
_init = 'checkpoints/TimeSformer_divST_8x32_224_K400.pyth'
_backbone = dict(type='TimeSformer', init=_init)
model = dict(backbone=_backbone, scorer=dict(type='EmbeddingAutoencoder', dims=(768, 256, 128)))
_clip = [dict(type='SampleClip', num_frames=8, stride=8), dict(type='DecodeClip')]
_view = [dict(type='Resize', scale=(-1, 224)), dict(type='AugmentClip')]
_shape = [dict(type='CenterCrop', crop_size=224), dict(type='FormatShape', input_format='NCTHW')]
_keys = ('name', 'subset', 'class_name', 'video', 'excluded')
test_pipeline = [*_clip, *_view, *_shape, dict(type='PackActionInputs', meta_keys=_keys)]
_clips = dict(dataset=dict(pipeline=test_pipeline))
train_dataloader = val_dataloader = test_dataloader = dict(dataset=_clips)
default_hooks = dict(checkpoint=dict(interval=10, save_best=None))
