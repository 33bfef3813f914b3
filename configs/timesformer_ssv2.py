# TimeSformer 8x224 on Something-Something v2; 8 GPUs with 8 clips each; not measured (paper: 59.5).
_base_ = 'timesformer_k400.py'

# frames from all over a video, of 4 s on average; no flips, as left and right are classes
model = dict(cls_head=dict(num_classes=174))
predictor = dict(window_s=4.0)
_clip = dict(type='UniformSample', clip_len=8)
_decode, _resize = dict(type='DecodeClip'), dict(type='RandomRescale', scale_range=(256, 320))
_crops = [dict(type='Resize', scale=(-1, 224)), dict(type='ThreeCrop', crop_size=224)]
_keys = dict(meta_keys=('name', 'num_clips', 'excluded'))
_pack = [dict(type='FormatShape', input_format='NCTHW'), dict(type='PackActionInputs', **_keys)]
train_pipeline = [_clip, _decode, _resize, dict(type='RandomCrop', size=224), *_pack]
test_pipeline = [dict(test_mode=True, **_clip), _decode, *_crops, *_pack]
_root = 'data/sthv2'
_videos = dict(classes=f'{_root}/label_map.txt', data_root=f'{_root}/videos')
_train, _val = (f'{_root}/sthv2_{split}_list_videos.txt' for split in ('train', 'val'))
train_dataloader = dict(dataset=dict(pipeline=train_pipeline, ann_file=_train, **_videos))
_data = dict(pipeline=test_pipeline, ann_file=_val, **_videos)
val_dataloader = test_dataloader = dict(dataset=_data)
released_weights = 'timesformer_base_ssv2'
