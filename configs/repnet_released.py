# RepNet with the weights of its authors, converted: to count, not to train; a CPU; not measured.
_base_ = ['_base_/default_runtime.py', '_base_/repnet.py']

# counts to the end of a video; RepNet-pytorch's numbers are those of repnet_released_reference
model = dict(encoder=dict(type='KerasResNet50V2Encoder'))
test_pipeline = [dict(type='ResizeFrames', size=112), dict(type='PackRepetitionInputs')]
released_weights = 'repnet_released'
