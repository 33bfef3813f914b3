"""The scorers: against closed forms, scikit-learn and slow versions, and through checkpoints."""

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.covariance import LedoitWolf
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors as SklearnNeighbors
from torch import Tensor, nn

from mmotion.checkpoint import load_weights, save_checkpoint_file
from mmotion.registry import MODELS
from projects.anomaly.scorers import (
    AnySizeBuffers,
    ClassCentroids,
    EmbeddingAutoencoder,
    Mahalanobis,
    NearestNeighbors,
    PCAReconstruction,
)

N, D = 60, 6
BASELINES = [
    pytest.param(dict(type='PCAReconstruction', share=0.9), id='pca'),
    pytest.param(dict(type='NearestNeighbors'), id='knn'),
    pytest.param(dict(type='Mahalanobis'), id='mahalanobis'),
    pytest.param(dict(type='ClassCentroids'), id='centroids'),
]


def draw_embeddings(seed: int = 0, num: int = N) -> tuple[Tensor, Tensor]:
    """Correlated numbers around three class means; labels are not consecutive."""
    rng = np.random.default_rng(seed)
    classes = np.arange(num) % 3
    mixing = np.random.default_rng(99).standard_normal((D, D))
    data = rng.standard_normal((num, D)) @ mixing + 5 * np.eye(D)[classes]
    return torch.from_numpy(data).float(), torch.tensor([2, 5, 9])[torch.from_numpy(classes)]


class TestEmbeddingAutoencoder:
    @pytest.mark.parametrize(
        ('dims', 'widths'),
        [
            pytest.param((8, 3), [(8, 3), (3, 8)], id='one'),
            pytest.param((8, 5, 3), [(8, 5), (5, 3), (3, 5), (5, 8)], id='two'),
            pytest.param(
                (8, 6, 5, 3), [(8, 6), (6, 5), (5, 3), (3, 5), (5, 6), (6, 8)], id='three'
            ),
        ],
    )
    def test_layers_go_down_and_up(
        self, dims: tuple[int, ...], widths: list[tuple[int, int]]
    ) -> None:
        layers = EmbeddingAutoencoder(dims=dims).modules()
        linear = [layer for layer in layers if isinstance(layer, nn.Linear)]
        assert [(layer.in_features, layer.out_features) for layer in linear] == widths

    def test_error_equals_one_written_out(self) -> None:
        scorer = EmbeddingAutoencoder(dims=(D, 4, 2)).eval()
        scorer.norm.running_mean = torch.randn(D)
        scorer.norm.running_var = torch.rand(D) + 0.5
        embeddings, _ = draw_embeddings(num=3)
        layers = [layer for layer in scorer.modules() if isinstance(layer, nn.Linear)]
        for error, x in zip(scorer.error(embeddings), embeddings, strict=True):
            z = (x - scorer.norm.running_mean) / (scorer.norm.running_var + 1e-5).sqrt()
            for i, layer in enumerate(layers):
                z = layer.weight @ z + layer.bias
                # neither the latent vector nor the reconstruction is cut at 0
                z = z.clamp(min=0) if i % 2 == 0 else z
            torch.testing.assert_close(error, ((z - x) ** 2).sum())

    def test_error_is_to_the_target_if_there_is_one(self) -> None:
        scorer = EmbeddingAutoencoder(dims=(D, 2)).eval()
        embeddings, _ = draw_embeddings(num=3)
        assert torch.equal(scorer.error(embeddings, embeddings), scorer.error(embeddings))
        assert scorer.error(embeddings, scorer(embeddings)).tolist() == [0, 0, 0]

    def test_it_learns_what_is_normal(self) -> None:
        scorer = EmbeddingAutoencoder(dims=(D, 8, 3), dropout=0)
        optimizer = torch.optim.Adam(scorer.parameters(), lr=0.02)
        plane = torch.randn(2, D)
        for _ in range(300):
            optimizer.zero_grad()
            scorer.error(torch.randn(32, 2) @ plane).mean().backward()
            optimizer.step()
        scorer.eval()
        normal, other = torch.randn(200, 2) @ plane, torch.randn(200, D) * plane.std()
        assert scorer.error(normal).median() * 10 < scorer.error(other).median()

    def test_a_batch_of_one_can_be_trained_with(self) -> None:
        scorer = EmbeddingAutoencoder(dims=(D, 2), dropout=0).train()
        embeddings, _ = draw_embeddings(num=1)
        before = scorer.norm.state_dict(keep_vars=False)
        before = {k: v.clone() for k, v in before.items()}
        error = scorer.error(embeddings)
        assert all(torch.equal(v, before[k]) for k, v in scorer.norm.state_dict().items())
        torch.testing.assert_close(error, scorer.eval().error(embeddings))

    def test_dropout_is_on_in_training_alone(self) -> None:
        scorer = EmbeddingAutoencoder(dims=(D, 8, 2), dropout=0.5)
        embeddings, _ = draw_embeddings()
        assert not torch.equal(scorer(embeddings), scorer(embeddings))
        assert torch.equal(scorer.eval()(embeddings), scorer(embeddings))

    @pytest.mark.parametrize(
        ('options', 'message'),
        [
            pytest.param(dict(dims=(8,)), r'dims must be .* got dims=\(8,\)', id='one-width'),
            pytest.param(dict(dims=(8, 0)), r'got dims=\(8, 0\)', id='no-latent'),
            pytest.param(dict(dropout=1.0), r'dropout must lie in \[0, 1\)', id='dropout'),
        ],
    )
    def test_wrong_options_are_refused(self, options: dict[str, Any], message: str) -> None:
        with pytest.raises(ValueError, match=message):
            EmbeddingAutoencoder(**options)

    def test_embeddings_of_another_width_are_refused(self) -> None:
        with pytest.raises(ValueError, match=r'shape \(B, 512\), got \(2, 768\); set the first'):
            EmbeddingAutoencoder().error(torch.zeros(2, 768))


