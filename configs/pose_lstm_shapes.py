# LSTM in both directions on generated keypoint sequences; two CPU cores, 5 min; top-1 above 0.90.
_base_ = ['_base_/default_runtime.py', '_base_/pose_sequence.py', '_base_/pose_sequence_shapes.py']

_lstm = dict(type='LSTMEncoder', num_points=15, hidden_dim=64, bidirectional=True)
model = dict(type='SequenceClassifier', encoder=_lstm, num_classes=8)
