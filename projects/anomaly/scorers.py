"""How far an embedding lies from those of normal clips: an autoencoder and four baselines.

All of them have `error(embeddings) -> errors`, larger for what is less like normal. The autoencoder
is trained by gradient descent. The others have `fit(embeddings, labels)`, which needs the
embeddings of all training clips at once; `train_cfg = dict(type='FitLoop')` calls it.

Shape letters in this file: B embeddings of a batch, N of the training clips, D embedding width,
K principal components, C classes.
"""

from itertools import pairwise
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from sklearn.covariance import ledoit_wolf_shrinkage
from sklearn.decomposition import PCA
from torch import Tensor, nn

from mmotion.checks import check_at_least, check_range
from mmotion.registry import MODELS

# of an axis of a covariance, as a share of the largest; below it is rounding error
MIN_VARIANCE = 1e-12


class AnySizeBuffers(nn.Module):
    """A module with buffers whose size is known only after fitting, so a checkpoint may set it.

    `any_size` names these buffers. They take the size of what is loaded by `mmotion.checkpoint`,
    by torch and by mmengine's Runner when it resumes.
    """

    any_size: tuple[str, ...] = ()

    def fit_weights(self, state_dict: dict[str, Tensor], prefix: str = '') -> dict[str, Tensor]:
        """Give the module's buffers the sizes that they have in a state dict.

        Args:
            state_dict: Not changed.
            prefix: What the names of the module's weights start with in it.

        Returns:
            The same state dict.
        """
        for name in self.any_size:
            value = state_dict.get(f'{prefix}{name}')
            if value is not None:
                setattr(self, name, getattr(self, name).new_zeros(value.shape))
        return state_dict

    def _load_from_state_dict(
        self, state_dict: dict[str, Tensor], prefix: str, *args: Any, **kwargs: Any
    ) -> None:
        """Resize the buffers whatever way weights are loaded."""
        super()._load_from_state_dict(self.fit_weights(state_dict, prefix), prefix, *args, **kwargs)


@MODELS.register_module()
class EmbeddingAutoencoder(nn.Module):
    """Squeezes an embedding through few numbers; what it has not seen comes back wrong.

    Batch norm on the input, then linear layers down to the latent vector and up again, with ReLU
    and dropout between those of each half. What comes back is compared with the embedding as it
    was before the batch norm.

    Args:
        dims: Widths from the embedding (D, first) to the latent vector (last).
        dropout: Share of hidden numbers, in [0, 1), that are set to zero in training.

    Raises:
        ValueError: If there are fewer than two widths, or a number is out of its range.

    Example:
        >>> EmbeddingAutoencoder(dims=(512, 256, 128)).error(torch.randn(4, 512)).shape
        torch.Size([4])
    """

    def __init__(self, *, dims: tuple[int, ...] = (512, 256, 128), dropout: float = 0.1) -> None:
        super().__init__()
        if len(dims) < 2 or min(dims) < 1:
            raise ValueError(
                'dims must be the width of the embedding, of hidden layers if any, and of the '
                f'latent vector, each at least 1, got dims={tuple(dims)}'
            )
        check_range('dropout', dropout, 0, 1, ends='[)')
        self.dim = dims[0]
        self.norm = nn.BatchNorm1d(dims[0])
        self.encoder = _make_layers(dims, dropout)
        self.decoder = _make_layers(dims[::-1], dropout)

    def forward(self, embeddings: Tensor) -> Tensor:
        """Embeddings (B, D) to their reconstructions (B, D)."""
        if embeddings.ndim != 2 or embeddings.shape[1] != self.dim:
            raise ValueError(
                f'embeddings must have shape (B, {self.dim}), got {tuple(embeddings.shape)}; '
                'set the first number of dims to the width that the backbone gives'
            )
        return self.decoder(self.encoder(self._normalize(embeddings)))

    def error(self, embeddings: Tensor, target: Tensor | None = None) -> Tensor:
        """Squared error of the reconstruction, summed over the embedding.

        Args:
            embeddings: (B, D).
            target: What should come back (B, D); by default the embeddings.

        Returns:
            (B,), at least 0.
        """
        wanted = embeddings if target is None else target
        return (self(embeddings).float() - wanted.float()).square().sum(1)

    def _normalize(self, embeddings: Tensor) -> Tensor:
        if self.training and len(embeddings) == 1:
            # the last batch of an epoch may be one clip, which has no variance
            norm = self.norm
            mean, var = norm.running_mean, norm.running_var
            return F.batch_norm(embeddings, mean, var, norm.weight, norm.bias, eps=norm.eps)
        return self.norm(embeddings)


