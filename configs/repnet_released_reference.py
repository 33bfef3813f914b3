# RepNet as RepNet-pytorch counts, which leaves out the end; a CPU; 2.887 on the golden video.
_base_ = 'repnet_released.py'

model = dict(counting=dict(tail='drop'))
