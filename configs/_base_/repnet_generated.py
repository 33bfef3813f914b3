# RepNet on generated videos, what its configs share: loaders of clips and of whole videos.
_clips = dict(split='train', num_videos=10_000_000, clip_frames=64)
train_dataloader = dict(
    batch_size=8,
    num_workers=1,
    sampler=dict(type='EpochSliceSampler'),
    # drawn on a GPU: --cfg-options train_dataloader.dataset.render_on=device
    dataset=dict(type='RepetitionShapesDataset', **_clips),
)
_whole_videos = dict(
    batch_size=1, num_workers=1, sampler=dict(type='DefaultSampler', shuffle=False)
)
val_dataloader = _whole_videos
test_dataloader = dict(dataset=dict(type='RepetitionShapesDataset', split='test'), **_whole_videos)
