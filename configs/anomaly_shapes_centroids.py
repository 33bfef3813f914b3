# Anomalies among generated motions by class centroids, published; two CPU cores; AUROC 0.99.
_base_ = ['_base_/default_runtime.py', '_base_/anomaly.py', '_base_/anomaly_shapes.py']
custom_imports = dict(imports=['projects.anomaly', 'projects.timesformer'])

# its backbone is trained first: mmotion train timesformer_shapes_normal
_init = 'work_dirs/timesformer_shapes_normal/epoch_8.pth'
_vit = dict(embed_dim=96, depth=4, num_heads=4, drop_path=0.0)
_backbone = dict(type='TimeSformer', num_frames=8, image_size=64, vit=_vit, init=_init)
model = dict(backbone=_backbone, scorer=dict(type='ClassCentroids'))
train_cfg = dict(type='FitLoop')
default_hooks = dict(checkpoint=dict(save_best=None))
