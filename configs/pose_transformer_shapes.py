# Transformer on generated keypoint sequences; two CPU cores, 5 minutes; not measured.
_base_ = ['_base_/default_runtime.py', '_base_/pose_sequence.py', '_base_/pose_sequence_shapes.py']

_transformer = dict(type='TransformerEncoder', num_points=15, embed_dim=64, dropout=0.0)
model = dict(type='SequenceClassifier', encoder=_transformer, num_classes=8)
optim_wrapper = dict(optimizer=dict(lr=1e-3))
