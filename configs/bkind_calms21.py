# BKinD on CalMS21, frames extracted to data/calms21/train/<video>/*.jpg; one GPU; not measured yet.
_base_ = ['_base_/default_runtime.py', '_base_/bkind.py', '_base_/bkind_videos.py']

# the mice without a cable on the head
_names = '^mouse(001|002|051|052|053|054|055|056|057|058)'
_pipeline = [dict(type='ResizePair', size=256), dict(type='PackPair')]
_pairs = dict(type='FramePairs', gap_frames=6, pipeline=_pipeline)
train_dataloader = dict(
    batch_size=5,
    dataset=dict(data_root='data/calms21/train', subset=dict(names=_names, step=7), **_pairs),
)
val_dataloader = dict(dataset=dict(data_root='data/calms21/test', subset=dict(step=7), **_pairs))
test_dataloader = val_dataloader
train_cfg = dict(max_epochs=15)
