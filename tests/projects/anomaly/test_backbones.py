"""The backbones: numbers of the reference, options of SlowFast, and which parameters they have.

`data/golden.npz` holds embeddings by torchvision's `r2plus1d_18` and pytorchvideo's `slowfast_r50`
(0.1.5) for weights made from their names and clips made from a seed.
"""

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from mmaction.models.backbones import ResNet3dSlowFast
from torch import Tensor, nn

from mmotion.checkpoint import save_checkpoint_file
from mmotion.checkpoint.files import CheckpointError
from projects.anomaly import backbones
from projects.anomaly.backbones import (
    FrameFeatures,
    MeanPixels,
    MotionPlaces,
    R2Plus1D,
    SlowFast,
    pool_maps,
)
from projects.anomaly.convert import convert
from projects.anomaly.models import AnomalyDetector
from projects.anomaly.transforms import PackPathways
from projects.timesformer.models import TimeSformer

from .reference_weights import draw_input, pytorchvideo_name, reference_weight

KEPT = np.load(Path(__file__).with_name('data') / 'golden.npz')
# ten times the references' own float32 errors, as the golden files ask
TOLERANCE = {'r2plus1d18': 1.2e-6, 'slowfast_r50': 5.9e-6}
SCORER = dict(type='ClassCentroids')


@pytest.fixture(scope='module')
def slowfast() -> SlowFast:
    """With weights of pytorchvideo's model, drawn from their names."""
    with torch.device('meta'):
        model = SlowFast()
    shapes = {pytorchvideo_name(k): tuple(v.shape) for k, v in model.state_dict().items()}
    return load(model, {name: reference_weight(name, shape) for name, shape in shapes.items()})


def load(model: Any, state: dict[str, Tensor]) -> Any:
    """Give converted weights to a backbone that has none yet."""
    state = {name.removeprefix('backbone.'): value for name, value in convert(state).items()}
    model.load_state_dict(state, assign=True)
    return model.eval()


def with_options(model: SlowFast, **options: Any) -> SlowFast:
    """The same weights, other options."""
    with torch.device('meta'):
        other = SlowFast(**options)
    return load(other, model.state_dict())


def packed(clips: Tensor, frame_choice: str) -> Tensor:
    """Clips (B, V, 3, T, H, W) through the transform."""
    transform = PackPathways(frame_choice=frame_choice)
    results: list[Any] = [transform({'imgs': clip.numpy()}) for clip in clips]
    return torch.from_numpy(np.stack([result['imgs'] for result in results]))


def embed(model: nn.Module, clips: Tensor) -> Tensor:
    """Through the detector, as everything else does."""
    detector = AnomalyDetector(backbone=dict(type='torch.nn.Identity'), scorer=SCORER)
    detector.backbone = model
    return detector.eval().embed(clips)


class TestGolden:
    def test_r2plus1d(self) -> None:
        with torch.device('meta'):
            model = R2Plus1D()
        shapes = {name: tuple(value.shape) for name, value in model.state_dict().items()}
        load(model, {name: reference_weight(name, shape) for name, shape in shapes.items()})
        got = embed(model, draw_input(500, 1, 1, 3, 8, 56, 56))
        wanted = torch.from_numpy(KEPT['r2plus1d18'])
        torch.testing.assert_close(got, wanted, rtol=0, atol=TOLERANCE['r2plus1d18'])

    def test_slowfast_in_both_orders(self, slowfast: SlowFast) -> None:
        clips = packed(draw_input(520, 1, 1, 3, 32, 64, 64), 'stride')
        wanted = torch.from_numpy(KEPT['slowfast_r50'])
        options: dict[str, Any] = dict(rtol=0, atol=TOLERANCE['slowfast_r50'])
        torch.testing.assert_close(embed(slowfast, clips), wanted, **options)
        other = embed(with_options(slowfast, order='fast_slow'), clips)
        torch.testing.assert_close(other[:, 256:], wanted[:, :2048], **options)
        torch.testing.assert_close(other[:, :256], wanted[:, 2048:], **options)
        # the other choice of frames is another input
        spread = embed(slowfast, packed(draw_input(520, 1, 1, 3, 32, 64, 64), 'linspace'))
        assert (spread - wanted).abs().max() > 0.1

    def test_what_is_kept_here_is_what_the_references_gave(self, golden_root: Path) -> None:
        for name, file, key in (
            ('r2plus1d18', 'r2plus1d18_8x56_B', 'out.embedding'),
            ('slowfast_r50', 'slowfast_r50_32x64_B', 'out.embedding_slow_fast'),
        ):
            assert np.array_equal(KEPT[name], np.load(golden_root / f'{file}.npz')[key])


