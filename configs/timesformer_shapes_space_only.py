# TimeSformer without attention in time on generated clips; two CPU cores, 7 min; top-1 below 0.45.
_base_ = 'timesformer_shapes.py'

# what cannot look into time cannot tell most of the motions
model = dict(backbone=dict(attention='space_only'))
# those of its base are of another network
shipped_weights = None
