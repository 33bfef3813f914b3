"""Repositories of the hub in their real layout: fine-tuned, probed, then used without the hub."""

import json
import shutil

import pytest
import torch

from mmotion.checkpoint import CheckpointError, load_checkpoint_file
from mmotion.cli import main
from projects.timesformer.video_backbones import TransformersBackbone
from tests.repetition_files import write_video

LAYERS = dict(hidden_size=24, num_hidden_layers=2, num_attention_heads=2)
CLASSES = {0: 'abseiling', 1: 'air drumming'}
# 2 steps of 4 clips
SMALL = (
    *('optim_wrapper.type=OptimWrapper', 'train_cfg.max_epochs=1', 'train_cfg.val_interval=9'),
    *('train_dataloader.batch_size=4', 'train_dataloader.sampler.epoch_size=8'),
    *('train_dataloader.num_workers=0', 'test_dataloader.num_workers=0'),
    *('test_dataloader.batch_size=4', 'test_dataloader.dataset.num_videos=8'),
    *('model.backbone.config=None', 'model.cls_head.in_channels=24'),
)
transformers = pytest.importorskip('transformers')


def save_videomae(folder, kind):
    """As MCG-NJU/videomae-base (`VideoMAEForPreTraining`) and -finetuned-kinetics."""
    config = transformers.VideoMAEConfig(
        image_size=64, num_frames=8, intermediate_size=48, id2label=CLASSES, **LAYERS,
        decoder_hidden_size=24, decoder_num_hidden_layers=1, decoder_num_attention_heads=2,
    )  # fmt: skip
    model = getattr(transformers, kind)(config).eval()
    model.save_pretrained(folder)
    processor = transformers.VideoMAEImageProcessor(
        size={'shortest_edge': 64},
        crop_size={'height': 64, 'width': 64},
        image_mean=[0.485, 0.456, 0.406],
        image_std=[0.229, 0.224, 0.225],
    )
    processor.save_pretrained(folder)
    return model, processor


def save_vjepa2(folder, kind='VJEPA2Model'):
    """As facebook/vjepa2-vitl-fpc64-256 and, for classes, -vitl-fpc16-256-ssv2."""
    config = transformers.VJEPA2Config(
        crop_size=64, frames_per_clip=8, mlp_ratio=2, id2label=CLASSES, **LAYERS,
        pred_hidden_size=24, pred_num_attention_heads=2, pred_num_hidden_layers=1,
        num_pooler_layers=1,
    )  # fmt: skip
    model = getattr(transformers, kind)(config).eval()
    model.save_pretrained(folder)
    size = dict(size={'shortest_edge': 64}, crop_size={'height': 64, 'width': 64})
    processor = transformers.VJEPA2VideoProcessor(**size)
    processor.save_pretrained(folder)
    return model, processor


@pytest.fixture
def clip():
    torch.manual_seed(0)
    return torch.randint(256, (1, 3, 8, 64, 64), dtype=torch.uint8)


@pytest.fixture
def model_hub(hub, tmp_path):
    """A hub with both repositories."""
    for repo, save in (
        ('MCG-NJU/videomae-base', lambda folder: save_videomae(folder, 'VideoMAEForPreTraining')),
        ('facebook/vjepa2-vitl-fpc64-256', save_vjepa2),
    ):
        folder = tmp_path / 'saved' / repo
        save(folder)
        for file in folder.iterdir():
            hub.files[f'{repo}/{file.name}'] = file.read_bytes()
    return hub


def test_a_fine_tuned_videomae_says_what_its_own_processor_and_classifier_say(tmp_path, clip):
    model, processor = save_videomae(tmp_path, 'VideoMAEForVideoClassification')
    torch.nn.init.normal_(model.fc_norm.weight)
    model.save_pretrained(tmp_path)
    assert {'config.json', 'preprocessor_config.json'} <= {f.name for f in tmp_path.iterdir()}
    backbone = TransformersBackbone(source=str(tmp_path), num_frames=8, image_size=64).eval()
    backbone.init_weights()
    with torch.no_grad():
        expected = model(**processor(list(clip[0].transpose(0, 1)), return_tensors='pt')).logits
        torch.testing.assert_close(model.classifier(backbone(clip)), expected)


