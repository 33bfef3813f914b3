# BKinD on generated videos of a jointed figure, random weights; a CPU core, 10 minutes.
_base_ = ['_base_/default_runtime.py', '_base_/bkind.py']

model = dict(
    encoder=dict(name='test_resnet', init=None, pose_width=64),
    num_keypoints=12,
    image_size=64,
    # the squared error is a hundred times smaller than the perceptual one
    losses=dict(kind='mse', vgg=None, rotation_weight=0.02, separation_weight=0.02),
    curriculum_epoch=4,
)
test_pipeline = [dict(type='ResizePair', size=64), dict(type='PackPair')]
_pairs = dict(type='FramePairsShapes', size=64, pipeline=test_pipeline)
_shuffle, _order = (dict(type='DefaultSampler', shuffle=shuffle) for shuffle in (True, False))
_train = dict(split='train', num_videos=60, **_pairs)
train_dataloader = dict(
    batch_size=16, num_workers=1, drop_last=True, sampler=_shuffle, dataset=_train
)
_loader = dict(batch_size=50, num_workers=1, sampler=_order)
val_dataloader = dict(dataset=dict(split='val', num_videos=10, **_pairs), **_loader)
test_dataloader = dict(dataset=dict(split='test', num_videos=20, **_pairs), **_loader)
optim_wrapper = dict(optimizer=dict(type='AdamW', lr=2e-3, weight_decay=0.01, fused=True))
param_scheduler = [dict(type='CosineAnnealingLR', eta_min=1e-6, convert_to_iter_based=True)]
train_cfg = dict(max_epochs=12, val_interval=6)
