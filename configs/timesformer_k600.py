# TimeSformer 8x32x224 on Kinetics-600; 8 GPUs with 8 clips each; not measured (paper: 79.1).
_base_ = 'timesformer_k400.py'

model = dict(cls_head=dict(num_classes=600))
_root = 'data/kinetics600'
_names = dict(classes=f'{_root}/label_map_k600.txt')
_train = dict(ann_file=f'{_root}/train_list_videos.txt', data_root=f'{_root}/videos_train')
_val = dict(ann_file=f'{_root}/val_list_videos.txt', data_root=f'{_root}/videos_val')
train_dataloader = dict(dataset=dict(**_names, **_train))
val_dataloader = test_dataloader = dict(dataset=dict(**_names, **_val))
released_weights = 'timesformer_base_k600'
