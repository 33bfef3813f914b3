# LSTM in both directions on generated sequences; two CPU cores, 5 minutes; top-1 above 0.90.
_base_ = [
    '_base_/default_runtime.py',
    '_base_/pose_sequence.py',
    '_base_/pose_sequence_shapes.py',
]

model = dict(
    type='SequenceClassifier',
    encoder=dict(type='LSTMEncoder', num_points=15, hidden_dim=64, bidirectional=True),
    num_classes=8,
)
