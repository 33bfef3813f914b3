# TimeSformer on 9 of 12 motions, backbone of anomaly_shapes; two CPU cores, 10 min; top-1 > 0.90.
_base_ = 'timesformer_shapes.py'

# all but those that turn
_motions = ('right', 'left', 'sway', 'down', 'up', 'bob', 'grow', 'shrink', 'pulse')
model = dict(cls_head=dict(num_classes=9))
train_dataloader = dict(dataset=dict(actions=_motions))
val_dataloader = dict(dataset=dict(actions=_motions))
test_dataloader = dict(dataset=dict(actions=_motions))
# those of its base are of another network
shipped_weights = None
