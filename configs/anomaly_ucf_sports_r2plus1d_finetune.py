# The same, and from epoch 11 on the last 12 tensors of R(2+1)D-18 train; not measured here.
_base_ = ['_base_/default_runtime.py', '_base_/anomaly.py', '_base_/anomaly_videos.py']

model = dict(
    freeze_backbone=False,
    backbone=dict(type='R2Plus1D', weights='KINETICS400_V1'),
    scorer=dict(type='EmbeddingAutoencoder', dims=(512, 256, 128)),
    data_preprocessor=dict(mean=[110.2, 100.64, 96.0], std=[58.15, 56.47, 55.33]),
)
train_cfg = dict(by_epoch=True, max_epochs=20)
optim_wrapper = dict(paramwise_cfg=dict(custom_keys=dict(backbone=dict(lr_mult=0.01))))
default_hooks = dict(
    checkpoint=dict(interval=5, save_best=None),
    unfreezing=dict(type='UnfreezeHook', frozen=['backbone'], stages=[dict(epoch=10, last=12)]),
)
