# Counter by time at all rates at once, on embedded generated videos; two CPU cores; not measured.
_base_ = ['_base_/default_runtime.py', '_base_/repnet.py', '_base_/repnet_generated.py']
custom_imports = dict(imports=['projects.repnet.multirate'])
_encoder = dict(type='ConvEncoder', channels=(32, 64, 128, 192))
_frames = dict(type='MultiRatePreprocessor')
model = dict(type='MultiRateRepNet', encoder=_encoder, data_preprocessor=_frames)
predictor = dict(type='MultiRatePredictor')
load_from = 'projects/repnet/weights/repnet_small.pth'
