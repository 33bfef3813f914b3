# BKinD on your own videos of a static camera, data/videos, 256 px; one GPU; not measured.
_base_ = ['_base_/default_runtime.py', '_base_/bkind.py', '_base_/bkind_videos.py']

# set the points and the gap
model = dict(num_keypoints=10, image_size=256)
_pairs = dict(data_root='data/videos', gap_frames=20, motion=dict(min_motion=0.002))
train_dataloader = dict(dataset=dict(subset=dict(split='train'), **_pairs))
val_dataloader = test_dataloader = dict(dataset=dict(subset=dict(split='val'), **_pairs))