@pytest.mark.parametrize('kind', ['VJEPA2Model', 'VJEPA2ForVideoClassification'])
def test_a_vjepa2_has_the_tokens_that_its_own_processor_leads_to(tmp_path, clip, kind):
    model, processor = save_vjepa2(tmp_path, kind)
    assert (tmp_path / 'video_preprocessor_config.json').is_file()
    backbone = TransformersBackbone(source=str(tmp_path), num_frames=8, image_size=64).eval()
    backbone.init_weights()
    # it makes the frames 8 / 7 as large as the crop, which is the pipeline's matter here
    frames = processor(clip[0].transpose(0, 1), return_tensors='pt', do_resize=False)
    frames = frames['pixel_values_videos']
    with torch.no_grad():
        expected = getattr(model, 'vjepa2', model).get_vision_features(frames).mean(1)
        torch.testing.assert_close(backbone(clip), expected)


@pytest.mark.parametrize(
    ('config', 'repo', 'lora', 'fine_tuned'),
    [
        ('timesformer_videomae', 'MCG-NJU/videomae-base', [], True),
        ('timesformer_videomae', 'MCG-NJU/videomae-base', ['model.backbone.lora.r=2'], False),
        ('timesformer_vjepa2_probe', 'facebook/vjepa2-vitl-fpc64-256', [], False),
    ],
    ids=['fine-tuned', 'lora', 'probe'],
)
def test_a_training_from_the_hub_is_tested_and_predicts_without_it(
    model_hub, tmp_path, monkeypatch, config, repo, lora, fine_tuned
):
    if lora:
        pytest.importorskip('peft')
    monkeypatch.chdir(tmp_path)
    options = ['--cfg-options', f'model.backbone.source={repo}', *SMALL, *lora]
    main(['train', config, '--no-validate', '--work-dir', 'run', *options])
    start = TransformersBackbone(source=str(tmp_path / 'saved' / repo))
    start.init_weights()
    state = load_checkpoint_file('run/epoch_1.pth')['state_dict']
    names = {f'backbone.body.{name}': value for name, value in start.body.state_dict().items()}
    if lora:
        assert any('lora_' in name for name in state)
        names = {name.replace('.weight', '.base_layer.weight'): v for name, v in names.items()}
    changed = [n for n, value in names.items() if n in state and not torch.equal(value, state[n])]
    assert bool(changed) == fine_tuned

    # on a machine that has the checkpoint alone
    shutil.rmtree(tmp_path / 'hub')
    monkeypatch.setattr('mmotion.checkpoint.downloads.answers', lambda url: False)
    model_hub.requests.clear()
    main(['test', config, 'run/epoch_1.pth', '--work-dir', 'test', *options])
    video = write_video(tmp_path / 'clip.mp4')
    main(['predict', config, str(video), '--checkpoint', 'run/epoch_1.pth', *options])
    assert json.loads((tmp_path / 'results' / 'clip.json').read_text())['label']
    main(['publish', 'run/epoch_1.pth', 'handed_on', '--config', config, *options])
    main(['predict', 'handed_on', str(video), '--out', 'again'])
    results = [json.loads((tmp_path / f / 'clip.json').read_text()) for f in ('results', 'again')]
    assert results[0]['scores'] == results[1]['scores']
    assert not model_hub.requests


def test_offline_and_without_the_files_there_are_three_ways(hub, monkeypatch):
    monkeypatch.setattr('mmotion.checkpoint.downloads.answers', lambda url: False)
    with pytest.raises(CheckpointError) as caught:
        TransformersBackbone(source='MCG-NJU/videomae-base')
    text = str(caught.value)
    assert 'source must be on this machine or within reach, got config.json of' in text
    assert '1. with a network: mmotion download --all-for CONFIG' in text
    assert '2. on another machine the same, then copy' in text
    assert '3. by hand: download config.json, ' in text
    assert 'from https://huggingface.co/MCG-NJU/videomae-base into a folder' in text
    assert not hub.requests
