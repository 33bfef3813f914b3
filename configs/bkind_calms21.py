# BKinD on CalMS21, frames extracted to data/calms21/train/<video>/*.jpg; one GPU; not measured.
_base_ = ['_base_/default_runtime.py', '_base_/bkind.py', '_base_/bkind_videos.py']

# the mice without a cable on the head
_names = '^mouse(001|002|051|052|053|054|055|056|057|058)'
_pairs = dict(gap_frames=6, step=7)
_train = dict(data_root='data/calms21/train', names=_names, **_pairs)
train_dataloader = dict(batch_size=5, dataset=_train)
val_dataloader = test_dataloader = dict(dataset=dict(data_root='data/calms21/test', **_pairs))
train_cfg = dict(max_epochs=15)
