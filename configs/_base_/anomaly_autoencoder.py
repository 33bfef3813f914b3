# Anomaly detectors with an autoencoder on a frozen backbone, what their configs share: schedule.
train_cfg = dict(by_epoch=True, max_epochs=50, val_interval=10)
