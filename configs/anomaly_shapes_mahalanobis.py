# Anomalies among generated motions by Mahalanobis distance; two CPU cores; AUROC 0.99.
_base_ = 'anomaly_shapes_centroids.py'

model = dict(scorer=dict(type='Mahalanobis'))
