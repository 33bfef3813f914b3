# RepNet on generated videos, what its configs share: loaders of clips and of whole videos.
train_dataloader = dict(batch_size=8, num_workers=1, sampler=dict(type='EpochSliceSampler'))
_whole_videos = dict(
    batch_size=1, num_workers=1, sampler=dict(type='DefaultSampler', shuffle=False)
)
val_dataloader = _whole_videos
test_dataloader = _whole_videos
