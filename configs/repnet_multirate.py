# Counter by time, at all rates at once, of generated videos; two CPU cores, 2.5 hours; OBO 0.75.
_base_ = ['_base_/default_runtime.py', '_base_/repnet.py', '_base_/repnet_whole.py']
custom_imports = dict(imports=['projects.repnet.multirate'])

model = dict(
    type='MultiRateRepNet',
    encoder=dict(type='ConvEncoder', channels=(32, 64, 128, 192)),
    data_preprocessor=dict(type='MultiRatePreprocessor'),
    counting=dict(threshold=0.65, confidence_curve=(9.64, -6.22), zero_curve=(4.19, -3.38)),
)
load_from = '{{ fileDirname }}/../projects/repnet/weights/repnet_small.pth'
shipped_weights = 'projects/repnet/weights/repnet_multirate.pth'
predictor = dict(type='MultiRatePredictor')
_resize = dict(type='ResizeFrames', size=96, reducing_gap=1.5)
test_pipeline = [_resize, dict(type='PackRepetitionInputs')]
_wild = dict(num_frames=(64, 640), periods=(4, 120), in_the_wild=True)
train_dataloader = dict(sampler=dict(epoch_size=4500), dataset=dict(untrimmed=0.15, wild=_wild))
val_dataloader = dict(dataset=dict(wild=_wild))
test_dataloader = dict(dataset=dict(wild=_wild))
train_cfg = dict(max_epochs=6, val_interval=3)
_slower = dict(custom_keys=dict(encoder=dict(lr_mult=0.5), temporal_conv=dict(lr_mult=0.5)))
optim_wrapper = dict(type='BFloat16OptimWrapper', optimizer=dict(lr=2e-3), paramwise_cfg=_slower)
