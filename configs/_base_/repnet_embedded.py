# RepNet on embedded generated videos, what its configs share: loaders; whole videos to be counted.
train_dataloader = dict(
    batch_size=4,
    num_workers=1,
    collate_fn=dict(type='pseudo_collate'),
    sampler=dict(type='EpochSliceSampler'),
    dataset=dict(
        type='EmbeddedShapesDataset',
        split='train',
        num_samples=10_000_000,
        cache_dir='work_dirs/embedded',
    ),
)
_whole_videos = dict(
    batch_size=1, num_workers=1, sampler=dict(type='DefaultSampler', shuffle=False)
)
_shapes = dict(type='RepetitionShapesDataset', size=96)
val_dataloader = dict(dataset=dict(split='val', **_shapes), **_whole_videos)
test_dataloader = dict(dataset=dict(split='test', **_shapes), **_whole_videos)

# what another model has learned stays as it is
custom_hooks = [dict(type='UnfreezeHook', frozen=['encoder', 'temporal_conv'], stages=[])]
find_unused_parameters = True
