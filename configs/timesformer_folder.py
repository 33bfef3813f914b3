# Small TimeSformer fine-tuned on your own videos, data/videos/class/*.mp4; a GPU; not measured.
_base_ = 'timesformer_k400.py'

_small = dict(vit=dict(embed_dim=384, num_heads=6), init='vit_small_patch16_224')
_head = dict(num_classes=2, in_channels=384, label_smoothing=0.1)
model = dict(backbone=_small, cls_head=_head)
_folder = dict(ann_file='', data_root='data/videos', classes=None)
train_dataloader = dict(num_workers=2, dataset=dict(split='train', **_folder))
val_dataloader = test_dataloader = dict(num_workers=2, dataset=dict(split='val', **_folder))
# of the 400 classes
released_weights = None