class TestPCAReconstruction:
    @pytest.mark.parametrize(
        'options',
        [
            pytest.param(dict(num_components=2), id='number'),
            pytest.param(dict(share=0.8), id='share'),
        ],
    )
    def test_it_equals_scikit_learn(self, options: dict[str, Any]) -> None:
        embeddings, labels = draw_embeddings()
        others, _ = draw_embeddings(1)
        scorer = PCAReconstruction(**options)
        scorer.fit(embeddings, labels)
        # in float64: in float32 scikit-learn 1.3 is itself off by 1e-5
        pca = PCA(next(iter(options.values()))).fit(embeddings.double().numpy())
        back = pca.inverse_transform(pca.transform(others.double().numpy()))
        wanted = ((others.numpy() - back) ** 2).sum(1)
        torch.testing.assert_close(scorer.error(others), torch.from_numpy(wanted).float())

    def test_share_keeps_as_few_components_as_explain_it(self) -> None:
        # variances 16, 4 and 1 of 21
        axes = torch.eye(3) * torch.tensor([4.0, 2.0, 1.0])
        embeddings = torch.cat([axes, -axes])
        for share, kept in ((0.75, 1), (0.77, 2), (0.95, 2), (0.96, 3)):
            scorer = PCAReconstruction(share=share)
            scorer.fit(embeddings, torch.zeros(6))
            assert len(scorer.components) == kept, share

    @pytest.mark.parametrize(
        ('options', 'message'),
        [
            pytest.param({}, 'one of share and num_components must be given', id='none'),
            pytest.param(dict(share=0.5, num_components=2), 'one of share', id='both'),
            pytest.param(dict(share=1.0), r'share must lie in \(0, 1\)', id='share'),
            pytest.param(dict(num_components=0), 'num_components must be at least 1', id='number'),
        ],
    )
    def test_wrong_options_are_refused(self, options: dict[str, Any], message: str) -> None:
        with pytest.raises(ValueError, match=message):
            PCAReconstruction(**options)

    def test_more_components_than_there_can_be_are_refused(self) -> None:
        with pytest.raises(ValueError, match='num_components=7 for 60 embeddings of 6'):
            PCAReconstruction(num_components=7).fit(*draw_embeddings())


