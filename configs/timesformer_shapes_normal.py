# Nine of the motions, nothing turns: backbone for anomaly_shapes; two cores, 10 min; top-1 > 0.90.
_base_ = ['_base_/default_runtime.py', '_base_/timesformer.py', '_base_/timesformer_shapes.py']

model = dict(
    backbone=dict(image_size=64, vit=dict(embed_dim=96, depth=4, num_heads=4, drop_path=0.0)),
    cls_head=dict(num_classes=9, in_channels=96),
)
_motions = ('right', 'left', 'sway', 'down', 'up', 'bob', 'grow', 'shrink', 'pulse')
train_dataloader = dict(dataset=dict(actions=_motions))
val_dataloader = dict(dataset=dict(actions=_motions))
test_dataloader = dict(dataset=dict(actions=_motions))
train_cfg = dict(max_epochs=8, val_interval=4)
