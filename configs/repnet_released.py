# RepNet as released by its authors in 2020, to count by converted weights; a CPU; not for training.
_base_ = ['_base_/default_runtime.py', '_base_/repnet.py']

model = dict(encoder=dict(type='KerasResNet50V2Encoder'))
test_pipeline = [dict(type='ResizeFrames', size=112), dict(type='PackRepetitionInputs')]
