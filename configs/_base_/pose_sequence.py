# Keypoint sequences, what their configs share: schedule, metric, predictor.
custom_imports = dict(imports=['projects.pose_sequence'], allow_failed_imports=False)

predictor = dict(type='PosePredictor')

train_cfg = dict(by_epoch=True, max_epochs=80, val_interval=20)
val_cfg = dict()
test_cfg = dict()
optim_wrapper = dict(
    optimizer=dict(type='AdamW', lr=3e-3, weight_decay=0.01, fused=True),
    clip_grad=dict(max_norm=1.0),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.05, end=1, convert_to_iter_based=True),
    dict(type='CosineAnnealingLR', begin=1, eta_min=1e-6, convert_to_iter_based=True),
]
val_evaluator = dict(type='ActionMetric')
test_evaluator = val_evaluator
