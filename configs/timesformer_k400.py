# TimeSformer 8x32x224 on Kinetics-400; 8 GPUs with 8 clips each; not measured (paper: 78.0).
_base_ = ['_base_/default_runtime.py', '_base_/timesformer.py', '_base_/timesformer_videos.py']

model = dict(backbone=dict(init='vit_base_patch16_224'))
released_weights = 'timesformer_base_k400'
