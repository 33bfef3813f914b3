# Anomalies in UCF Sports by a frozen R(2+1)D-18; one GPU, minutes; not measured.
_base_ = [
    '_base_/default_runtime.py',
    '_base_/anomaly.py',
    '_base_/anomaly_videos.py',
    '_base_/anomaly_autoencoder.py',
]

# weights of Kinetics-400 by torchvision, which are downloaded once
model = dict(
    backbone=dict(type='R2Plus1D', weights='r2plus1d_18_k400'),
    scorer=dict(type='EmbeddingAutoencoder', dims=(512, 256, 128)),
    data_preprocessor=dict(mean=[110.2, 100.64, 96.0], std=[58.15, 56.47, 55.33]),
)
default_hooks = dict(checkpoint=dict(interval=10, save_best=None))
