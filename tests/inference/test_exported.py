import numpy as np
import pytest

from mmotion.inference.exported import ExportedModel, Pipeline, Settings


def test_settings_are_read_as_a_config_is():
    settings = Settings({'model': {'backbone': {'num_frames': 8}}, 'predictor': {'type': 'X'}})
    assert settings.model.backbone.get('num_frames') == 8
    settings.predictor.update(report_every_s=2.0)
    assert settings.to_dict()['predictor'] == {'type': 'X', 'report_every_s': 2.0}
    assert settings.get('test_pipeline') is None
    with pytest.raises(AttributeError, match='nothing'):
        _ = settings.nothing


class Doubled:
    """A network of two parts, of which one doubles what it is given."""

    meta = {'config': {'test_pipeline': [{'type': 'DecodeClip'}]}, 'outputs': ['twice', 'sum']}

    def run(self, wanted, inputs):
        values = inputs['inputs']
        outputs = {'twice': 2 * values, 'sum': values.sum(1)}
        return [outputs[name] for name in wanted]


def test_a_model_answers_sample_by_sample():
    model = ExportedModel(Doubled())
    batch = model.collate([{'inputs': np.arange(2)}, {'inputs': np.arange(2, 4)}])
    first, second = model(**batch, mode='predict')
    assert (first.twice.tolist(), first.sum) == ([0, 2], 1)
    assert (second.twice.tolist(), second.sum) == ([4, 6], 5)
    assert model.dataset_meta == {'classes': ()}
    assert model.build_pipeline()({'imgs': []}) == {'imgs': []}


def test_steps_follow_one_another():
    pipeline = Pipeline([lambda results: results | {'a': 1}, lambda results: {'b': results['a']}])
    assert pipeline({}) == {'b': 1}
