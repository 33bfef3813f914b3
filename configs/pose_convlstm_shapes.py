# ConvLSTM on generated keypoint sequences; two CPU cores, 5 minutes; top-1 above 0.95.
_base_ = ['_base_/default_runtime.py', '_base_/pose_sequence.py', '_base_/pose_sequence_shapes.py']

# 4 images of 16 steps: the 64 steps that the pipeline packs
_images = dict(n_steps=4, n_length=16, num_conv_filter=64, filter_size=3)
_convlstm = dict(type='ConvLSTMEncoder', num_points=15, **_images)
model = dict(type='SequenceClassifier', encoder=_convlstm, num_classes=8)
# ten steps a second of a video with 30 frames, as those that were trained on
predictor = dict(every=3)
shipped_weights = 'projects/pose_sequence/weights/pose_convlstm_shapes.pth'
