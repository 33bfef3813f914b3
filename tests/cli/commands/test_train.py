from pathlib import Path

import pytest
import torch

from mmotion.atomic import LOCK_NAME, hold_folder
from mmotion.cli import main
from tests.command_lines import TOY, check_wrong_use, run

WRONG_USE = {
    'train without config': (['train'], 'the following arguments are required: CONFIG'),
    'unknown flag': (['train', TOY, '--sede', '1'], 'unrecognized arguments: --sede'),
    'abbreviated flag': (['train', TOY, '--work', 'a'], 'unrecognized arguments: --work'),
    'seed that is no number': (['train', TOY, '--seed', 'x'], "invalid int value: 'x'"),
    'unknown launcher': (['train', TOY, '--launcher', 'mpi'], "invalid choice: 'mpi'"),
    'logger that swallows the config': (
        ['train', '--logger', 'tensorboard', TOY],
        'a CONFIG must stand before --logger',
    ),
    'missing config': (['train', 'no.py'], 'config must be a file or the name of a bundled config'),
    'near name of a config': (['train', 'example_project_dot'], 'example_project_dots'),
    'broken config': (['train', 'broken.py'], 'got SyntaxError in broken.py, line 1'),
    'unknown key': (['train', 'unknown_key.py'], "got 'modle' (did you mean 'model'?)"),
    'missing module': (['train', 'no_module.py'], "got 'not_there' in no_module.py"),
    'unknown type': (['train', 'unknown_type.py'], "did you mean 'ClipClassifier'"),
    'config without training': (['train', 'no_test.py'], 'without train_dataloader, train_cfg'),
    'option without value': (
        ['train', TOY, '--cfg-options', 'train_cfg'],
        "argument --cfg-options: must be KEY=VALUE, got 'train_cfg'",
    ),
    'option that leads nowhere': (
        ['train', TOY, '--cfg-options', 'model.type.size=1'],
        'cfg_options must lead through dicts',
    ),
    'resume from nowhere': (
        ['train', TOY, '--resume', 'no.pth'],
        'checkpoint must be an existing file, got no.pth; did you mean',
    ),
    'resume from a text': (['train', TOY, '--resume', 'text.pth'], 'got a text file: text.pth'),
    'resume from weights': (
        ['train', TOY, '--resume', 'other.pth'],
        'must hold meta, optimizer, message_hub to be resumed',
    ),
    'scale without base': (['train', TOY, '--auto-scale-lr'], 'add auto_scale_lr = dict('),
    'amp with a wrapper': (
        ['train', TOY, '--amp', '--cfg-options', 'optim_wrapper.type=ApexOptimWrapper'],
        "got optim_wrapper.type='ApexOptimWrapper'; leave out amp",
    ),
    'torchrun is missing': (
        ['train', TOY, '--launcher', 'pytorch'],
        'type torchrun --nproc-per-node GPUS -m mmotion.cli in place',
    ),
    'unknown argument of a module': (
        ['train', TOY, '--cfg-options', 'model.widht=3'],
        'ToyCounter must be given arguments that it has, got widht',
    ),
}


@pytest.mark.parametrize(('arguments', 'message'), WRONG_USE.values(), ids=WRONG_USE)
def test_wrong_use_is_answered_in_one_line(folder, capsys, arguments, message):
    check_wrong_use(capsys, arguments, message)


def test_a_training_that_is_refused_leaves_no_trace(folder, capsys):
    with hold_folder('run', remedy=''):
        code, _, error = run(capsys, 'train', TOY, '--work-dir', 'run')
        assert code == 2 and 'run must not be in use by another process, got process' in error
        assert [path.name for path in Path('run').iterdir()] == [LOCK_NAME]


def test_stopping_tells_how_to_go_on(folder, capsys, monkeypatch):
    def stop(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr('mmotion.config.load_config', stop)
    code, _, error = run(capsys, 'train', TOY)
    assert code == 130
    assert '"--resume" goes on from the last checkpoint' in error


def test_flags_win_over_the_config(folder, capsys):
    config = ['--cfg-options', 'randomness.seed=1', 'work_dir=a', 'train_cfg.max_epochs=1']
    assert run(capsys, 'train', TOY, *config, '--seed', '2', '--work-dir', 'b')[0] == 0
    saved = torch.load(folder / 'b' / 'epoch_1.pth', weights_only=True)
    assert saved['meta']['seed'] == 2
    assert not (folder / 'a').exists()


def test_resume_needs_no_value(folder, capsys):
    options = ['--work-dir', 'run', '--cfg-options', 'log_level=ERROR']
    assert run(capsys, 'train', TOY, *options, 'train_cfg.max_epochs=1')[0] == 0
    assert run(capsys, 'train', TOY, '--resume', *options, 'train_cfg.max_epochs=2')[0] == 0
    saved = torch.load(folder / 'run' / 'epoch_2.pth', weights_only=True)
    assert saved['meta']['iter'] == 16


def test_an_error_in_the_middle_of_training_shows_where_it_is(folder, monkeypatch):
    def fail(self, runner):
        raise ValueError('out of ideas')

    monkeypatch.setattr('mmengine.hooks.ParamSchedulerHook.after_train_epoch', fail)
    with pytest.raises(RuntimeError, match='training failed after 8 steps: out of ideas'):
        main(['train', TOY, '--cfg-options', 'log_level=ERROR'])


def test_the_end_says_what_to_type_next(folder, capsys):
    options = ['--work-dir', 'run', '--cfg-options', 'train_cfg.max_epochs=1']
    code, _, error = run(capsys, 'train', TOY, *options)
    assert code == 0
    log = error + ''.join(path.read_text() for path in (folder / 'run').glob('*/*.log'))
    command = next(line for line in log.splitlines() if line.startswith('next: mmotion test '))
    assert run(capsys, *command.split()[2:])[0] == 0
