"""The detector: embeddings, losses, p-values and thresholds by hand and by simulation."""

import copy
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mmaction.structures import ActionDataSample
from mmengine.runner.checkpoint import load_state_dict as mmengine_load_state_dict
from torch import Tensor, nn

from mmotion.checkpoint import load_weights, save_checkpoint_file
from mmotion.registry import MODELS
from projects.anomaly.models import (
    AnomalyDetector,
    EmbeddingPreprocessor,
    count_needed,
    find_p_values,
    find_threshold,
)
from projects.timesformer.convert import convert

from .reference_weights import draw_input, reference_state

D = 4
AUTOENCODER = dict(type='EmbeddingAutoencoder', dims=(D, 3, 2), dropout=0.0)


@MODELS.register_module()
class MeanBackbone(nn.Module):
    """Has all that changes in train mode; gives what its option says.

    Args:
        gives: 'vector', 'tuple', 'map' or 'list'.
    """

    def __init__(self, *, gives: str = 'vector') -> None:
        super().__init__()
        self.gives = gives
        self.layers = nn.Sequential(nn.Linear(3, D), nn.BatchNorm1d(D), nn.Dropout(0.5))

    def forward(self, clips: Tensor) -> Any:
        embeddings = self.layers(clips.mean((2, 3, 4)))
        return {
            'vector': embeddings,
            'tuple': (embeddings, clips),
            'map': embeddings[..., None],
            'list': [embeddings],
        }[self.gives]


def make_detector(gives: str = 'vector', **options: Any) -> AnomalyDetector:
    backbone = dict(type='MeanBackbone', gives=gives)
    return AnomalyDetector(**{'backbone': backbone, 'scorer': AUTOENCODER, **options})


def make_samples(num: int) -> list[ActionDataSample]:
    return [ActionDataSample(metainfo=dict(name=f'clip {i}')) for i in range(num)]


def draw_clips(num: int = 5, views: int = 2) -> Tensor:
    return torch.randn(num, views, 3, 2, 4, 4)


class TestEmbed:
    @pytest.mark.parametrize('gives', ['vector', 'tuple'])
    def test_it_is_the_mean_over_views(self, gives: str) -> None:
        model, clips = make_detector(gives).eval(), draw_clips()
        layers = model.backbone.layers
        by_hand = [
            torch.stack([layers(v.mean((1, 2, 3))[None])[0] for v in c]).mean(0) for c in clips
        ]
        torch.testing.assert_close(model.embed(clips), torch.stack(by_hand))

    def test_embeddings_are_passed_on(self) -> None:
        embeddings = torch.randn(3, D)
        assert make_detector().embed(embeddings) is embeddings

    @pytest.mark.parametrize(
        ('gives', 'message'),
        [
            pytest.param('map', r'got shape \(10, 4, 1\) from MeanBackbone', id='map'),
            pytest.param('list', r'got a list whose first is shape \(10, 4\)', id='list'),
        ],
    )
    def test_a_backbone_that_gives_something_else_is_refused(
        self, gives: str, message: str
    ) -> None:
        with pytest.raises(TypeError, match=message):
            make_detector(gives).embed(draw_clips())

    def test_inputs_of_another_shape_are_refused(self) -> None:
        with pytest.raises(
            ValueError, match=r'clips \(B, V, 3, T, H, W\) .* got shape \(2, 3, 1\)'
        ):
            make_detector()(torch.zeros(2, 3, 1))

    def test_timesformer_gives_the_embedding_of_the_reference(self, golden_root: Path) -> None:
        file = np.load(golden_root / 'timesformer_divst_tiny_B.npz')
        state = reference_state(file)
        backbone = dict(
            type='TimeSformer',
            num_frames=4,
            image_size=64,
            vit=dict(embed_dim=96, depth=2, num_heads=4),
        )
        model = make_detector(backbone=backbone).eval()
        converted = {k: v for k, v in convert(state).items() if k.startswith('backbone.')}
        own = {k: v for k, v in model.state_dict().items() if not k.startswith('backbone.')}
        model.load_state_dict(converted | own)
        got = model.embed(draw_input(0, 2, 1, 3, 4, 64, 64)).numpy()
        np.testing.assert_allclose(got, file['out.cls_feature'], rtol=0, atol=1e-5)


