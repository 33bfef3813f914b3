"""Other people's networks: what they take, what they refuse, and the weights that they load."""

import pytest
import torch

from mmotion.checkpoint import CheckpointError
from projects.timesformer.video_backbones import HEADS, TorchvisionBackbone, TransformersBackbone

LAYERS = dict(hidden_size=24, num_hidden_layers=2, num_attention_heads=2)
MODELS = {
    'videomae': dict(image_size=32, patch_size=16, num_frames=4, intermediate_size=48),
    'vjepa2': dict(crop_size=32, patch_size=16, frames_per_clip=4, mlp_ratio=2),
    'vivit': dict(image_size=32, num_frames=4, tubelet_size=[2, 16, 16], intermediate_size=48),
    'timesformer': dict(image_size=32, patch_size=16, num_frames=4, intermediate_size=48),
}


def options(kind):
    return dict(model_type=kind, **LAYERS, **MODELS[kind])


def clips(frames=4, size=32):
    torch.manual_seed(0)
    return torch.randint(256, (2, 3, frames, size, size), dtype=torch.uint8)


@pytest.fixture
def transformers():
    return pytest.importorskip('transformers')


def save_classifier(transformers, kind, folder):
    own = dict(options(kind))
    config = transformers.AutoConfig.for_model(own.pop('model_type'), **own)
    model = transformers.AutoModelForVideoClassification.from_config(config).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    model.save_pretrained(folder)
    processor = '{"image_mean": [0.5, 0.4, 0.3], "image_std": [0.2, 0.3, 0.4]}'
    (folder / 'preprocessor_config.json').write_text(processor)
    return model


@pytest.mark.parametrize('kind', MODELS)
def test_an_embedding_of_each_architecture(transformers, kind):
    backbone = TransformersBackbone(config=options(kind), num_frames=4, image_size=32).eval()
    embeddings = backbone(clips())
    assert embeddings.shape == (2, backbone.embed_dim)
    embeddings.sum().backward()
    assert not [name for name, p in backbone.named_parameters() if p.grad is None]


@pytest.mark.parametrize('kind', ['videomae', 'timesformer'])
def test_a_saved_classifier_gives_its_own_logits(transformers, tmp_path, kind):
    model = save_classifier(transformers, kind, tmp_path)
    backbone = TransformersBackbone(source=str(tmp_path)).eval()
    backbone.init_weights()
    mean, std = torch.tensor([0.5, 0.4, 0.3]), torch.tensor([0.2, 0.3, 0.4])
    frames = (clips() / 255 - mean.view(3, 1, 1, 1)) / std.view(3, 1, 1, 1)
    with torch.no_grad():
        expected = model(pixel_values=frames.transpose(1, 2)).logits
        found = model.classifier(backbone(clips()))
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


def test_a_name_on_the_hub_loads_as_a_folder_does(transformers, tmp_path, hub):
    folder = tmp_path / 'saved'
    save_classifier(transformers, 'vivit', folder)
    for file in folder.iterdir():
        hub.files[f'some/vivit/{file.name}'] = file.read_bytes()
    outputs = []
    for source in (str(folder), 'some/vivit'):
        backbone = TransformersBackbone(source=source).eval()
        backbone.init_weights()
        outputs.append(backbone(clips()))
    assert torch.equal(*outputs)


def test_lora_trains_its_matrices_alone_and_loads_the_same_file(transformers, tmp_path):
    pytest.importorskip('peft')
    save_classifier(transformers, 'videomae', tmp_path)
    plain = TransformersBackbone(source=str(tmp_path)).eval()
    lora = TransformersBackbone(source=str(tmp_path), lora=dict(r=2)).eval()
    for backbone in (plain, lora):
        backbone.init_weights()
    torch.testing.assert_close(lora(clips()), plain(clips()))
    trained = [n for n, p in lora.body.named_parameters() if p.requires_grad]
    assert trained and all('lora_' in name for name in trained)


def test_a_folder_without_a_model_is_refused(transformers, tmp_path):
    with pytest.raises(CheckpointError, match=r'source must hold config\.json'):
        TransformersBackbone(source=str(tmp_path))


def test_no_model_is_refused():
    with pytest.raises(ValueError, match='source or config must be given'):
        TransformersBackbone()


@pytest.mark.parametrize('name', ['r3d_18', 's3d', 'mvit_v2_s', 'swin3d_t'])
def test_a_network_of_torchvision_without_its_head(name):
    backbone = TorchvisionBackbone(name=name).eval()
    with torch.no_grad():
        found = backbone(clips(16, backbone.image_size)[:1])
    assert found.shape[0] == 1 and found.ndim == 2
    assert HEADS[name] in dict(backbone.body.named_children())


def test_a_file_of_torchvision_loads(tmp_path):
    from torchvision.models import get_model

    model = get_model('mc3_18').eval()
    torch.save(model.state_dict(), tmp_path / 'mc3.pth')
    backbone = TorchvisionBackbone(name='mc3_18', num_frames=2, weights=str(tmp_path / 'mc3.pth'))
    backbone.init_weights()
    assert torch.equal(backbone.body.layer4[0].conv1[0].weight, model.layer4[0].conv1[0].weight)
    with pytest.raises(CheckpointError, match='weights of r3d_18'):
        TorchvisionBackbone(name='r3d_18', weights=str(tmp_path / 'mc3.pth')).init_weights()


def test_other_clips_are_refused():
    backbone = TorchvisionBackbone(name='mc3_18', num_frames=2).eval()
    with pytest.raises(ValueError, match=r'clips must be \(B, 3, 2, 112, 112\)'):
        backbone(clips(4, 112))
    with pytest.raises(ValueError, match='mean=None and std=None'):
        backbone(clips(2, 112) / 255)
    with pytest.raises(ValueError, match='image_size must be 112'):
        TorchvisionBackbone(name='mc3_18', image_size=224)
    with pytest.raises(ValueError, match='num_frames must be 16'):
        TorchvisionBackbone(name='mvit_v2_s', num_frames=8)
