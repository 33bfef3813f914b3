# TimeSformer on generated clips from random weights; two CPU cores, 10 minutes; top-1 above 0.90.
_base_ = ['_base_/default_runtime.py', '_base_/timesformer.py', '_base_/timesformer_shapes.py']

_tiny = dict(image_size=64, vit=dict(embed_dim=96, depth=4, num_heads=4, drop_path=0.0))
# draws clips on a GPU: --cfg-options train_dataloader.dataset.render_on=device
_drawing = dict(type='ScenePreprocessor')
_head = dict(num_classes=12, in_channels=96)
model = dict(backbone=_tiny, cls_head=_head, data_preprocessor=_drawing)
train_cfg = dict(max_epochs=8, val_interval=4)
shipped_weights = 'projects/timesformer/weights/timesformer_shapes.pth'
