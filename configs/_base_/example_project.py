# The example, what its configs share: model, predictor, schedule, metric.
custom_imports = dict(imports=['projects.example_project'], allow_failed_imports=False)

model = dict(
    type='ClipClassifier',
    backbone=dict(type='TinyVideoNet', out_channels=16),
    num_classes=2,
    loss=dict(type='SmoothedCrossEntropy', smoothing=0.1),
    data_preprocessor=dict(
        type='ActionDataPreprocessor',
        mean=[127.5, 127.5, 127.5],
        std=[127.5, 127.5, 127.5],
        format_shape='NCTHW',
    ),
)
predictor = dict(type='DirectionPredictor')
# what the frames of a video go through
test_pipeline = [
    dict(type='Resize', scale=(16, 16), keep_ratio=False),
    dict(type='FormatShape', input_format='NCTHW'),
    dict(type='PackActionInputs'),
]

train_cfg = dict(by_epoch=True, max_epochs=2)
val_cfg = dict()
test_cfg = dict()
optim_wrapper = dict(optimizer=dict(type='AdamW', lr=0.005, fused=True))
val_evaluator = dict(type='DirectionAccuracy')
test_evaluator = val_evaluator
