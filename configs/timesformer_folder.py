# Fine-tuning of a small TimeSformer on your own root/class/*.mp4; set num_classes and the folder.
_base_ = ['_base_/default_runtime.py', '_base_/timesformer.py', '_base_/timesformer_videos.py']

model = dict(
    backbone=dict(vit=dict(embed_dim=384, num_heads=6), init='vit_small_patch16_224'),
    cls_head=dict(num_classes=2, in_channels=384, label_smoothing=0.1),
)
_folder = dict(ann_file='', data_root='data/videos', classes=None)
train_dataloader = dict(num_workers=2, dataset=dict(split='train', **_folder))
val_dataloader = dict(num_workers=2, dataset=dict(split='val', **_folder))
test_dataloader = val_dataloader