class TestSlowFast:
    def test_without_lateral_norm_it_is_that_of_mmaction2(self) -> None:
        torch.manual_seed(0)
        path = dict(type='resnet3d', depth=50, pretrained=None, conv1_stride_t=1, pool1_stride_t=1)
        # as in its slowfast_r50_8xb8-8x8x1-256e_kinetics400-rgb.py
        theirs = ResNet3dSlowFast(
            resample_rate=4,
            speed_ratio=4,
            slow_pathway=dict(
                path, lateral=True, fusion_kernel=7, conv1_kernel=(1, 7, 7), inflate=(0, 0, 1, 1)
            ),
            fast_pathway=dict(path, lateral=False, base_channels=8, conv1_kernel=(5, 7, 7)),
        ).eval()
        ours = SlowFast(lateral_norm=False, order='fast_slow', num_frames=8).eval()
        ours.load_state_dict(theirs.state_dict())
        clips = torch.randn(2, 3, 8, 64, 64)
        with torch.no_grad():
            slow, fast = theirs(clips)
            got = ours(packed(clips[:, None], 'stride')[:, 0])
        wanted = torch.cat([fast.mean((2, 3, 4)), slow.mean((2, 3, 4))], dim=1)
        torch.testing.assert_close(got, wanted)

    def test_frames_that_are_not_packed_are_refused(self, slowfast: SlowFast) -> None:
        with pytest.raises(ValueError, match=r'32 fast frames and 8 slow .* have PackPathways'):
            slowfast(torch.zeros(1, 3, 32, 64, 64))

    @pytest.mark.parametrize(
        ('options', 'message'),
        [
            pytest.param(
                dict(order='slow'), "one of slow_fast, fast_slow, got order='slow'", id='o'
            ),
            pytest.param(
                dict(pooling='max'), 'pooling must be one of global, windows', id='pooling'
            ),
            pytest.param(dict(num_frames=30), 'num_frames must be a multiple of 4', id='frames'),
        ],
    )
    def test_wrong_options_are_refused(self, options: dict[str, Any], message: str) -> None:
        with pytest.raises(ValueError, match=message):
            SlowFast(**options)


class TestPoolMaps:
    def test_windows_by_hand(self) -> None:
        maps = torch.randn(2, 3, 4, 8, 9)
        windows = [
            maps[:, :, :, y : y + 7, x : x + 7].mean((2, 3, 4))
            for y, x in itertools.product(range(2), range(3))
        ]
        torch.testing.assert_close(pool_maps(maps, 'windows'), torch.stack(windows).mean(0))
        assert not torch.allclose(pool_maps(maps, 'windows'), pool_maps(maps, 'global'))

    def test_one_window_is_the_mean(self) -> None:
        maps = torch.randn(2, 3, 4, 7, 7)
        torch.testing.assert_close(pool_maps(maps, 'windows'), pool_maps(maps, 'global'))

    def test_maps_that_are_too_small_are_refused(self) -> None:
        with pytest.raises(ValueError, match=r'at least 224 x 224 .* got maps of 2 x 7'):
            pool_maps(torch.zeros(1, 1, 4, 2, 7), 'windows')


class TestParameters:
    @pytest.mark.parametrize(
        ('make', 'num_tensors', 'num_last', 'where'),
        [
            pytest.param(R2Plus1D, 111, 12, 'layer4.1.', id='r2plus1d'),
            pytest.param(SlowFast, 330, 30, 'fast_path.layer4.', id='slowfast'),
            pytest.param(TimeSformer, 247, 22, ('blocks.11.', 'norm.'), id='timesformer'),
        ],
    )
    def test_there_is_one_more_than_published_and_the_last_are_whole_layers(
        self, make: type[nn.Module], num_tensors: int, num_last: int, where: str | tuple[str, ...]
    ) -> None:
        with torch.device('meta'):
            names = [name for name, _ in make().named_parameters()]
        assert len(names) == num_tensors
        assert [name.startswith(where) for name in names].count(True) == num_last
        assert all(name.startswith(where) for name in names[-num_last:])


