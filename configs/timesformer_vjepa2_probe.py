# A linear probe on a small random V-JEPA 2, generated clips; CPU; top-1 not measured yet.
_base_ = ['_base_/default_runtime.py', '_base_/timesformer.py', '_base_/timesformer_shapes.py']

# pretrained: source='facebook/vjepa2-vitl-fpc64-256' in place of config
_layers = dict(hidden_size=96, num_hidden_layers=4, num_attention_heads=4)
_own = dict(model_type='vjepa2', crop_size=64, patch_size=16, frames_per_clip=8, **_layers)
model = dict(
    backbone=dict(type='TransformersBackbone', image_size=64, config=_own),
    cls_head=dict(num_classes=12, in_channels=96),
    data_preprocessor=dict(mean=None, std=None),
)
custom_hooks = [dict(type='UnfreezeHook', frozen=['backbone'], stages=[])]
train_cfg = dict(max_epochs=2, val_interval=2)
