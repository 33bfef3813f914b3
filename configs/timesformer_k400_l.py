# TimeSformer-L 96x4x224 on Kinetics-400; 32 GPUs with 2 clips each; not measured (paper: 80.7).
_base_ = 'timesformer_k400.py'

model = dict(backbone=dict(num_frames=96, checkpointing=True))
_clip = dict(type='SampleClip', num_frames=96, stride=4)
_decode, _flip = dict(type='DecodeClip'), dict(type='Flip', flip_ratio=0.5)
_cut = [dict(type='RandomRescale', scale_range=(256, 320)), dict(type='RandomCrop', size=224)]
_crops = [dict(type='Resize', scale=(-1, 224)), dict(type='ThreeCrop', crop_size=224)]
_keys = dict(meta_keys=('name', 'num_clips', 'excluded'))
_pack = [dict(type='FormatShape', input_format='NCTHW'), dict(type='PackActionInputs', **_keys)]
train_pipeline = [dict(at_random=True, **_clip), _decode, *_cut, _flip, *_pack]
test_pipeline = [_clip, _decode, *_crops, *_pack]
train_dataloader = dict(batch_size=2, dataset=dict(pipeline=train_pipeline))
val_dataloader = test_dataloader = dict(dataset=dict(pipeline=test_pipeline))
released_weights = 'timesformer_l_k400'
