# Anomalies in your own videos, data/anomaly, by a frozen R(2+1)D-18; a CPU or GPU; not measured.
_base_ = 'anomaly_ucf_sports_r2plus1d.py'

# made of a folder root/class/*.mp4 by mmotion prepare ucf-sports
_root = 'data/anomaly'
_tables = {subset: f'{_root}/{subset}.csv' for subset in ('train', 'val', 'test', 'anomaly')}
_train, _val = (dict(data_root=_root, ann_files={key: _tables[key]}) for key in ('train', 'val'))
train_dataloader = dict(dataset=dict(dataset=_train))
val_dataloader = dict(dataset=dict(dataset=_val))
test_dataloader = dict(dataset=dict(dataset=dict(data_root=_root, ann_files=_tables)))
