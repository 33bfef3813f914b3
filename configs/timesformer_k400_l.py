# TimeSformer-L 96x4x224 on Kinetics-400; 32 GPUs with 2 clips each; not measured (paper: 80.7).
_base_ = ['_base_/default_runtime.py', '_base_/timesformer.py', '_base_/timesformer_videos.py']

model = dict(backbone=dict(num_frames=96, checkpointing=True, init='vit_base_patch16_224'))
_clip = dict(type='SampleClip', num_frames=96, stride=4)
_meta_keys = ('name', 'num_clips', 'excluded')
train_pipeline = [
    dict(at_random=True, **_clip),
    dict(type='DecodeClip'),
    dict(type='RandomRescale', scale_range=(256, 320)),
    dict(type='RandomCrop', size=224),
    dict(type='Flip', flip_ratio=0.5),
    dict(type='FormatShape', input_format='NCTHW'),
    dict(type='PackActionInputs', meta_keys=_meta_keys),
]
_crops = [dict(type='Resize', scale=(-1, 224)), dict(type='ThreeCrop', crop_size=224)]
test_pipeline = [_clip, dict(type='DecodeClip'), *_crops, *train_pipeline[-2:]]

train_dataloader = dict(batch_size=2, dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
