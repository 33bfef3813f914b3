# RepNet on whole generated videos, what its configs share: loaders; the head learns, then all.
_shapes = dict(type='RateShapesDataset', pipeline=[dict(type='PackRepetitionInputs')])
train_dataloader = dict(
    batch_size=5,
    num_workers=1,
    collate_fn=dict(type='pseudo_collate'),
    sampler=dict(type='EpochSliceSampler'),
    dataset=dict(split='train', num_videos=10_000_000, varied=True, **_shapes),
)
_one_by_one = dict(batch_size=1, num_workers=1, sampler=dict(type='DefaultSampler', shuffle=False))
val_dataloader = dict(dataset=dict(split='val', num_videos=60, **_shapes), **_one_by_one)
test_dataloader = dict(dataset=dict(split='test', num_videos=500, **_shapes), **_one_by_one)

_seen = ['encoder', 'temporal_conv']
# norms keep the statistics that they have
_learned = ['encoder.*.weight', 'encoder.*.bias', 'temporal_conv.*.weight', 'temporal_conv.*bias']
custom_hooks = [dict(type='UnfreezeHook', frozen=_seen, stages=[dict(epoch=3, patterns=_learned)])]
find_unused_parameters = True
