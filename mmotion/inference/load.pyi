# What `load_model` gives for the configs that come with mmotion, for type checkers alone: they know
# that `load_model('repnet_small').predict('workout.mp4').count` is a float. Nothing reads this file
# while a program runs, and a config that is not in it gives a `Predictor[Any]`.
# tests/inference/test_load_stub.py holds it against the configs. In a wheel, where the systems are
# in `mmotion.bundle.projects`, setup.py writes that name here.
from pathlib import Path
from typing import Any, Literal, overload

from mmengine.config import Config

from mmotion.inference.predictor import Predictor
from projects.anomaly.inference import AnomalyPredictor
from projects.bkind.inference import KeypointTracker
from projects.pose_sequence.inference import PosePredictor
from projects.repnet.inference import PoseRepetitionPredictor, RepetitionPredictor
from projects.repnet.multirate.inference import MultiRatePredictor
from projects.timesformer.inference import ActionPredictor

@overload
def load_model(
    config: Literal[
        'anomaly_folder',
        'anomaly_shapes',
        'anomaly_shapes_centroids',
        'anomaly_shapes_knn',
        'anomaly_shapes_mahalanobis',
        'anomaly_shapes_pca',
        'anomaly_ucf_sports_r2plus1d',
        'anomaly_ucf_sports_r2plus1d_finetune',
        'anomaly_ucf_sports_slowfast',
        'anomaly_ucf_sports_slowfast_finetune',
        'anomaly_ucf_sports_timesformer',
        'anomaly_ucf_sports_timesformer_finetune',
    ],
    checkpoint: str | Path | None = None,
    *,
    device: str | None = None,
) -> AnomalyPredictor: ...
@overload
def load_model(
    config: Literal[
        'bkind_calms21',
        'bkind_custom',
        'bkind_custom_lite0',
        'bkind_custom_small',
        'bkind_h36m',
        'bkind_shapes',
    ],
    checkpoint: str | Path | None = None,
    *,
    device: str | None = None,
) -> KeypointTracker: ...
@overload
def load_model(
    config: Literal[
        'pose_convlstm_json',
        'pose_convlstm_shapes',
        'pose_lstm_shapes',
        'pose_probe_shapes',
        'pose_simclr_shapes',
        'pose_transformer_shapes',
    ],
    checkpoint: str | Path | None = None,
    *,
    device: str | None = None,
) -> PosePredictor: ...
@overload
def load_model(
    config: Literal['repnet_multirate', 'repnet_multirate_untrimmed'],
    checkpoint: str | Path | None = None,
    *,
    device: str | None = None,
) -> MultiRatePredictor: ...
@overload
def load_model(
    config: Literal['repnet_pose'],
    checkpoint: str | Path | None = None,
    *,
    device: str | None = None,
) -> PoseRepetitionPredictor: ...
@overload
def load_model(
    config: Literal[
        'repnet_countix',
        'repnet_released',
        'repnet_released_reference',
        'repnet_repcount',
        'repnet_shapes',
        'repnet_small',
        'repnet_synthetic',
        'repnet_ucfrep',
    ],
    checkpoint: str | Path | None = None,
    *,
    device: str | None = None,
) -> RepetitionPredictor: ...
@overload
def load_model(
    config: Literal[
        'timesformer_folder',
        'timesformer_k400',
        'timesformer_k400_hr',
        'timesformer_k400_l',
        'timesformer_k400_tiny',
        'timesformer_k600',
        'timesformer_shapes',
        'timesformer_shapes_normal',
        'timesformer_shapes_space_only',
        'timesformer_ssv2',
        'timesformer_videomae',
        'timesformer_vjepa2_probe',
    ],
    checkpoint: str | Path | None = None,
    *,
    device: str | None = None,
) -> ActionPredictor: ...
@overload
def load_model(
    config: str | Path | Config,
    checkpoint: str | Path | None = None,
    *,
    device: str | None = None,
) -> Predictor[Any]: ...
