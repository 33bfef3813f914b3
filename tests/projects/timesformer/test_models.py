"""The network: its arithmetic against a slow version, its options, its place in a recognizer."""

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from mmaction.structures import ActionDataSample
from torch import Tensor

from mmotion.checkpoint import save_checkpoint_file
from mmotion.checkpoint.files import CheckpointError
from mmotion.registry import MODELS
from projects.timesformer.attention import SCHEMES
from projects.timesformer.models import (
    TimeSformer,
    TimeSformerHead,
    resize_positions,
    resize_times,
)

from .conftest import all_patches, class_token_groups, neighbors

TINY: dict[str, Any] = dict(
    num_frames=2, image_size=32, patch_size=8, vit=dict(embed_dim=24, depth=2, num_heads=2)
)


def resized(**vit: Any) -> dict[str, Any]:
    """`TINY` with a transformer of another size."""
    return {**TINY, 'vit': {**TINY['vit'], **vit}}


def randomised(**options: Any) -> TimeSformer:
    """A network none of whose weights is zero."""
    model = TimeSformer(**options).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return model


def slow_class_token(model: TimeSformer, clip: Tensor) -> Tensor:
    """One clip (3, T, H, W) to its class token (D,) behind the last block, token by token."""
    p = model.patch_size
    size = (clip.shape[1], clip.shape[2] // p, clip.shape[3] // p)
    cls = model.cls_token + model.pos_embed[0]
    tokens = {}
    for t, r, c in all_patches(size):
        pixels = clip[:, t, r * p : (r + 1) * p, c * p : (c + 1) * p].flatten()
        position = model.pos_embed[1 + r * size[2] + c]
        time = 0 if model.time_embed is None else model.time_embed[t]
        tokens[t, r, c] = model.patch_embed(pixels) + position + time

    def attention(step: Any, query: Tensor, seen: list[Tensor]) -> Tensor:
        """What a step adds to a token (D,) that sees others: equations 1 to 8 of the paper."""
        q = step.qkv(step.norm(query)).view(3, step.num_heads, -1)[0]
        _, k, v = step.qkv(step.norm(torch.stack(seen))).view(len(seen), 3, *q.shape).unbind(1)
        heads = [(k[:, n] @ q[n] / q.shape[1] ** 0.5).softmax(0) @ v[:, n] for n in range(len(q))]
        return step.fc(step.proj(torch.cat(heads)))

    for block in model.blocks:
        for step in block.steps():
            old, old_cls = tokens, cls
            shared = [] if step.kind == 'time' else [old_cls]
            tokens = {
                patch: x
                + attention(
                    step, x, [*shared, *(old[p] for p in neighbors(step.kind, patch, size))]
                )
                for patch, x in old.items()
            }
            copies = [
                attention(step, old_cls, [old_cls, *(old[p] for p in group)])
                for group in class_token_groups(step.kind, size)
            ]
            if copies:
                cls = old_cls + torch.stack(copies).mean(0)
        mlp = block.mlp

        def mlp_of(x: Tensor, mlp: Any = mlp) -> Tensor:
            return x + mlp.fc2(F.gelu(mlp.fc1(mlp.norm(x))))

        tokens, cls = {patch: mlp_of(x) for patch, x in tokens.items()}, mlp_of(cls)
    return cls


@pytest.mark.parametrize('attention', SCHEMES)
def test_every_scheme_equals_a_slow_version(attention: str) -> None:
    model = randomised(attention=attention, **TINY).double()
    clip = torch.randn(3, 2, 32, 32, dtype=torch.float64)
    # attention in space alone: each frame by itself, then the mean
    parts = clip.split(1, dim=1) if attention == 'space_only' else [clip]
    cls = torch.stack([slow_class_token(model, part) for part in parts]).mean(0)
    torch.testing.assert_close(model(clip[None])[0], model.norm(cls))


@pytest.mark.parametrize('attention', SCHEMES)
def test_every_scheme_trains_and_keeps_clips_apart(attention: str) -> None:
    model = randomised(attention=attention, **TINY)
    clips = torch.randn(3, 3, 2, 32, 32)
    embeddings = model(clips)
    assert embeddings.shape == (3, 24)
    torch.testing.assert_close(embeddings[1:2], model(clips[1:2]))
    embeddings.square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


@pytest.mark.parametrize(
    ('attention', 'millions'),
    [
        pytest.param('space_only', 85.9, id='space'),
        pytest.param('joint_space_time', 85.9, id='joint'),
        pytest.param('divided_space_time', 121.4, id='divided'),
        pytest.param('sparse_local_global', 121.4, id='local-global'),
        pytest.param('axial', 156.8, id='axial'),
    ],
)
def test_parameters_are_as_many_as_in_table_1(attention: str, millions: float) -> None:
    with torch.device('meta'):
        model = TimeSformer(attention=attention)
    count = sum(parameter.numel() for parameter in model.parameters())
    assert count / 1e6 == pytest.approx(millions, rel=0.002)


@pytest.mark.parametrize('attention', SCHEMES)
def test_only_attention_in_time_sees_the_order_of_frames(attention: str) -> None:
    model = randomised(attention=attention, **{**TINY, 'num_frames': 4})
    clips = torch.randn(1, 3, 4, 32, 32)
    same = torch.allclose(model(clips), model(clips.flip(2)), atol=1e-5)
    assert same == (attention == 'space_only')


def test_added_steps_change_nothing_at_first() -> None:
    divided = TimeSformer(**TINY).eval()
    space = TimeSformer(attention='space_only', **resized(depth=1)).eval()
    one_block = TimeSformer(**resized(depth=1)).eval()
    # as they are after an image model's weights are loaded
    torch.nn.init.zeros_(one_block.time_embed)
    shared = {k: v for k, v in one_block.state_dict().items() if k in space.state_dict()}
    space.load_state_dict(shared)
    clips = torch.randn(2, 3, 2, 32, 32)
    assert all(block.added['time'].fc.weight.abs().sum() == 0 for block in divided.blocks)
    # with one block the mean over frames may come before or after the MLP: compare frame by frame
    still = clips[:, :, :1].expand_as(clips)
    torch.testing.assert_close(one_block(still), space(still))


@pytest.mark.parametrize('attention', SCHEMES)
def test_the_short_way_to_the_class_token_gives_the_same(attention: str) -> None:
    model = randomised(attention=attention, **TINY).double()
    clips = torch.randn(2, 3, 2, 32, 32, dtype=torch.float64)
    tokens = model.tokens(clips)
    if attention != 'space_only':
        torch.testing.assert_close(model(clips), tokens[0, :, 0])
    assert tokens.shape[1:] == (4 if attention == 'space_only' else 2, 17, 24)


def test_checkpointing_gives_the_same_gradients() -> None:
    model = randomised(**TINY).train()
    twin = copy.deepcopy(model)
    twin.checkpointing = True
    clips = torch.randn(2, 3, 2, 32, 32)
    for network in (model, twin):
        # the same residual branches are left out
        torch.manual_seed(0)
        network(clips).square().sum().backward()
    for parameter, other in zip(model.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(parameter.grad, other.grad)


@pytest.mark.parametrize(
    'attention',
    [
        'divided_space_time',
        pytest.param('axial', marks=pytest.mark.slow),
        pytest.param('sparse_local_global', marks=pytest.mark.slow),
    ],
)
def test_compiles_as_one_graph(attention: str) -> None:
    model = randomised(attention=attention, **resized(depth=1))
    compiled = torch.compile(model, backend='eager', fullgraph=True)
    clips = torch.randn(2, 3, 2, 32, 32)
    torch.testing.assert_close(compiled(clips), model(clips))


def test_a_block_is_compiled_once_for_all_and_once_for_the_last() -> None:
    graphs = []

    def count(graph: torch.fx.GraphModule, _: list) -> torch.fx.GraphModule:
        graphs.append(graph)
        return graph

    torch.compiler.reset()
    model = randomised(**resized(depth=5, drop_path=0.3)).train()
    twin = copy.deepcopy(model)
    model.compile(backend=count, fullgraph=True)
    clips = torch.randn(2, 3, 2, 32, 32)
    for _ in range(3):
        model(clips).sum().backward()
    assert len(graphs) == 2
    assert model.state_dict().keys() == twin.state_dict().keys()
    torch.testing.assert_close(model.eval()(clips), twin.eval()(clips))


@pytest.mark.parametrize('attention', SCHEMES)
def test_runs_under_autocast(attention: str) -> None:
    model = randomised(attention=attention, **TINY).train()
    clips = torch.randn(2, 3, 2, 32, 32)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        embeddings = model(clips)
    assert embeddings.dtype == torch.float32
    embeddings.sum().backward()
    with torch.no_grad():
        difference = (embeddings - model.eval()(clips)).abs().mean()
    assert difference < 0.5


def test_drop_path_grows_with_depth() -> None:
    model = TimeSformer(**resized(depth=3, drop_path=0.2))
    assert [block.mlp.drop_path.rate for block in model.blocks] == pytest.approx([0, 0.1, 0.2])


class TestResizing:
    def test_bicubic_reproduces_a_ramp_and_nearest_repeats(self) -> None:
        ramp = torch.arange(4.0)[:, None] + torch.zeros(4)
        positions = torch.cat([torch.full((1, 1), 9.0), ramp.reshape(16, 1)])
        smooth = resize_positions(positions, (8, 4), 'bicubic')
        assert smooth[0] == 9
        assert smooth[1:].view(8, 4)[3:5, 0].tolist() == pytest.approx([1.25, 1.75], abs=0.05)
        assert resize_positions(positions, (4, 4), 'bicubic').equal(positions)
        repeated = resize_positions(positions, (8, 4), 'nearest')
        assert repeated[1:].view(8, 4)[:, 0].tolist() == [0, 0, 1, 1, 2, 2, 3, 3]

    def test_bicubic_does_not_skip_positions_when_it_shrinks(self) -> None:
        peak = torch.zeros(17, 1)
        peak[1] = 1
        corner = resize_positions(peak, (1, 1), 'bicubic')[1].item()
        assert 0.01 < corner < 1 / 16

    def test_times_repeat(self) -> None:
        times = torch.arange(3.0)[:, None]
        assert resize_times(times, 6).flatten().tolist() == [0, 0, 1, 1, 2, 2]
        assert resize_times(times, 3) is times

    @pytest.mark.parametrize('resize', ['bicubic', 'nearest'])
    def test_loading_resizes_as_forward_does(self, resize: str) -> None:
        small = randomised(**TINY, resize=resize)
        large = TimeSformer(**{**TINY, 'num_frames': 6, 'image_size': 64}, resize=resize).eval()
        large.load_state_dict(small.state_dict())
        clips = torch.randn(1, 3, 6, 64, 64)
        assert large.pos_embed.shape == (65, 24)
        torch.testing.assert_close(large(clips), small(clips))

    def test_a_recognizer_loads_resized_weights_too(self) -> None:
        backbone = dict(type='TimeSformer', **TINY)
        small = MODELS.build(dict(type='Recognizer3D', backbone=backbone))
        large = MODELS.build(dict(type='Recognizer3D', backbone={**backbone, 'num_frames': 4}))
        large.load_state_dict(small.state_dict())

    def test_other_positions_than_a_square_are_refused(self) -> None:
        with pytest.raises(ValueError, match='square grid, got 8 tokens'):
            resize_positions(torch.zeros(8, 4), (4, 4), 'bicubic')


class TestRollout:
    @pytest.mark.parametrize('attention', SCHEMES)
    def test_shares_are_positive_and_at_most_1(self, attention: str) -> None:
        model = randomised(attention=attention, **TINY)
        with torch.inference_mode():
            shares = model.rollout(torch.randn(2, 3, 2, 32, 32))
        assert shares.shape == (2, 2, 4, 4)
        assert (shares > 0).all()
        assert (shares.sum((1, 2, 3)) < 1).all()

    def test_equals_the_product_of_the_attention_matrices(self) -> None:
        model = randomised(attention='joint_space_time', **TINY)
        clips = torch.randn(1, 3, 2, 32, 32)
        with torch.no_grad():
            x, rows = model.embed(clips)
            rollout = torch.eye(33)
            for block in model.blocks:
                tokens = torch.cat([x[0, 0, :1], x[:, 0, 1:].flatten(0, 1)])
                q, k, _ = block.attn.qkv(block.attn.norm(tokens)).view(33, 3, 2, 12).unbind(1)
                weights = (torch.einsum('inc,jnc->nij', q, k) / 12**0.5).softmax(-1).mean(0)
                rollout = (weights + torch.eye(33)) / 2 @ rollout
                x = block(x, rows)
        expected = rollout[0, 1:].view(1, 2, 4, 4)
        torch.testing.assert_close(model.rollout(clips), expected)


class TestInit:
    @staticmethod
    def image_weights() -> dict[str, Tensor]:
        """Those of a ViT of timm for images of 64 pixels."""
        source = timm_vit()
        return source.state_dict()

    @pytest.mark.parametrize('attention', SCHEMES)
    def test_image_weights_from_a_file(self, attention: str, tmp_path: Path) -> None:
        weights = self.image_weights()
        save_checkpoint_file({'state_dict': weights}, tmp_path / 'vit.pth')
        model = TimeSformer(attention=attention, **TINY, init=str(tmp_path / 'vit.pth'))
        model.init_weights()
        qkv = weights['blocks.1.attn.qkv.weight']
        for step in model.blocks[1].steps():
            assert torch.equal(step.qkv.weight, qkv)
        for step in model.blocks[1].added.values():
            assert torch.equal(step.norm.weight, weights['blocks.1.norm1.weight'])
            assert not step.fc.weight.any()
        # 8 x 8 positions became 4 x 4
        assert model.pos_embed.shape == (17, 24)
        if model.time_embed is not None:
            assert not model.time_embed.any()

    @pytest.mark.parametrize(('dim', 'std'), [(768, 0.0255), (96, 0.0722)])
    def test_random_weights_suit_the_width(self, dim: int, std: float) -> None:
        model = TimeSformer(image_size=32, vit=dict(embed_dim=dim, depth=1, num_heads=2))
        block = model.blocks[0]
        # Xavier: sqrt(2 / (D + 3 D))
        for step in block.steps():
            assert step.qkv.weight.std().item() == pytest.approx(std, rel=0.05)
            assert not step.qkv.bias.any()
        assert not block.added['time'].fc.weight.any()
        # embeddings are not lost beside the patches that they are added to
        patches = model.patch_embed(torch.randn(1000, 768)).std().item()
        for embedding in (model.pos_embed, model.time_embed):
            assert 0.3 < embedding.std().item() / patches < 3

    def test_image_weights_by_name(self, monkeypatch: pytest.MonkeyPatch) -> None:
        vit = timm_vit()
        monkeypatch.setattr('timm.create_model', lambda name, pretrained: vit)
        backbone = dict(type='TimeSformer', **TINY, init='vit_base_patch16_224')
        recognizer = MODELS.build(dict(type='Recognizer3D', backbone=backbone))
        assert not torch.equal(recognizer.backbone.cls_token, vit.cls_token.flatten())
        # mmengine calls it when training starts
        recognizer.init_weights()
        assert torch.equal(recognizer.backbone.cls_token, vit.cls_token.flatten())

    def test_own_weights_of_another_scheme(self, tmp_path: Path) -> None:
        joint = randomised(attention='joint_space_time', **TINY)
        state = {f'backbone.{name}': value for name, value in joint.state_dict().items()}
        save_checkpoint_file({'state_dict': state}, tmp_path / 'joint.pth')
        model = TimeSformer(**TINY, init=str(tmp_path / 'joint.pth'))
        model.init_weights()
        assert torch.equal(model.time_embed, joint.time_embed)
        assert torch.equal(
            model.blocks[0].added['time'].qkv.weight, joint.blocks[0].attn.qkv.weight
        )

    def test_weights_that_do_not_fit_are_refused(self, tmp_path: Path) -> None:
        save_checkpoint_file({'state_dict': self.image_weights()}, tmp_path / 'vit.pth')
        model = TimeSformer(**resized(depth=3), init=str(tmp_path / 'vit.pth'))
        with pytest.raises(CheckpointError, match=r'missing: blocks\.2\.'):
            model.init_weights()

    def test_weights_that_cannot_be_fetched_are_refused(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def create_model(name: str, pretrained: bool) -> None:
            raise OSError('no network')

        monkeypatch.setattr('timm.create_model', create_model)
        model = TimeSformer(**TINY, init='vit_base_patch16_224')
        with pytest.raises(CheckpointError, match=r'timm can fetch.*no network.*give the file'):
            model.init_weights()


def timm_vit() -> Any:
    from timm.models.vision_transformer import VisionTransformer

    return VisionTransformer(
        img_size=64, patch_size=8, embed_dim=24, depth=2, num_heads=2, num_classes=7
    )


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        pytest.param({'attention': 'time_only'}, r'attention must be one of .*axial', id='scheme'),
        pytest.param({'resize': 'area'}, 'resize must be one of bicubic, nearest', id='resize'),
        pytest.param({'vit': {'embed_dim': 0}}, 'embed_dim must be at least 1', id='no-width'),
        pytest.param(
            {'vit': {'embed_dim': '24'}}, "embed_dim must be a number, got .*'24'", id='text'
        ),
        pytest.param({'vit': {'embed_dim': 25}}, 'of num_heads, got embed_dim=25', id='width'),
        pytest.param({'num_frames': 0}, 'num_frames must be at least 1', id='frames'),
        pytest.param({'vit': {'drop_path': 1.0}}, r'drop_path must lie in \[0, 1\)', id='drop'),
        pytest.param({'image_size': 36}, 'multiples of patch_size=8, got 36x36', id='size'),
        pytest.param(
            {'attention': 'sparse_local_global', 'num_frames': 3},
            'must be even for sparse_local_global, got 3 frames of 4x4',
            id='odd-frames',
        ),
    ],
)
def test_wrong_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TimeSformer(**{**TINY, **options})


@pytest.mark.parametrize(
    ('shape', 'message'),
    [
        pytest.param((3, 2, 32, 32), r'shape \(B, 3, T, H, W\), got \(3, 2, 32, 32\)', id='axes'),
        pytest.param((1, 1, 2, 32, 32), r'shape \(B, 3, T, H, W\)', id='grey'),
        pytest.param((1, 3, 2, 32, 30), 'multiples of patch_size=8, got 32x30', id='width'),
    ],
)
def test_wrong_clips_are_refused(shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TimeSformer(**TINY)(torch.zeros(shape))


class TestRecognizer:
    @staticmethod
    def build(**head: Any) -> Any:
        return MODELS.build(
            dict(
                type='Recognizer3D',
                backbone=dict(type='TimeSformer', **TINY),
                cls_head=dict(type='TimeSformerHead', num_classes=4, in_channels=24, **head),
                data_preprocessor=dict(
                    type='ActionDataPreprocessor',
                    mean=[114.75] * 3,
                    std=[57.375] * 3,
                    format_shape='NCTHW',
                ),
            )
        )

    @staticmethod
    def batch(num_views: int) -> dict[str, Any]:
        return dict(
            inputs=[torch.randint(0, 256, (num_views, 3, 2, 32, 32)) for _ in range(3)],
            data_samples=[ActionDataSample().set_gt_label(i) for i in range(3)],
        )

    def test_trains(self) -> None:
        recognizer = self.build(label_smoothing=0.1)
        data = recognizer.data_preprocessor(self.batch(1), training=True)
        losses = recognizer(**data, mode='loss')
        logits = recognizer.cls_head(recognizer.backbone(data['inputs'][:, 0]))
        # drop path may differ in training: the rate of the first of two blocks is 0
        assert losses['loss_cls'].ndim == 0
        assert logits.shape == (3, 4)
        losses['loss_cls'].backward()

    def test_predicts_the_mean_over_views_after_the_softmax(self) -> None:
        recognizer = self.build().eval()
        data = recognizer.data_preprocessor(self.batch(5))
        with torch.no_grad():
            samples = recognizer(**data, mode='predict')
            views = recognizer.cls_head(recognizer.backbone(data['inputs'][1]))
        torch.testing.assert_close(samples[1].pred_score, views.softmax(1).mean(0))
        assert samples[1].pred_score.sum() == pytest.approx(1)
        assert samples[1].pred_label.tolist() == [int(samples[1].pred_score.argmax())]


class TestHead:
    def test_smoothed_loss_by_hand(self) -> None:
        head = TimeSformerHead(num_classes=4, in_channels=3, label_smoothing=0.2)
        embeddings = torch.randn(2, 3)
        samples = [ActionDataSample().set_gt_label(i) for i in (1, 3)]
        losses = head.loss(embeddings, samples)
        target = F.one_hot(torch.tensor([1, 3]), 4) * 0.8 + 0.05
        expected = -(target * head(embeddings).log_softmax(1)).sum(1).mean()
        torch.testing.assert_close(losses['loss_cls'], expected)
        assert 0 <= losses['top1_acc'] <= 1

    def test_mixed_labels(self) -> None:
        head = TimeSformerHead(num_classes=3, in_channels=3)
        embeddings = torch.randn(1, 3)
        samples = [ActionDataSample().set_gt_label(torch.tensor([0.3, 0.7, 0.0]))]
        losses = head.loss(embeddings, samples)
        log = head(embeddings).log_softmax(1)[0]
        torch.testing.assert_close(losses['loss_cls'], -0.3 * log[0] - 0.7 * log[1])
        assert 'top1_acc' not in losses

    def test_wrong_smoothing_is_refused(self) -> None:
        with pytest.raises(ValueError, match=r'label_smoothing must lie in \[0, 1\)'):
            TimeSformerHead(num_classes=3, label_smoothing=1.0)
