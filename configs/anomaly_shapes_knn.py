# Anomalies among generated motions by two nearest neighbors; two CPU cores; AUROC 0.99.
_base_ = 'anomaly_shapes_centroids.py'

model = dict(scorer=dict(type='NearestNeighbors', k=2))
