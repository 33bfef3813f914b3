# The same without attention in time, which cannot tell most of the motions: top-1 below 0.45.
_base_ = ['_base_/default_runtime.py', '_base_/timesformer.py', '_base_/timesformer_shapes.py']

_small = dict(image_size=64, vit=dict(embed_dim=96, depth=4, num_heads=4, drop_path=0.0))
model = dict(
    backbone=dict(attention='space_only', **_small),
    cls_head=dict(num_classes=12, in_channels=96),
)
train_cfg = dict(max_epochs=8, val_interval=4)
