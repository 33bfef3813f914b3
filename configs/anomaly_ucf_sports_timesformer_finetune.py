# Anomalies in UCF Sports by TimeSformer, its last 22 tensors fine-tuned; one GPU; not measured.
_base_ = 'anomaly_ucf_sports_timesformer.py'

model = dict(freeze_backbone=False)
train_cfg = dict(max_epochs=20, val_interval=1)
optim_wrapper = dict(paramwise_cfg=dict(custom_keys=dict(backbone=dict(lr_mult=0.01))))
# they train from epoch 11 on
_unfreezing = dict(type='UnfreezeHook', frozen=['backbone'], stages=[dict(epoch=10, last=22)])
default_hooks = dict(checkpoint=dict(interval=5), unfreezing=_unfreezing)
