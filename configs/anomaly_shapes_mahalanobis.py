# Baseline on the embeddings of anomaly_shapes: Mahalanobis distance to the nearest class.
_base_ = ['_base_/default_runtime.py', '_base_/anomaly.py', '_base_/anomaly_shapes.py']
custom_imports = dict(imports=['projects.anomaly', 'projects.timesformer'])

_init = 'work_dirs/timesformer_shapes_normal/epoch_8.pth'
_small = dict(
    num_frames=8, image_size=64, vit=dict(embed_dim=96, depth=4, num_heads=4, drop_path=0.0)
)
model = dict(
    scorer=dict(type='Mahalanobis'),
    backbone=dict(type='TimeSformer', init=_init, **_small),
    data_preprocessor=dict(mean=[114.75] * 3, std=[57.375] * 3),
)
train_cfg = dict(type='FitLoop')
default_hooks = dict(checkpoint=dict(save_best=None))