class TestFrozenBackbone:
    def test_it_stays_as_it_is(self) -> None:
        model = make_detector().train()
        assert model.is_backbone_frozen
        assert not any(module.training for module in model.backbone.modules())
        assert model.scorer.training
        before = copy.deepcopy(model.backbone.state_dict())
        clips = draw_clips()
        first, second = model(clips, mode='loss'), model(clips, mode='loss')
        assert torch.equal(first['embedding_std'], second['embedding_std'])
        first['loss'].backward()
        assert all(p.grad is None for p in model.backbone.parameters())
        assert all(p.grad is not None for p in model.scorer.parameters())
        assert all(torch.equal(v, before[k]) for k, v in model.backbone.state_dict().items())

    def test_it_trains_if_asked_to(self) -> None:
        model = make_detector(freeze_backbone=False).train()
        assert model.backbone.training
        model(draw_clips(), mode='loss')['loss'].backward()
        assert all(p.grad is not None for p in model.backbone.parameters())

    def test_what_is_unfrozen_later_is_in_train_mode_from_then_on(self) -> None:
        model = make_detector().train()
        model.backbone.layers[0].requires_grad_(True)
        assert model.embed(draw_clips()).requires_grad
        assert model.train().backbone.training
        assert not model.eval().backbone.training

    def test_what_is_frozen_later_is_in_eval_mode_from_then_on(self) -> None:
        model = make_detector(freeze_backbone=False)
        model.backbone.requires_grad_(False)
        assert not model.train().backbone.training
        assert not model.embed(draw_clips()).requires_grad


class TestLoss:
    def test_it_is_the_mean_error_and_the_spread(self) -> None:
        model, embeddings = make_detector().eval(), torch.randn(6, D)
        losses = model(embeddings, make_samples(6), mode='loss')
        torch.testing.assert_close(losses['loss'], model(embeddings).mean())
        by_hand = np.std(embeddings.numpy(), axis=0).mean()
        assert float(losses['embedding_std']) == pytest.approx(by_hand, rel=1e-6)

    @pytest.mark.parametrize('stop_gradient', [True, False])
    def test_gradient_flows_into_the_target_if_asked_to(self, stop_gradient: bool) -> None:
        model = make_detector(stop_gradient=stop_gradient).eval()
        embeddings = torch.randn(6, D, requires_grad=True)
        model(embeddings, mode='loss')['loss'].backward()
        target = embeddings.detach().clone().requires_grad_()
        source = embeddings.detach().clone().requires_grad_()
        model.scorer.error(source, target).mean().backward()
        assert source.grad is not None
        assert target.grad is not None
        wanted = source.grad if stop_gradient else source.grad + target.grad
        torch.testing.assert_close(embeddings.grad, wanted)

    def test_broken_embeddings_are_named(self) -> None:
        embeddings = torch.randn(4, D)
        embeddings[2, 1] = math.nan
        message = 'NaN or infinity for 1 of 4 clips, such as clip 2; leave'
        with pytest.raises(ValueError, match=message):
            make_detector()(embeddings, make_samples(4), mode='loss')
        with pytest.raises(ValueError, match='of 4 clips; leave'):
            make_detector()(embeddings, mode='loss')

    def test_a_scorer_that_is_fitted_has_none(self) -> None:
        model = make_detector(scorer=dict(type='ClassCentroids'))
        with pytest.raises(ValueError, match=r'dict\(type="FitLoop"\) for ClassCentroids'):
            model(torch.randn(2, D), mode='loss')


