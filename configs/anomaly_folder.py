# Your own folder by a frozen R(2+1)D-18: tools/data/ucf_sports/prepare.py makes data/anomaly of it.
_base_ = ['_base_/default_runtime.py', '_base_/anomaly.py', '_base_/anomaly_videos.py']

model = dict(
    backbone=dict(type='R2Plus1D', weights='KINETICS400_V1'),
    scorer=dict(type='EmbeddingAutoencoder', dims=(512, 256, 128)),
    data_preprocessor=dict(mean=[110.2, 100.64, 96.0], std=[58.15, 56.47, 55.33]),
)
_root = 'data/anomaly'
_tables = {subset: f'{_root}/{subset}.csv' for subset in ('train', 'val', 'test', 'anomaly')}
_train, _val = (dict(data_root=_root, ann_files={key: _tables[key]}) for key in ('train', 'val'))
train_dataloader = dict(dataset=dict(dataset=_train))
val_dataloader = dict(dataset=dict(dataset=_val))
test_dataloader = dict(dataset=dict(dataset=dict(data_root=_root, ann_files=_tables)))
train_cfg = dict(by_epoch=True, max_epochs=50, val_interval=10)
default_hooks = dict(checkpoint=dict(interval=10, save_best=None))
