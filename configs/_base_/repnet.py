# RepNet, what its configs share: preprocessing, schedule, metric, predictor.
custom_imports = dict(imports=['projects.repnet'], allow_failed_imports=False)

model = dict(
    type='RepNet',
    data_preprocessor=dict(
        type='ClipDataPreprocessor',
        mean=[127.5, 127.5, 127.5],
        std=[127.5, 127.5, 127.5],
    ),
)
predictor = dict(type='RepetitionPredictor')

train_cfg = dict(by_epoch=True, max_epochs=10)
val_cfg = dict()
test_cfg = dict()
optim_wrapper = dict(
    optimizer=dict(type='AdamW', lr=1e-3, weight_decay=0.01, fused=True),
    clip_grad=dict(max_norm=5.0),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.05, end=1, convert_to_iter_based=True),
    dict(type='CosineAnnealingLR', begin=1, eta_min=1e-6, convert_to_iter_based=True),
]
val_evaluator = dict(type='RepetitionMetric')
test_evaluator = val_evaluator
