# TimeSformer, what its configs share: the base model of the paper, normalisation, metric.
custom_imports = dict(imports=['projects.timesformer'], allow_failed_imports=False)

model = dict(
    type='Recognizer3D',
    backbone=dict(type='TimeSformer', num_frames=8, image_size=224),
    cls_head=dict(type='TimeSformerHead', num_classes=400),
    # 0.45 and 0.225 of values in [0, 1], as in the reference code
    data_preprocessor=dict(
        type='ActionDataPreprocessor',
        mean=[114.75, 114.75, 114.75],
        std=[57.375, 57.375, 57.375],
        format_shape='NCTHW',
    ),
)
predictor = dict(type='ActionPredictor')

train_cfg = dict(by_epoch=True, max_epochs=15)
val_cfg = dict()
test_cfg = dict()
val_evaluator = dict(type='ActionMetric')
test_evaluator = val_evaluator
