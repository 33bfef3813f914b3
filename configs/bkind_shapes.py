# BKinD on generated videos of a jointed figure, random weights; a CPU core, 10 minutes.
_base_ = ['_base_/default_runtime.py', '_base_/bkind.py', '_base_/bkind_small.py']

model = dict(
    encoder=dict(name='test_resnet', init=None, pose_width=64),
    num_keypoints=12,
    image_size=64,
    # the squared error is a hundred times smaller than the perceptual one
    losses=dict(kind='mse', vgg=None, rotation_weight=0.02, separation_weight=0.02),
    curriculum_epoch=4,
)
test_pipeline = [dict(type='ResizePair', size=64), dict(type='PackPair')]
_train, _val, _test = (
    dict(type='FramePairsShapes', split=split, num_videos=count, size=64, pipeline=test_pipeline)
    for split, count in (('train', 60), ('val', 10), ('test', 20))
)
train_dataloader = dict(dataset=_train)
val_dataloader = dict(batch_size=50, dataset=_val)
_known = dict(type='RegressionFrames', fitted=_train, tested=_test)
test_dataloader = dict(batch_size=50, dataset=_known)
test_evaluator = [dict(type='ReconstructionMetric'), dict(type='KeypointRegressionMetric')]
train_cfg = dict(max_epochs=12, val_interval=6)