class TestNearestNeighbors:
    @pytest.mark.parametrize('k', [1, 2, 5])
    def test_it_equals_scikit_learn(self, k: int) -> None:
        embeddings, labels = draw_embeddings()
        others, _ = draw_embeddings(1)
        scorer = NearestNeighbors(k=k)
        scorer.fit(embeddings, labels)
        distances, _ = SklearnNeighbors(n_neighbors=k).fit(embeddings).kneighbors(others)
        torch.testing.assert_close(
            scorer.error(others), torch.from_numpy(distances).float().mean(1)
        )

    def test_a_training_clip_is_its_own_neighbour(self) -> None:
        embeddings, labels = draw_embeddings()
        scorer = NearestNeighbors(k=1)
        scorer.fit(embeddings, labels)
        # exactly, which distances by a matrix product would not give
        assert scorer.error(embeddings).tolist() == [0] * N

    def test_wrong_numbers_are_refused(self) -> None:
        with pytest.raises(ValueError, match='k must be at least 1, got k=0'):
            NearestNeighbors(k=0)
        with pytest.raises(ValueError, match='k must be at most the number of clips, got k=61'):
            NearestNeighbors(k=61).fit(*draw_embeddings())


class TestMahalanobis:
    @pytest.mark.parametrize('num', [N, D - 1])
    @pytest.mark.parametrize('shrinkage', [None, 0.2, 1.0])
    def test_it_equals_the_definition(self, shrinkage: float | None, num: int) -> None:
        embeddings, labels = draw_embeddings(num=num)
        others, _ = draw_embeddings(1)
        scorer = Mahalanobis(shrinkage=shrinkage)
        scorer.fit(embeddings, labels)

        data, names = embeddings.double().numpy(), labels.numpy()
        means = {name: data[names == name].mean(0) for name in set(names.tolist())}
        differences = data - np.stack([means[name] for name in names.tolist()])
        if shrinkage is None:
            covariance = LedoitWolf(assume_centered=True).fit(differences).covariance_
        else:
            sample = differences.T @ differences / len(data)
            covariance = (1 - shrinkage) * sample + shrinkage * np.trace(sample) / D * np.eye(D)
        precision = np.linalg.inv(covariance)
        wanted = [
            min((x - mean) @ precision @ (x - mean) for mean in means.values())
            for x in others.double().numpy()
        ]
        torch.testing.assert_close(scorer.error(others), torch.tensor(wanted).float())

    def test_scales_and_turns_of_the_embeddings_do_not_matter_with_many_clips(self) -> None:
        # little is shrunk then
        (embeddings, labels), (others, _) = draw_embeddings(num=20_000), draw_embeddings(1)
        scorer, turned = Mahalanobis(), Mahalanobis()
        scorer.fit(embeddings, labels)
        mixing = torch.linalg.qr(torch.randn(D, D)).Q * torch.tensor([1, 1, 1, 2, 2, 2])
        turned.fit(embeddings @ mixing, labels)
        torch.testing.assert_close(
            scorer.error(others), turned.error(others @ mixing), rtol=0.02, atol=0
        )

    def test_fewer_clips_than_dimensions_are_enough(self) -> None:
        scorer = Mahalanobis()
        scorer.fit(torch.randn(5, 50), torch.zeros(5))
        assert scorer.error(torch.randn(4, 50)).isfinite().all()

    @pytest.mark.parametrize('shrinkage', [None, 1e-18])
    def test_clips_on_one_line_are_enough(self, shrinkage: float | None) -> None:
        scorer = Mahalanobis(shrinkage=shrinkage)
        line = torch.randn(20, 1) * torch.ones(D)
        scorer.fit(line, torch.zeros(20))
        assert scorer.error(line).isfinite().all()
        assert scorer.error(torch.eye(D)).min() > scorer.error(line).max()

    def test_what_cannot_be_fitted_is_refused(self) -> None:
        with pytest.raises(ValueError, match=r'shrinkage must lie in \(0, 1\], got shrinkage=0'):
            Mahalanobis(shrinkage=0)
        with pytest.raises(ValueError, match='3 clips in 3 classes without any difference'):
            Mahalanobis().fit(torch.eye(3), torch.arange(3))


