# BKinD on Human3.6M as h36m-fetch writes it to data/h36m, 128 px; one GPU; not measured.
_base_ = ['_base_/default_runtime.py', '_base_/bkind.py', '_base_/bkind_videos.py']

model = dict(image_size=128)
test_pipeline = [dict(type='ResizePair', size=128), dict(type='PackPair')]
_actions = '(Waiting|Posing|Greeting|Directions|Discussion|Walking)-[12]'
_frames = dict(data_root='data/h36m', gap_frames=20)
_pairs = dict(boxes='annot.h5', pipeline=test_pipeline, **_frames)
_train = dict(names=f'^S(1|5|6|7|8)/{_actions}/imageSequence/', step=20)
train_dataloader = dict(batch_size=32, dataset=dict(subset=_train, **_pairs))
_val = dict(names=f'^S(9|11)/{_actions}/imageSequence/', step=20)
val_dataloader = test_dataloader = dict(dataset=dict(subset=_val, **_pairs))
