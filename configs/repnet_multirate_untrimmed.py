# The counter by time in untrimmed generated videos; two CPU cores, 15 minutes; OBO 0.65.
_base_ = ['repnet_multirate.py']

# only tested
val_dataloader = dict(dataset=dict(untrimmed=1.0))
test_dataloader = dict(dataset=dict(untrimmed=1.0))
