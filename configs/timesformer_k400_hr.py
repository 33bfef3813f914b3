# TimeSformer-HR 16x16x448 on Kinetics-400; 32 GPUs with 2 clips each; not measured (paper: 79.7).
_base_ = ['_base_/default_runtime.py', '_base_/timesformer.py', '_base_/timesformer_videos.py']

model = dict(
    backbone=dict(num_frames=16, image_size=448, checkpointing=True, init='vit_base_patch16_224')
)
_clip = dict(type='SampleClip', num_frames=16, stride=16)
_decode = dict(type='DecodeClip')
_augment = [
    dict(type='RandomRescale', scale_range=(448, 512)),
    dict(type='RandomCrop', size=448),
    dict(type='Flip', flip_ratio=0.5),
]
_crops = [dict(type='Resize', scale=(-1, 448)), dict(type='ThreeCrop', crop_size=448)]
_pack = [
    dict(type='FormatShape', input_format='NCTHW'),
    dict(type='PackActionInputs', meta_keys=('name', 'num_clips', 'excluded')),
]
train_pipeline = [dict(at_random=True, **_clip), _decode, *_augment, *_pack]
test_pipeline = [_clip, _decode, *_crops, *_pack]
train_dataloader = dict(batch_size=2, dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