class TestPredict:
    def test_it_judges_by_the_calibration(self) -> None:
        model = make_detector(false_alarm_rate=0.2).eval()
        embeddings = torch.randn(4, D)
        errors = model(embeddings).sort().values
        # between the second and the third
        model.calibrate(torch.linspace(0, 1, 9) * 0.01 + errors[1] + 0.5 * (errors[2] - errors[1]))
        samples = model(embeddings, make_samples(4), mode='predict')
        for sample, error in zip(samples, model(embeddings), strict=True):
            assert torch.equal(sample.error, error)
            assert float(sample.p_value) == (0.1 if error > errors[1] + 0.01 else 1.0)
            assert bool(sample.is_alarm) == (float(sample.p_value) <= 0.2)
            assert 'excluded' not in sample

    @pytest.mark.parametrize('scorer', [AUTOENCODER, dict(type='ClassCentroids')])
    def test_broken_embeddings_are_excluded(self, scorer: dict[str, Any]) -> None:
        model = make_detector(scorer=scorer).eval()
        if hasattr(model.scorer, 'fit'):
            model.fit(torch.randn(5, D), torch.zeros(5))
        model.calibrate(torch.rand(99))
        embeddings = torch.randn(3, D)
        embeddings[1, 0], embeddings[2, 3] = math.nan, -math.inf
        samples = model(embeddings, make_samples(3), mode='predict')
        assert [bool(sample.error.isnan()) for sample in samples] == [False, True, True]
        assert [bool(sample.p_value.isnan()) for sample in samples] == [False, True, True]
        assert not any(bool(sample.is_alarm) for sample in samples[1:])
        assert [sample.get('excluded', False) for sample in samples] == [False, True, True]

    def test_nothing_is_an_alarm_without_calibration(self) -> None:
        samples = make_detector().eval()(torch.randn(3, D) * 1e3, make_samples(3), mode='predict')
        assert [float(sample.p_value) for sample in samples] == [1, 1, 1]
        assert not any(bool(sample.is_alarm) for sample in samples)

    def test_samples_are_needed(self) -> None:
        with pytest.raises(ValueError, match="data_samples must be given in mode 'predict'"):
            make_detector()(torch.randn(3, D), mode='predict')
        with pytest.raises(ValueError, match=r"mode must be one of .* got mode='test'"):
            make_detector()(torch.randn(3, D), mode='test')


def one_each(errors: torch.Tensor) -> torch.Tensor:
    """Weights of clips each of which is a recording."""
    return torch.ones(len(errors), dtype=torch.float64)


