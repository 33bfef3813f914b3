# TimeSformer on generated clips of 12 motions, what its configs share; two CPU cores, 10 minutes.
_pack = [
    dict(type='FormatShape', input_format='NCTHW'),
    dict(type='PackActionInputs', meta_keys=('name', 'num_clips')),
]
test_pipeline = [dict(type='Resize', scale=(64, 64), keep_ratio=False), *_pack]

train_dataloader = dict(
    batch_size=32,
    num_workers=1,
    sampler=dict(type='EpochSliceSampler', epoch_size=9600),
    # drawn on a GPU, where the model has a ScenePreprocessor, by render_on='device'
    dataset=dict(
        type='ActionShapesDataset',
        split='train',
        num_videos=10_000_000,
        pipeline=[dict(type='PackScene')],
    ),
)
val_dataloader = dict(
    batch_size=50,
    num_workers=1,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(type='ActionShapesDataset', split='val', num_videos=400, pipeline=_pack),
)
test_dataloader = dict(
    batch_size=50,
    num_workers=1,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(type='ActionShapesDataset', split='test', num_videos=400, pipeline=_pack),
)

optim_wrapper = dict(
    type='BFloat16OptimWrapper',
    optimizer=dict(type='AdamW', lr=5e-4, weight_decay=0.05, betas=(0.9, 0.98), fused=True),
    clip_grad=dict(max_norm=1.0),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.05, end=1, convert_to_iter_based=True),
    dict(type='CosineAnnealingLR', begin=1, eta_min=1e-6, convert_to_iter_based=True),
]
