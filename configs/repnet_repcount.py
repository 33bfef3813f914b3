# RepNet on RepCount-A, 757 videos to train and 152 to test; one GPU; not measured.
_base_ = ['_base_/default_runtime.py', '_base_/repnet.py', '_base_/repnet_videos.py']

_encoder = dict(type='TimmEncoder', name='resnet50', pretrained=True)
model = dict(encoder=_encoder, loss=dict(similarity_weight=0.5))
_get_by = 'open https://svip-lab.github.io/dataset/RepCount_dataset.html, unpack into data/repcount'
_cycles = dict(type='CycleDataset', get_by=_get_by, data_root='data/repcount/video')
_augment = [dict(type='CameraMotion'), dict(type='ClipJitter'), dict(type='PackRepetitionInputs')]
_train = dict(ann_file='data/repcount/annotation/train.csv', pipeline=_augment, clip_frames=64)
_repeated = dict(type='RepeatDataset', times=20, dataset=_cycles | _train)
train_dataloader = dict(dataset=_repeated, sampler=dict(type='DefaultSampler', shuffle=True))
val_dataloader = dict(dataset=dict(ann_file='data/repcount/annotation/valid.csv', **_cycles))
test_dataloader = dict(dataset=dict(ann_file='data/repcount/annotation/test.csv', **_cycles))
optim_wrapper = dict(optimizer=dict(lr=1e-4))
default_hooks = dict(checkpoint=dict(save_best='count/OBO'))