class TestCalibration:
    def test_errors_are_sorted_and_kept_without_nan(self) -> None:
        model = make_detector(false_alarm_rate=0.5)
        model.calibrate(torch.tensor([3.0, math.nan, 1.0, math.inf]))
        assert model.calibration_errors.tolist() == [1, 3, math.inf]
        with pytest.raises(ValueError, match=r'shape \(n,\), got \(2, 1\)'):
            model.calibrate(torch.zeros(2, 1))

    def test_too_few_clips_are_said(self, monkeypatch: pytest.MonkeyPatch) -> None:
        logged: list[str] = []
        module = 'projects.anomaly.models'
        monkeypatch.setattr(f'{module}.print_log', lambda text, **_: logged.append(text))
        model = make_detector()
        model.calibrate(torch.rand(18))
        assert (
            'at least 19 normal recordings for a false-alarm rate of 0.05, got 18' in logged.pop()
        )
        assert model.threshold == math.inf
        model.calibrate(torch.rand(19))
        assert not logged
        assert model.threshold == float(model.calibration_errors[-1])

    def test_recordings_are_counted_and_not_clips(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Thirty clips of three recordings promised a rate of 0.05, which takes 19 recordings."""
        logged: list[str] = []
        monkeypatch.setattr(
            'projects.anomaly.models.print_log', lambda text, **_: logged.append(text)
        )
        model = make_detector()
        names = [f'recording {n % 3}' for n in range(30)]
        model.calibrate(torch.rand(30), names)
        assert model.num_recordings == 3 and model.threshold == math.inf
        assert 'got 3, which can promise 0.25 at best' in logged.pop()
        assert float(model.p_value(torch.tensor(9.0))) == 0.25
        # by hand: of a's clips half have 2 or more, b's one has not
        model.calibrate(torch.tensor([3.0, 1.0, math.nan, 1.5]), ['a', 'a', 'a', 'b'])
        p_values = model.p_value(torch.tensor([0.5, 1.2, 2.0, 3.0, 4.0]))
        expected = torch.tensor([3.0, 2.5, 1.5, 1.5, 1.0]) / 3
        torch.testing.assert_close(p_values, expected.double(), rtol=0, atol=1e-7)
        model.false_alarm_rate = 0.5
        assert model.threshold == 1.5
        with pytest.raises(ValueError, match=r'got \(3,\) and 2 recordings'):
            model.calibrate(torch.rand(3), ['a', 'b'])

    @pytest.mark.parametrize(('num_recordings', 'rate'), [(9, 0.05), (19, 0.1)])
    def test_the_rate_is_kept_for_new_recordings(self, num_recordings: int, rate: float) -> None:
        """Clips of a recording are alike: 90 clips of 9 recordings cannot promise 0.05."""
        torch.manual_seed(0)
        rounds, by_recording, by_clip = 1500, 0.0, 0.0
        shares = torch.full((num_recordings * 10,), 0.1, dtype=torch.float64)
        for _ in range(rounds):
            errors = torch.randn(num_recordings + 1, 1) + 0.1 * torch.randn(num_recordings + 1, 10)
            known, new = errors[:-1].flatten().sort().values, errors[-1]
            threshold = find_threshold(known, shares, rate)
            by_recording += float((new > threshold).float().mean()) / rounds
            threshold = find_threshold(known, one_each(known), rate)
            by_clip += float((new > threshold).float().mean()) / rounds
        sigma = math.sqrt(rate * (1 - rate) / rounds)
        assert by_recording <= rate + 3 * sigma
        assert by_recording <= by_clip
        assert (by_clip > rate + 3 * sigma) == (num_recordings < count_needed(rate))

    @pytest.mark.parametrize('loader', ['mmotion', 'torch', 'mmengine'])
    def test_it_is_in_the_checkpoint(self, loader: str, tmp_path: Path) -> None:
        model, loaded = make_detector(), make_detector()
        model.calibrate(torch.rand(30))
        loaded.calibrate(torch.rand(40))
        if loader == 'mmotion':
            save_checkpoint_file({'state_dict': model.state_dict()}, tmp_path / 'a.pth')
            load_weights(loaded, tmp_path / 'a.pth')
        elif loader == 'torch':
            loaded.load_state_dict(model.state_dict())
        else:
            mmengine_load_state_dict(loaded, model.state_dict(), strict=True)
        assert torch.equal(loaded.calibration_errors, model.calibration_errors)
        assert torch.equal(loaded.calibration_weights, model.calibration_weights)
        assert loaded.threshold == model.threshold

    @pytest.mark.parametrize('given', [None, 0.01])
    def test_the_rate_is_that_of_the_calibration_unless_one_is_given(
        self, given: float | None, tmp_path: Path
    ) -> None:
        model, loaded = make_detector(false_alarm_rate=0.15), make_detector(false_alarm_rate=given)
        assert make_detector().false_alarm_rate == 0.05
        model.calibrate(torch.rand(30))
        save_checkpoint_file({'state_dict': model.state_dict()}, tmp_path / 'a.pth')
        load_weights(loaded, tmp_path / 'a.pth')
        assert loaded.false_alarm_rate == (given or 0.15)
        # one of a checkpoint from before the rate was kept
        older = {k: v for k, v in model.state_dict().items() if k != 'calibration_rate'}
        save_checkpoint_file({'state_dict': older}, tmp_path / 'older.pth')
        loaded = make_detector(false_alarm_rate=given)
        load_weights(loaded, tmp_path / 'older.pth')
        assert loaded.false_alarm_rate == (given or 0.05)

    def test_rates_out_of_range_are_refused(self) -> None:
        with pytest.raises(ValueError, match='false_alarm_rate must lie in'):
            make_detector(false_alarm_rate=0)


class TestPValues:
    def test_by_hand(self) -> None:
        calibration = torch.tensor([1.0, 2.0, 2.0, 5.0])
        errors = torch.tensor([[0.0, 1.0, 2.0], [2.1, 5.0, math.inf]])
        wanted = [[1.0, 1.0, 0.8], [0.4, 0.4, 0.2]]
        torch.testing.assert_close(
            find_p_values(errors, calibration, one_each(calibration)),
            torch.tensor(wanted, dtype=torch.float64),
        )
        assert find_p_values(torch.tensor(math.nan), calibration, one_each(calibration)).isnan()

    def test_threshold_and_p_values_agree(self) -> None:
        # rates that are multiples of 1 / (n + 1), and errors with ties, are where they could not
        for n in (1, 9, 19, 99, 100):
            calibration = torch.randint(0, 12, (n,)).float().sort().values
            errors = torch.arange(-1, 14) / 1.0
            for rate in (0.01, 0.05, 0.07, 0.1, 0.29, 0.5, 0.9):
                alarms = errors > find_threshold(calibration, one_each(calibration), rate)
                below = find_p_values(errors, calibration, one_each(calibration)) <= rate
                # an infinite error could be an alarm still, but never without enough clips
                assert torch.equal(alarms, below), (n, rate)
                assert math.isinf(find_threshold(calibration, one_each(calibration), rate)) == (
                    n < count_needed(rate)
                )

    @pytest.mark.parametrize(
        ('rate', 'needed'), [(0.05, 19), (0.01, 99), (0.3, 3), (0.5, 1), (1 / 49, 48), (1 / 3, 2)]
    )
    def test_so_many_clips_are_needed(self, rate: float, needed: int) -> None:
        assert count_needed(rate) == needed
        assert 1 / (needed + 1) <= rate < 1 / needed

    @pytest.mark.parametrize('rate', [0.05, 0.1, 0.3])
    def test_the_rate_holds_for_exchangeable_clips(self, rate: float) -> None:
        # any distribution will do, such as one without a variance; over the draw of calibration
        # and clip the rate is floor(rate * (n + 1)) / (n + 1), just below what was asked for
        n, num_draws = 60, 4000
        draws = torch.rand(num_draws, n + 1) ** -0.9
        alarms = [
            bool(draw[-1] > find_threshold(draw[:-1].sort().values, one_each(draw[:-1]), rate))
            for draw in draws
        ]
        expected = math.floor(rate * (n + 1)) / (n + 1)
        sigma = math.sqrt(expected * (1 - expected) / num_draws)
        assert abs(np.mean(alarms) - expected) < 4 * sigma
        assert expected <= rate


class TestFit:
    def test_it_reaches_the_scorer(self) -> None:
        model = make_detector(scorer=dict(type='ClassCentroids'))
        model.fit(torch.eye(D), torch.arange(D) // 2)
        assert model(torch.tensor([[0.5, 0.5, 0, 0]])).tolist() == [0]

    def test_an_autoencoder_has_none(self) -> None:
        with pytest.raises(ValueError, match='EmbeddingAutoencoder, which is trained by gradients'):
            make_detector().fit(torch.eye(D), torch.arange(D))


class TestEmbeddingPreprocessor:
    OPTIONS: Any = dict(mean=[1.0, 2.0, 3.0], std=[2.0, 2.0, 2.0], format_shape='NCTHW')

    def test_embeddings_are_stacked_and_nothing_else(self) -> None:
        samples = make_samples(2)
        batch = {'inputs': [torch.ones(D), torch.zeros(D)], 'data_samples': samples}
        result: Any = EmbeddingPreprocessor(**self.OPTIONS)(batch)
        assert result['inputs'].tolist() == [[1] * D, [0] * D]
        assert [sample.name for sample in result['data_samples']] == ['clip 0', 'clip 1']

    def test_clips_are_normalised(self) -> None:
        clips = [torch.full((2, 3, 2, 4, 4), 5, dtype=torch.uint8)] * 2
        batch = {'inputs': clips, 'data_samples': make_samples(2)}
        result: Any = EmbeddingPreprocessor(**self.OPTIONS)(batch)
        inputs = result['inputs']
        assert inputs.shape == (2, 2, 3, 2, 4, 4)
        assert inputs[0, 1, :, 1, 2, 3].tolist() == [2, 1.5, 1]
