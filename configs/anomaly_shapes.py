# Anomalies among generated motions by an autoencoder; two CPU cores, minutes; AUROC above 0.90.
_base_ = ['_base_/default_runtime.py', '_base_/anomaly.py', '_base_/anomaly_shapes.py']
custom_imports = dict(imports=['projects.anomaly', 'projects.timesformer'])

# its backbone is trained first: mmotion train timesformer_shapes_normal
_init = 'work_dirs/timesformer_shapes_normal/epoch_8.pth'
_vit = dict(embed_dim=96, depth=4, num_heads=4, drop_path=0.0)
_backbone = dict(type='TimeSformer', num_frames=8, image_size=64, vit=_vit, init=_init)
model = dict(backbone=_backbone, scorer=dict(type='EmbeddingAutoencoder', dims=(96, 32, 8)))
train_cfg = dict(by_epoch=True, max_epochs=20, val_interval=10)
default_hooks = dict(checkpoint=dict(interval=10, save_best=None))
# its threshold too, of 1,200 normal clips
shipped_weights = 'projects/anomaly/weights/anomaly_shapes.pth'
