# Anomaly detectors, what their configs share: model, hooks, metric, predictor.
custom_imports = dict(imports=['projects.anomaly'], allow_failed_imports=False)

model = dict(
    type='AnomalyDetector',
    # of TimeSformer and SlowFast: 0.45 and 0.225 of values in [0, 1]
    data_preprocessor=dict(
        type='EmbeddingPreprocessor',
        mean=[114.75, 114.75, 114.75],
        std=[57.375, 57.375, 57.375],
        format_shape='NCTHW',
    ),
)
predictor = dict(type='AnomalyPredictor')

val_cfg = dict()
test_cfg = dict()
# baselines are fitted, and do not use it
optim_wrapper = dict(optimizer=dict(type='AdamW', lr=1e-3, weight_decay=1e-4, fused=True))
custom_hooks = [dict(type='EmbeddingHook'), dict(type='CalibrationHook'), dict(type='CollapseHook')]
val_evaluator = dict(type='AnomalyMetric')
test_evaluator = val_evaluator