@MODELS.register_module()
class PCAReconstruction(AnySizeBuffers):
    """Squared distance to the plane in which the training embeddings vary most.

    The best that a linear autoencoder can do.

    Args:
        share: Keep as many components as explain this share of the variance, in (0, 1).
        num_components: Keep as many; give one of the two.

    Raises:
        ValueError: If not exactly one of the two is given, or it is out of its range.
    """

    any_size = ('mean', 'components')
    mean: Tensor
    components: Tensor

    def __init__(self, *, share: float | None = None, num_components: int | None = None) -> None:
        super().__init__()
        if (share is None) == (num_components is None):
            raise ValueError(
                f'one of share and num_components must be given, got {share=} and {num_components=}'
            )
        if share is not None:
            check_range('share', share, 0, 1, ends='()')
        if num_components is not None:
            check_at_least('num_components', num_components, 1)
        self.wanted = share if num_components is None else num_components
        self.register_buffer('mean', torch.zeros(0))
        self.register_buffer('components', torch.zeros(0, 0))

    def fit(self, embeddings: Tensor, labels: Tensor) -> None:
        """Find mean (D,) and components (K, D) of embeddings (N, D); labels do not matter.

        Raises:
            ValueError: If there are fewer embeddings or dimensions than components.
        """
        data, _ = _read_training_data(embeddings, labels)
        if self.wanted > min(data.shape):
            raise ValueError(
                'num_components must be at most the number of clips and the embedding width, got '
                f'num_components={self.wanted} for {len(data)} embeddings of {data.shape[1]}'
            )
        pca: Any = PCA(self.wanted, svd_solver='full').fit(data)
        self.mean = _like(self.mean, pca.mean_)
        self.components = _like(self.components, pca.components_)

    def error(self, embeddings: Tensor) -> Tensor:
        """Squared distances (B,) of embeddings (B, D) from their projections."""
        _check_fitted(self, self.mean, embeddings)
        centered = embeddings.float() - self.mean
        return (centered - centered @ self.components.T @ self.components).square().sum(1)


@MODELS.register_module()
class NearestNeighbors(AnySizeBuffers):
    """Mean distance to the nearest training embeddings, all of which it keeps.

    A training clip is its own nearest neighbour, so the errors of these clips say nothing.

    Paper: Bergman et al., Deep Nearest Neighbor Anomaly Detection, 2020, arXiv 2002.10445, section
        3; 2 neighbours as in its experiments.

    Args:
        k: Number of neighbours.

    Raises:
        ValueError: If `k` is below 1.
    """

    any_size = ('bank',)
    bank: Tensor

    def __init__(self, *, k: int = 2) -> None:
        super().__init__()
        check_at_least('k', k, 1)
        self.k = k
        self.register_buffer('bank', torch.zeros(0, 0))

    def fit(self, embeddings: Tensor, labels: Tensor) -> None:
        """Keep embeddings (N, D); labels do not matter.

        Raises:
            ValueError: If there are fewer than `k`.
        """
        data, _ = _read_training_data(embeddings, labels)
        if self.k > len(data):
            raise ValueError(f'k must be at most the number of clips, got k={self.k} > {len(data)}')
        self.bank = _like(self.bank, data)

    def error(self, embeddings: Tensor) -> Tensor:
        """Mean distances (B,) of embeddings (B, D)."""
        _check_fitted(self, self.bank, embeddings)
        return _distances(embeddings, self.bank).topk(self.k, largest=False).values.mean(1)


@MODELS.register_module()
class Mahalanobis(AnySizeBuffers):
    """Squared Mahalanobis distance to the mean of the nearest class.

    All classes share one covariance, that of the differences from their means. It is shrunk
    towards a multiple of the identity, as there are often fewer clips than dimensions.

    Paper: Lee et al., A Simple Unified Framework for Detecting Out-of-Distribution Samples and
        Adversarial Attacks, NeurIPS 2018, equations 1 and 2, arXiv 1807.03888. With one class and
        the shrinkage of Ledoit and Wolf it is that of Rippel et al., ICPR 2020, arXiv 2005.14140.

    Args:
        shrinkage: Weight of the identity, in (0, 1]; by default the one of Ledoit and Wolf, A
            well-conditioned estimator for large-dimensional covariance matrices, 2004.

    Raises:
        ValueError: If `shrinkage` is out of its range.
    """

    any_size = ('whitening', 'centroids')
    whitening: Tensor
    centroids: Tensor

    def __init__(self, *, shrinkage: float | None = None) -> None:
        super().__init__()
        if shrinkage is not None:
            check_range('shrinkage', shrinkage, 0, 1, ends='(]')
        self.shrinkage = shrinkage
        self.register_buffer('whitening', torch.zeros(0, 0))
        self.register_buffer('centroids', torch.zeros(0, 0))

    def fit(self, embeddings: Tensor, labels: Tensor) -> None:
        """Find what whitens embeddings (N, D), and class means (C, D) after that.

        Args:
            embeddings: Of the training clips (N, D).
            labels: Their classes (N,), any whole numbers.

        Raises:
            ValueError: If the embeddings of a class do not vary.
        """
        data, classes = _read_training_data(embeddings, labels)
        means = _class_means(data, classes)
        differences = data - means[classes]
        if not differences.any():
            raise ValueError(
                f'embeddings of a class must differ, got {len(data)} clips in {len(means)} classes '
                'without any difference; add clips, or check the backbone'
            )
        shrinkage = self.shrinkage
        if shrinkage is None:
            shrinkage = ledoit_wolf_shrinkage(differences, assume_centered=True)
        # fewer clips than dimensions vary along few axes only, and alike along all others
        _, lengths, axes = np.linalg.svd(differences, full_matrices=False)
        elsewhere = shrinkage * np.square(differences).mean()
        variances = (1 - shrinkage) * lengths**2 / len(differences) + elsewhere
        scales = 1 / np.sqrt(np.maximum([*variances, elsewhere], MIN_VARIANCE * variances[0]))
        whitening = scales[-1] * np.eye(axes.shape[1]) + axes.T * (scales[:-1] - scales[-1]) @ axes
        self.whitening = _like(self.whitening, whitening)
        self.centroids = _like(self.centroids, means @ whitening)

    def error(self, embeddings: Tensor) -> Tensor:
        """Squared distances (B,) of embeddings (B, D)."""
        _check_fitted(self, self.whitening, embeddings)
        whitened = embeddings.float() @ self.whitening
        return _distances(whitened, self.centroids).amin(1).square()