class TestWeights:
    def test_names_of_torchvision_are_known(self, monkeypatch: pytest.MonkeyPatch) -> None:
        state = R2Plus1D().state_dict()
        read: list[str] = []
        monkeypatch.setattr(backbones, 'read_weights', lambda source: read.append(source) or state)
        model = R2Plus1D(weights='KINETICS400_V1')
        model.init_weights()
        assert read[0].startswith('https://')
        assert read[0].endswith('.pth')
        assert torch.equal(model.state_dict()['stem.0.weight'], state['stem.0.weight'])

    def test_a_file_is_read_when_training_starts(self, tmp_path: Path) -> None:
        torch.manual_seed(1)
        state = R2Plus1D().state_dict()
        path = str(tmp_path / 'r2plus1d.pth')
        save_checkpoint_file({**state, 'fc.weight': torch.zeros(400, 512)}, path)
        backbone = dict(type='R2Plus1D', weights=path)
        model = AnomalyDetector(backbone=backbone, scorer=SCORER)
        model.init_weights()
        for name, value in model.backbone.state_dict().items():
            assert torch.equal(value, state[name]), name

    @pytest.mark.parametrize('lateral_norm', [False, True])
    def test_the_other_family_is_refused(
        self, lateral_norm: bool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with torch.device('meta'):
            model, other = (
                SlowFast(lateral_norm=norm, weights='a')
                for norm in (lateral_norm, not lateral_norm)
            )
        monkeypatch.setattr(backbones, 'read_weights', lambda source: other.state_dict())
        message = f'lateral_norm must be {not lateral_norm} for the weights in a, got'
        with pytest.raises(CheckpointError, match=message):
            model.init_weights()

    def test_what_is_missing_is_said(self) -> None:
        with pytest.raises(CheckpointError, match=r'nowhere\.pth'):
            R2Plus1D(weights='nowhere.pth').init_weights()


def test_frame_features_are_mean_and_deviation_over_time() -> None:
    torch.manual_seed(0)
    backbone = FrameFeatures(name='resnet18').eval()
    clips = torch.randn(2, 3, 5, 32, 32)
    with torch.no_grad():
        found = backbone(clips)
        frames = torch.stack([backbone.network(clips[:, :, t]) for t in range(5)])
    mean = frames.sum(0) / 5
    deviation = ((frames - mean) ** 2).sum(0).div(5).sqrt()
    torch.testing.assert_close(found, torch.cat([mean, deviation], dim=1), rtol=1e-4, atol=1e-5)
    still = backbone(clips[:, :, :1].expand(-1, -1, 5, -1, -1))
    assert still.shape == (2, 1024) and still[:, 512:].abs().max() < 1e-5


def test_frame_features_start_from_released_weights(tmp_path: Path) -> None:
    torch.manual_seed(0)
    published = timm.create_model('resnet18', num_classes=5)
    file = tmp_path / 'net.pth'
    save_checkpoint_file({'state_dict': published.state_dict()}, file)
    backbone = FrameFeatures(name='resnet18', weights=str(file))
    before = backbone.network.conv1.weight.clone()
    assert not torch.equal(before, published.conv1.weight)
    backbone.init_weights()
    torch.testing.assert_close(backbone.network.conv1.weight, published.conv1.weight)
    with pytest.raises(CheckpointError, match='must hold the weights of this model'):
        FrameFeatures(
            name='mobilenetv3_small_050', weights=str(tmp_path / 'net.pth')
        ).init_weights()
    with pytest.raises(ValueError, match=r"model of timm, got name='resnet7'; similar: .*resnet"):
        FrameFeatures(name='resnet7')


def test_controls() -> None:
    # a square of 8 x 8 that is there in every other frame, on grey
    clips = torch.full((1, 3, 4, 64, 64), 0.5)
    clips[:, :, ::2, 8:16, 40:48] = 1.0
    looks = MeanPixels()(clips).reshape(3, 32, 32)
    expected = torch.full((3, 32, 32), 0.5)
    expected[:, 4:8, 20:24] = 0.75
    torch.testing.assert_close(looks, expected)
    moves = MotionPlaces()(clips).reshape(3, 8, 8)
    expected = torch.zeros(3, 8, 8)
    expected[:, 1, 5] = 0.25
    torch.testing.assert_close(moves, expected)


def test_video_backbones_take_names_of_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backbones, 'fetch_if_released', lambda name: f'/nowhere/{name}.pth')
    for backbone in (R2Plus1D(weights='r2plus1d_18_k400'), SlowFast(weights='slowfast_r50_k400')):
        with pytest.raises(CheckpointError, match=f'got /nowhere/{backbone.weights}.pth'):
            backbone.init_weights()
