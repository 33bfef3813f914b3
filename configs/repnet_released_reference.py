# The numbers of RepNet-pytorch, which leaves out frames at the end: to compare; 200 generated frames 2.887.
_base_ = 'repnet_released.py'

model = dict(counting=dict(tail='drop'))