@MODELS.register_module()
class ClassCentroids(AnySizeBuffers):
    """Distance to the mean embedding of the nearest class."""

    any_size = ('centroids',)
    centroids: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer('centroids', torch.zeros(0, 0))

    def fit(self, embeddings: Tensor, labels: Tensor) -> None:
        """Find the means (C, D) of embeddings (N, D) with labels (N,), any whole numbers."""
        data, classes = _read_training_data(embeddings, labels)
        self.centroids = _like(self.centroids, _class_means(data, classes))

    def error(self, embeddings: Tensor) -> Tensor:
        """Distances (B,) of embeddings (B, D)."""
        _check_fitted(self, self.centroids, embeddings)
        return _distances(embeddings, self.centroids).amin(1)


def _make_layers(dims: tuple[int, ...], dropout: float) -> nn.Sequential:
    """Linear layers with ReLU and dropout between them."""
    layers: list[nn.Module] = []
    for width_in, width_out in pairwise(dims):
        layers += [nn.Linear(width_in, width_out), nn.ReLU(), nn.Dropout(dropout)]
    return nn.Sequential(*layers[:-2])


def _read_training_data(
    embeddings: Tensor, labels: Tensor
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Check what a scorer is fitted to, and number the classes from 0.

    Returns:
        Embeddings (N, D), and classes (N,) from 0 to C - 1.

    Raises:
        ValueError: If the shapes are wrong, or a number is not finite.
    """
    if embeddings.ndim != 2 or len(embeddings) < 2 or labels.shape != embeddings.shape[:1]:
        raise ValueError(
            'embeddings must have shape (N, D) and labels (N,), with N at least 2, got '
            f'{tuple(embeddings.shape)} and {tuple(labels.shape)}'
        )
    data = embeddings.detach().double().cpu().numpy()
    broken = int((~np.isfinite(data)).any(1).sum())
    if broken:
        raise ValueError(
            f'embeddings must be finite, got {broken} of {len(data)} that are not; leave these '
            'clips out'
        )
    if not (data != data[0]).any():
        raise ValueError(f'embeddings must differ, got {len(data)} equal ones; check the backbone')
    return data, np.unique(labels.cpu().numpy(), return_inverse=True)[1]


def _class_means(data: NDArray[np.float64], classes: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.stack([data[classes == i].mean(0) for i in range(classes.max() + 1)])


def _like(buffer: Tensor, values: NDArray[np.float64]) -> Tensor:
    """Make a tensor with the type and device of a buffer."""
    # row by row in memory, as after loading: sums in another order differ in their last digits
    return torch.from_numpy(np.ascontiguousarray(values)).to(buffer)


def _check_fitted(scorer: nn.Module, fitted: Tensor, embeddings: Tensor) -> None:
    if not fitted.numel():
        raise ValueError(
            f'{type(scorer).__name__} must be fitted before it gives errors, got one that is not; '
            "train it with train_cfg = dict(type='FitLoop'), or load a checkpoint"
        )
    width = fitted.shape[-1]
    if embeddings.ndim != 2 or embeddings.shape[1] != width:
        raise ValueError(
            f'embeddings must have shape (B, {width}), as those that {type(scorer).__name__} was '
            f'fitted to, got {tuple(embeddings.shape)}'
        )


def _distances(embeddings: Tensor, points: Tensor) -> Tensor:
    """Distances (B, P) between (B, D) and (P, D), exact also where they are small."""
    if torch.compiler.is_compiling():
        # a compiler fuses it, and other runtimes have no distances
        return (embeddings.float()[:, None] - points).square().sum(2).sqrt()
    return torch.cdist(embeddings.float(), points, compute_mode='donot_use_mm_for_euclid_dist')
