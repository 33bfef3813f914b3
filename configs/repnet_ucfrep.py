# RepNet on UCFRep, 421 videos of UCF101 to train and 105 to test; one GPU; not measured.
_base_ = 'repnet_repcount.py'

_ucf101 = 'https://www.crcv.ucf.edu/data/UCF101/UCF101.rar'
_ucfrep = dict(
    data_root='data/ucf101',
    first_frame=1,
    get_by=f'curl -O {_ucf101} && unrar x UCF101.rar data/ucf101/ (tables: see projects/repnet)',
)
train_dataloader = dict(dataset=dict(dataset=dict(ann_file='data/ucfrep/new_train.csv', **_ucfrep)))
val_dataloader = test_dataloader = dict(dataset=dict(ann_file='data/ucfrep/new_val.csv', **_ucfrep))
