# The same, and from epoch 11 on the last 22 tensors of TimeSformer train; not measured here.
_base_ = ['_base_/default_runtime.py', '_base_/anomaly.py', '_base_/anomaly_videos.py']
custom_imports = dict(imports=['projects.anomaly', 'projects.timesformer'])

_clip = [dict(type='SampleClip', num_frames=8, stride=8), dict(type='DecodeClip')]
_view = [dict(type='Resize', scale=(-1, 224)), dict(type='AugmentClip')]
_shape = [dict(type='CenterCrop', crop_size=224), dict(type='FormatShape', input_format='NCTHW')]
_keys = ('name', 'subset', 'class_name', 'video', 'excluded')
_pack = dict(type='PackActionInputs', meta_keys=_keys)
test_pipeline = [*_clip, *_view, *_shape, _pack]
model = dict(
    freeze_backbone=False,
    backbone=dict(type='TimeSformer', init='checkpoints/TimeSformer_divST_8x32_224_K400.pyth'),
    scorer=dict(type='EmbeddingAutoencoder', dims=(768, 256, 128)),
    data_preprocessor=dict(mean=[114.75] * 3, std=[57.375] * 3),
)
train_dataloader = val_dataloader = test_dataloader = dict(
    dataset=dict(dataset=dict(pipeline=test_pipeline))
)
train_cfg = dict(by_epoch=True, max_epochs=20)
optim_wrapper = dict(paramwise_cfg=dict(custom_keys=dict(backbone=dict(lr_mult=0.01))))
default_hooks = dict(
    checkpoint=dict(interval=5, save_best=None),
    unfreezing=dict(type='UnfreezeHook', frozen=['backbone'], stages=[dict(epoch=10, last=22)]),
)
