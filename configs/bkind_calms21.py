# BKinD on CalMS21, frames extracted to data/calms21/train/<video>/*.jpg; one GPU; not measured.
_base_ = ['_base_/default_runtime.py', '_base_/bkind.py', '_base_/bkind_videos.py']

# the mice without a cable on the head
_some = dict(names='^mouse(001|002|051|052|053|054|055|056|057|058)', step=7)
_train = dict(data_root='data/calms21/train', gap_frames=6, subset=_some)
train_dataloader = dict(batch_size=5, dataset=_train)
_val = dict(data_root='data/calms21/test', gap_frames=6, subset=dict(step=7))
val_dataloader = test_dataloader = dict(dataset=_val)
train_cfg = dict(max_epochs=15)
