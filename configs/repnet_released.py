# RepNet with the weights of its authors, converted: to count, not to train; a CPU; not measured.
# It counts to the end of a video; the reference's numbers are those of repnet_released_reference.
_base_ = ['_base_/default_runtime.py', '_base_/repnet.py']

model = dict(encoder=dict(type='KerasResNet50V2Encoder'))
test_pipeline = [dict(type='ResizeFrames', size=112), dict(type='PackRepetitionInputs')]
