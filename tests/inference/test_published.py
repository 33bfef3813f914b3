"""A model that is handed on: the same answers, read as data, from a folder or from a hub."""

import json
from pathlib import Path

import pytest
import torch

from mmotion import load_model
from mmotion.checkpoint import CheckpointError, save_checkpoint_file
from mmotion.config import load_config
from mmotion.inference.published import is_published, read_published, write_published
from mmotion.registry import MODELS
from tests.command_lines import run
from tests.video_files import encode

CONFIGS = [
    'timesformer_shapes',
    'repnet_small',
    'bkind_shapes',
    'anomaly_shapes_knn',
    'pose_lstm_shapes',
]


@pytest.fixture
def publish(tmp_path):
    """Publish a config with random weights."""

    def publish(name: str, **options) -> Path:
        config = load_config(name)
        model = MODELS.build(config.model)
        classes = [f'class {i}' for i in range(12)]
        content = {
            'state_dict': model.state_dict(),
            'meta': {'dataset_meta': {'classes': classes}},
            'optimizer': {'step': 7},
        }
        save_checkpoint_file(content, tmp_path / 'epoch_1.pth')
        return write_published(tmp_path / 'model', config, tmp_path / 'epoch_1.pth', **options)

    return publish


@pytest.mark.parametrize('name', CONFIGS)
def test_a_published_model_is_the_one_that_was_trained(publish, tmp_path, name):
    folder = publish(name)
    assert is_published(folder)
    again = load_model(folder, device='cpu')
    before = load_model(name, tmp_path / 'epoch_1.pth', device='cpu')
    assert type(again) is type(before)
    assert again.config.test_pipeline == before.config.test_pipeline
    assert again.model.dataset_meta == before.model.dataset_meta
    state = before.model.state_dict()
    for key, value in again.model.state_dict().items():
        assert torch.equal(value, state[key]), key


def test_the_same_answer_for_a_video(publish, tmp_path):
    torch.manual_seed(1)
    frames = torch.randint(256, (70, 64, 64, 3), dtype=torch.uint8).numpy()
    folder = publish('timesformer_shapes')
    before = load_model('timesformer_shapes', tmp_path / 'epoch_1.pth', device='cpu')
    answer = load_model(str(folder), device='cpu').predict(frames, fps=25.0)
    assert answer.to_dict() == before.predict(frames, fps=25.0).to_dict()
    assert answer.label.startswith('class ')


def test_the_command_predicts_with_it(publish, tmp_path, capsys):
    folder = publish('timesformer_shapes')
    video = encode(tmp_path / 'clip.mp4')
    code, _, _ = run(capsys, 'predict', folder, video, '--out', tmp_path / 'out')
    assert code == 0
    result = json.loads((tmp_path / 'out' / 'clip.json').read_text())
    assert result['checkpoint'] == str(folder / 'model.safetensors')
    assert result['config'] == str(folder)


def test_matrices_can_be_rounded(publish):
    whole = (publish('pose_lstm_shapes') / 'model.safetensors').stat().st_size
    half = (publish('pose_lstm_shapes', half=True) / 'model.safetensors').stat().st_size
    assert half < 0.6 * whole


def test_the_folder_says_what_it_is_and_nothing_of_this_machine(publish, tmp_path):
    folder = publish('timesformer_shapes', licence='CC-BY-4.0')
    assert sorted(path.name for path in folder.iterdir()) == [
        'README.md',
        'SHA256SUMS',
        'config.json',
        'model.safetensors',
    ]
    card = (folder / 'README.md').read_text()
    assert 'license: cc-by-4.0' in card
    assert 'class 0, class 1' in card
    for name in ('README.md', 'config.json', 'SHA256SUMS'):
        assert str(tmp_path) not in (folder / name).read_text()


def change(folder: Path, edit) -> None:
    """Change the config of a published model, and its sum with it."""
    path = folder / 'config.json'
    content = json.loads(path.read_text())
    edit(content['config'])
    path.write_text(json.dumps(content))
    sums = folder / 'SHA256SUMS'
    lines = [line for line in sums.read_text().splitlines() if 'config.json' not in line]
    sums.write_text('\n'.join(lines))


@pytest.mark.parametrize(
    'edit, message',
    [
        (lambda c: c['model'].update(type='os.getcwd'), 'registered name .* got type=.os.getcwd'),
        (lambda c: c['test_pipeline'].append({'type': ['a']}), r'got type=\[.a.\]'),
        (lambda c: c['model']['backbone'].update(_scope_='mmdet'), 'must have no _scope_'),
        (lambda c: c['custom_imports'].update(imports=['this']), 'systems that are installed'),
        (lambda c: c.update(custom_imports='projects.none'), 'systems that are installed'),
        (lambda c: c.update(custom_imports=[7]), 'systems that are installed, got 7'),
    ],
    ids=['a path', 'no text', 'a scope', 'another module', 'none there', 'a number'],
)
def test_a_config_that_asks_for_more_than_data_is_refused(publish, edit, message, capsys):
    folder = publish('timesformer_shapes')
    change(folder, edit)
    with pytest.raises(ValueError, match=message):
        read_published(folder)
    assert 'Zen' not in capsys.readouterr().out


def test_a_file_that_was_changed_is_refused(publish):
    folder = publish('pose_lstm_shapes')
    path = folder / 'config.json'
    path.write_text(path.read_text() + ' ')
    with pytest.raises(CheckpointError, match=r'config\.json must be the file with the SHA-256'):
        load_model(folder)


@pytest.mark.parametrize('text', ['', '[]', '{"config": 1}', '{' * 10_000, '{}'])
def test_a_config_that_is_damaged_is_named(publish, text):
    folder = publish('pose_lstm_shapes')
    change(folder, lambda content: None)
    (folder / 'config.json').write_text(text)
    with pytest.raises(ValueError, match=r'config\.json must be what "mmotion publish" writes'):
        read_published(folder)


def test_a_model_is_pushed_to_the_hub_and_comes_back(publish, hub, capsys, monkeypatch):
    monkeypatch.setenv('HF_TOKEN', 'hf_test')
    folder = publish('pose_lstm_shapes')
    (folder / 'notes.txt').write_text('mine')
    code, out, _ = run(capsys, 'push', folder, 'me/toy', '--private')
    assert code == 0
    assert "load_model('hf:me/toy')" in out
    assert 'me/toy/notes.txt' not in hub.files
    again = load_model('hf:me/toy', device='cpu')
    assert torch.equal(
        again.model.state_dict()['head.weight'],
        load_model(folder, device='cpu').model.state_dict()['head.weight'],
    )
    revision = '0123456789abcdef0123456789abcdef01234567'
    config = read_published(f'hf:me/toy@{revision}', {'predictor.min_score': 0.5})
    assert Path(config.released_weights).is_file()
    assert config.predictor.min_score == 0.5


def test_a_repository_that_is_not_there_is_named(hub):
    with pytest.raises(CheckpointError, match=r'SHA256SUMS of http.*me/none must be there'):
        load_model('hf:me/none')
    with pytest.raises(CheckpointError, match="must be 'hf:OWNER/NAME'"):
        load_model('hf:none')
