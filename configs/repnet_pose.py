# RepNet on keypoints that ships with its weights, of generated people; 2 CPUs, 12 min; OBO 0.95.
_base_ = ['_base_/default_runtime.py', '_base_/repnet.py', '_base_/repnet_generated.py']
_pace = dict(strides=(1, 2, 3, 4, 6, 8), stride_score='mean_square', stride_tolerance=0.2)
model = dict(
    type='PoseRepNet',
    encoder=dict(type='PoseEncoder', width=128),
    embedding_dim=96,
    similarity=dict(channels=16, temperature=2.0, learn_temperature=True, align_lags=True),
    head=dict(width=256, dropout=0.0),
    loss=dict(soft_periods=True, similarity_weight=0.5),
    counting=dict(threshold=0.45, period_estimate='expected', **_pace),
    data_preprocessor=dict(mean=[0, 0, 0], std=[1, 1, 1]),
)
test_pipeline = [dict(type='PackRepetitionInputs')]
_people = dict(type='RepetitionPosesDataset', pipeline=test_pipeline)
train_dataloader = dict(batch_size=16, sampler=dict(epoch_size=12_800), dataset=_people)
val_dataloader = dict(dataset=dict(split='val', num_videos=200, **_people))
test_dataloader = dict(dataset=dict(num_videos=500, **_people))
shipped_weights = 'projects/repnet/weights/repnet_pose.pth'
train_cfg = dict(max_epochs=4, val_interval=4)
predictor = dict(type='PoseRepetitionPredictor')
