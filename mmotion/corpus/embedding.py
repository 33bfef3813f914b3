"""What a layer of the model gives while a video is predicted, as columns of its row.

features: list of rows, each a list of channels, see `mmotion.inference.features`
features_start_s, features_end_s: when each row begins and ends; null if nobody knows
features_clip, features_model: of predictors whose embeddings training can take, see
`mmotion.inference.abilities.NamesClips`
"""

from pathlib import Path
from typing import Any

from mmotion.inference.abilities import NamesClips
from mmotion.inference.features import find_layer, gather, record
from mmotion.inference.predictor import Predictor
from mmotion.structures.results import Result


class Embedder:
    """Predicts as its predictor does, and keeps embeddings.

    Args:
        predictor: From `mmotion.inference.load_model`, of a model in torch.
        layer: Name of a layer; True for that which gives the predictor's embeddings.

    Raises:
        ValueError: If there is no such layer.
    """

    def __init__(self, predictor: Predictor, layer: bool | str) -> None:
        self._predictor = predictor
        self._layer = find_layer(predictor, None if layer is True else str(layer))[1]
        # what other layers give is no embedding of training
        self._namer = predictor if layer is True and isinstance(predictor, NamesClips) else None

    def predict(self, video: Path, **times: Any) -> tuple[Result, dict[str, Any]]:
        """Predict a video.

        Args:
            video: File or folder of pictures.
            times: `fps`, `start_s` and `end_s`, see `Predictor.predict`.

        Returns:
            The result, and the columns above.
        """
        with record(self._layer) as rows:
            result = self._predictor.predict(video, **times)
        features = gather(rows, result)
        columns: dict[str, Any] = {'features': [*features.values]}
        for name, values in (('start_s', features.start_s), ('end_s', features.end_s)):
            columns[f'features_{name}'] = None if values is None else values.tolist()
        if self._namer:
            columns |= self._namer.name_clip(video, result, **times)
        return result, columns
