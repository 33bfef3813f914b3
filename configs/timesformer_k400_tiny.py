# Fine-tuning on Kinetics-400 tiny, 30 + 10 clips of 2 classes; a GPU, minutes; not measured yet.
_base_ = ['_base_/default_runtime.py', '_base_/timesformer.py', '_base_/timesformer_videos.py']

# mixup is switched off by --cfg-options model.data_preprocessor.blending=None
model = dict(
    backbone=dict(init='vit_base_patch16_224'),
    cls_head=dict(num_classes=2, label_smoothing=0.1),
    data_preprocessor=dict(blending=dict(type='MixupBlending', num_classes=2, alpha=0.2)),
)
_root = 'data/kinetics400_tiny'
_train = dict(ann_file=f'{_root}/kinetics_tiny_train_video.txt', data_root=f'{_root}/train')
_val = dict(ann_file=f'{_root}/kinetics_tiny_val_video.txt', data_root=f'{_root}/val')
train_dataloader = dict(num_workers=2, dataset=dict(classes=None, **_train))
val_dataloader = dict(num_workers=2, dataset=dict(classes=None, **_val))
test_dataloader = val_dataloader
