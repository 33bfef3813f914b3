# BKinD on Human3.6M as h36m-fetch writes it to data/h36m, 128 px; one GPU; not measured yet.
_base_ = ['_base_/default_runtime.py', '_base_/bkind.py', '_base_/bkind_videos.py']

model = dict(image_size=128)
test_pipeline = [dict(type='ResizePair', size=128), dict(type='PackPair')]
_pipeline = [dict(type='CropBox'), *test_pipeline]
_folders = '(Waiting|Posing|Greeting|Directions|Discussion|Walking)-[12]/imageSequence/'
_pairs = dict(
    type='FramePairs',
    data_root='data/h36m',
    gap_frames=20,
    boxes='annot.h5',
    pipeline=_pipeline,
)
train_dataloader = dict(
    batch_size=32,
    dataset=dict(subset=dict(names=f'^S(1|5|6|7|8)/{_folders}', step=20), **_pairs),
)
val_dataloader = dict(dataset=dict(subset=dict(names=f'^S(9|11)/{_folders}', step=20), **_pairs))
test_dataloader = val_dataloader
