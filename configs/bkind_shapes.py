# BKinD on generated videos of a jointed figure, random weights; a CPU core, 10 minutes; %-MSE 1.2.
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
_pairs = dict(type='FramePairsShapes', size=64, pipeline=test_pipeline)
_train, _test = dict(split='train', num_videos=60), dict(split='test', num_videos=20)
train_dataloader = dict(dataset=dict(**_train, **_pairs))
val_dataloader = dict(batch_size=50, dataset=dict(split='val', num_videos=10, **_pairs))
# joints are regressed on the training videos, and tested on others
_known = dict(fitted=dict(**_train, **_pairs), tested=dict(**_test, **_pairs))
test_dataloader = dict(batch_size=50, dataset=dict(type='RegressionFrames', **_known))
test_evaluator = [dict(type='ReconstructionMetric'), dict(type='KeypointRegressionMetric')]
train_cfg = dict(max_epochs=12, val_interval=6)
# of half the epochs, whose %-MSE is 1.4
shipped_weights = 'projects/bkind/weights/bkind_shapes.pth'
