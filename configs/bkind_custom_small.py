# BKinD on your own videos without a GPU: a small network, 128 px; two CPU cores, 20 minutes.
_base_ = ['_base_/default_runtime.py', '_base_/bkind.py']

model = dict(
    encoder=dict(name='test_resnet', init=None, pose_width=64),
    image_size=128,
    # the squared error is a hundred times smaller than the perceptual one
    losses=dict(kind='mse', vgg=None, rotation_weight=0.02, separation_weight=0.02),
    curriculum_epoch=14,
)
test_pipeline = [dict(type='ResizePair', size=128), dict(type='PackPair')]
# frames are decoded once and held in memory, 50 kB each
_videos = dict(type='FramePairs', data_root='data/videos', keep_size=128)
_pairs = dict(gap_frames=10, min_motion=0.002, pipeline=test_pipeline, **_videos)
_shuffle, _order = (dict(type='DefaultSampler', shuffle=shuffle) for shuffle in (True, False))
_loader = dict(batch_size=16, num_workers=1)
_train, _val = (dict(split=split, **_pairs) for split in ('train', 'val'))
train_dataloader = dict(sampler=_shuffle, drop_last=True, dataset=_train, **_loader)
val_dataloader = dict(sampler=_order, dataset=_val, **_loader)
test_dataloader = val_dataloader
optim_wrapper = dict(optimizer=dict(type='AdamW', lr=2e-3, weight_decay=0.01, fused=True))
param_scheduler = [dict(type='CosineAnnealingLR', eta_min=1e-6, convert_to_iter_based=True)]
train_cfg = dict(max_epochs=36, val_interval=12)
