# One linear layer on the encoder of pose_simclr_shapes, with 5 % of the labels; two CPU cores.
_base_ = ['_base_/default_runtime.py', '_base_/pose_sequence.py', '_base_/pose_sequence_shapes.py']

# fine-tuning instead: --cfg-options model.freeze_encoder=False
model = dict(
    type='SequenceClassifier',
    encoder=dict(type='ConvLSTMEncoder', num_points=15, n_steps=4, n_length=16),
    num_classes=8,
    freeze_encoder=True,
)
load_from = 'work_dirs/pose_simclr_shapes/epoch_100.pth'
train_dataloader = dict(dataset=dict(label_share=0.05))
train_cfg = dict(max_epochs=20)
optim_wrapper = dict(optimizer=dict(lr=1e-2))