class TestClassCentroids:
    def test_distance_to_the_nearest_class_by_hand(self) -> None:
        scorer = ClassCentroids()
        embeddings = torch.tensor([[0.0, 0], [2, 0], [10, 10], [10, 14]])
        scorer.fit(embeddings, torch.tensor([7, 7, 3, 3]))
        assert scorer.centroids.tolist() == [[10, 12], [1, 0]]
        points = torch.tensor([[1.0, 0], [4, 4], [10, 20]])
        assert scorer.error(points).tolist() == [0, 5, 8]


@pytest.mark.parametrize('config', BASELINES)
class TestEveryBaseline:
    def test_anomalies_have_larger_errors(self, config: dict[str, Any]) -> None:
        scorer = MODELS.build(config)
        scorer.fit(*draw_embeddings())
        normal, _ = draw_embeddings(1)
        assert scorer.error(normal).median() * 2 < scorer.error(normal * 3).median()

    @pytest.mark.parametrize('by_torch', [True, False], ids=['torch', 'mmotion'])
    def test_it_is_the_same_after_loading(
        self, config: dict[str, Any], by_torch: bool, tmp_path: Path
    ) -> None:
        scorer, loaded = nn.Sequential(MODELS.build(config)), nn.Sequential(MODELS.build(config))
        fitted: Any = scorer[0]
        fitted.fit(*draw_embeddings())
        if by_torch:
            loaded.load_state_dict(scorer.state_dict())
        else:
            save_checkpoint_file({'state_dict': scorer.state_dict()}, tmp_path / 'a.pth')
            load_weights(loaded, tmp_path / 'a.pth')
        others, _ = draw_embeddings(1)
        again: Any = copy.deepcopy(loaded)[0]
        assert torch.equal(again.error(others), fitted.error(others))

    def test_it_is_refused_before_it_is_fitted(self, config: dict[str, Any]) -> None:
        with pytest.raises(ValueError, match=r"must be fitted before .* dict\(type='FitLoop'\)"):
            MODELS.build(config).error(torch.zeros(2, D))

    def test_embeddings_of_another_width_are_refused(self, config: dict[str, Any]) -> None:
        scorer = MODELS.build(config)
        scorer.fit(*draw_embeddings())
        with pytest.raises(ValueError, match=r'shape \(B, 6\), .* got \(2, 7\)'):
            scorer.error(torch.zeros(2, 7))

    @pytest.mark.parametrize(
        ('embeddings', 'labels', 'message'),
        [
            pytest.param(torch.zeros(1, D), torch.zeros(1), 'N at least 2', id='one-clip'),
            pytest.param(
                torch.zeros(4, D), torch.zeros(3), r'got \(4, 6\) and \(3,\)', id='labels'
            ),
            pytest.param(
                torch.zeros(4, D).index_fill(0, torch.tensor([2]), float('nan')),
                torch.zeros(4),
                'must be finite, got 1 of 4',
                id='nan',
            ),
            pytest.param(torch.ones(4, D), torch.zeros(4), 'must differ, got 4 equal', id='equal'),
        ],
    )
    def test_what_cannot_be_fitted_is_refused(
        self, config: dict[str, Any], embeddings: Tensor, labels: Tensor, message: str
    ) -> None:
        with pytest.raises(ValueError, match=message):
            MODELS.build(config).fit(embeddings, labels)


def test_buffers_take_the_size_of_what_is_loaded() -> None:
    class Pair(AnySizeBuffers):
        any_size = ('first',)

        def __init__(self) -> None:
            super().__init__()
            self.register_buffer('first', torch.zeros(0))
            self.register_buffer('second', torch.zeros(2))

    pair = Pair()
    pair.load_state_dict({'first': torch.ones(3, 4), 'second': torch.ones(2)})
    assert pair.get_buffer('first').tolist() == [[1.0] * 4] * 3
    with pytest.raises(RuntimeError, match='size mismatch for second'):
        pair.load_state_dict({'first': torch.ones(3), 'second': torch.ones(3)})
