# TimeSformer fine-tuned on Kinetics-400 tiny, 30 clips of 2 classes; a GPU, minutes; not measured.
_base_ = 'timesformer_k400.py'

_head = dict(num_classes=2, label_smoothing=0.1)
# switched off by --cfg-options model.data_preprocessor.blending=None
_mixup = dict(type='MixupBlending', num_classes=2, alpha=0.2)
model = dict(cls_head=_head, data_preprocessor=dict(blending=_mixup))
_root = 'data/kinetics400_tiny'
_train = dict(ann_file=f'{_root}/kinetics_tiny_train_video.txt', data_root=f'{_root}/train')
_val = dict(ann_file=f'{_root}/kinetics_tiny_val_video.txt', data_root=f'{_root}/val')
train_dataloader = dict(num_workers=2, dataset=dict(classes=None, **_train))
val_dataloader = test_dataloader = dict(num_workers=2, dataset=dict(classes=None, **_val))
# of the 400 classes
released_weights = None
