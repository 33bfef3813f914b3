# BKinD on your own videos, data/videos, from a static camera; one GPU; set the gap and the points.
_base_ = ['_base_/default_runtime.py', '_base_/bkind.py', '_base_/bkind_videos.py']

model = dict(num_keypoints=10, image_size=256)
_pipeline = [dict(type='ResizePair', size=256), dict(type='PackPair')]
_pairs = dict(
    type='FramePairs',
    data_root='data/videos',
    gap_frames=20,
    motion=dict(min_motion=0.002),
    pipeline=_pipeline,
)
train_dataloader = dict(dataset=dict(subset=dict(split='train'), **_pairs))
val_dataloader = dict(dataset=dict(subset=dict(split='val'), **_pairs))
test_dataloader = val_dataloader
