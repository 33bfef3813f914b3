# RepNet on real videos, what its configs share: loaders, how the image network starts to train.
test_pipeline = [dict(type='ResizeFrames', size=112), dict(type='PackRepetitionInputs')]

train_dataloader = dict(batch_size=5, num_workers=8)
_whole_videos = dict(
    batch_size=1,
    num_workers=4,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(pipeline=test_pipeline),
)
val_dataloader = _whole_videos
test_dataloader = _whole_videos

# the paper trains all of it from the first step
custom_hooks = [
    dict(
        type='UnfreezeHook',
        frozen=['encoder'],
        stages=[
            dict(epoch=1, patterns=['encoder.network.layer3']),
            dict(epoch=2, patterns=['encoder']),
        ],
    )
]
find_unused_parameters = True
