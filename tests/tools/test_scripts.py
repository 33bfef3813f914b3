"""The launch scripts: two processes without a GPU, and what reaches the launchers."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from mmotion.checkpoint import load_checkpoint_file
from mmotion.config import load_config
from mmotion.training.runner import build_runner
from tests.training_runs import run_dist_script

TOOLS = Path(__file__).resolve().parents[2] / 'tools'
TOY = TOOLS.parent / 'tests' / 'toy' / 'toy.py'


@pytest.mark.slow
def test_two_processes_train_as_one_with_the_doubled_batch(tmp_path):
    # every process must see the same numbers: no dropout, no batch statistics, no noise
    options = {
        'model.dropout': 0.0,
        'model.norm': False,
        'train_dataloader.dataset.augment': False,
        'train_dataloader.sampler.shuffle': False,
        'optim_wrapper.optimizer.type': 'SGD',
    }
    given = [f'{key}={value}' for key, value in options.items()]
    ranks = tmp_path / 'ranks'
    hook = f"[dict(type='RecordRanks',out_dir='{ranks}')]"
    config_file = tmp_path / 'toy_with_ranks.py'
    config_file.write_text(
        f"_base_ = ['{TOY}']\ncustom_hooks = {hook}\n"
        f"import sys\nsys.path.append('{TOY.parent}')\ndel sys\n"
    )
    run_dist_script(
        'dist_train.sh', config_file, 2, '--work-dir', 'two', '--cfg-options', *given, cwd=tmp_path
    )
    rank_0, rank_1 = (torch.load(ranks / f'rank_{r}.pth', weights_only=True) for r in (0, 1))
    # bit for bit after all these steps: each had the same gradients
    for name, weight in rank_0.items():
        assert torch.equal(rank_1[name], weight), name

    config = load_config(TOY, options | {'train_dataloader.batch_size': 16})
    build_runner(config, work_dir=tmp_path / 'one').train()
    one, two = (load_checkpoint_file(tmp_path / d / 'epoch_2.pth') for d in ('one', 'two'))
    for name, weight in one['state_dict'].items():
        torch.testing.assert_close(two['state_dict'][name], weight, rtol=1e-5, atol=1e-6)
        assert torch.equal(two['state_dict'][name], rank_0[name])

    output = run_dist_script(
        'dist_test.sh',
        *(TOY, tmp_path / 'two' / 'epoch_2.pth', 2, '--dump', 'results.json'),
        *('--work-dir', 'test', '--cfg-options', *given[:2]),
        cwd=tmp_path,
    )
    results = json.loads((tmp_path / 'results.json').read_text())
    assert [sample['name'] for sample in results['samples']] == [f'clip {i}' for i in range(20)]
    assert 'mae_loss' in output


@pytest.mark.parametrize('name', ['dist_train.sh', 'dist_test.sh', 'slurm_train.sh'])
def test_too_few_arguments(name):
    done = subprocess.run(['bash', TOOLS / name, 'a'], capture_output=True, text=True)
    assert done.returncode == 2
    assert f'usage: {TOOLS / name} ' in done.stderr


@pytest.mark.parametrize(
    ('name', 'arguments', 'environment', 'command'),
    [
        pytest.param(
            'dist_train.sh',
            ['my config.py', '4', '--seed', '1'],
            {'NNODES': '2', 'NODE_RANK': '1', 'MASTER_ADDR': 'host', 'PORT': '1234'},
            'python -m torch.distributed.run --nnodes=2 --node_rank=1 --master_addr=host '
            '--master_port=1234 --max_restarts=0 --nproc_per_node=4 {tools}/train.py '
            '<my config.py> --launcher pytorch --seed 1',
            id='dist_train',
        ),
        pytest.param(
            'dist_train.sh',
            ['c.py', '4'],
            {'NNODES': '1:2', 'NODE_RANK': '1', 'MASTER_ADDR': 'host', 'MAX_RESTARTS': '3'},
            'python -m torch.distributed.run --nnodes=1:2 --rdzv_backend=c10d '
            '--rdzv_endpoint=host:29500 --rdzv_conf=is_host=0 --max_restarts=3 '
            '--nproc_per_node=4 {tools}/train.py c.py --launcher pytorch',
            id='restarts',
        ),
        pytest.param(
            'dist_test.sh',
            ['c.py', 'w.pth', '2', '--dump', 'a.json'],
            {},
            'python -m torch.distributed.run --standalone --local_addr=127.0.0.1 '
            '--nproc_per_node=2 {tools}/test.py c.py w.pth --launcher pytorch --dump a.json',
            id='dist_test',
        ),
        pytest.param(
            'dist_test.sh',
            ['c.py', 'w.pth', '2'],
            {'PORT': '1234'},
            'python -m torch.distributed.run --nnodes=1 --node_rank=0 --master_addr=127.0.0.1 '
            '--master_port=1234 --nproc_per_node=2 {tools}/test.py c.py w.pth --launcher pytorch',
            id='port',
        ),
        pytest.param(
            'slurm_train.sh',
            ['part', 'job', 'c.py', '--amp'],
            {'GPUS': '16', 'SRUN_ARGS': '--time 10 --qos x'},
            'srun -p part --job-name=job --gres=gpu:8 --ntasks=16 --ntasks-per-node=8 '
            '--cpus-per-task=5 --kill-on-bad-exit=1 --time 10 --qos x '
            'python -u {tools}/train.py c.py --launcher slurm --amp',
            id='slurm_train',
        ),
        pytest.param(
            'slurm_train.sh',
            ['part', 'job', 'c.py'],
            {'GPUS': '2', 'CPUS_PER_TASK': '3'},
            'srun -p part --job-name=job --gres=gpu:2 --ntasks=2 --ntasks-per-node=2 '
            '--cpus-per-task=3 --kill-on-bad-exit=1 '
            'python -u {tools}/train.py c.py --launcher slurm',
            id='few_gpus',
        ),
    ],
)
def test_what_reaches_the_launcher(tmp_path, name, arguments, environment, command):
    # programs that print how they were called
    for program in ('python', 'srun'):
        fake = tmp_path / program
        fake.write_text(
            f'#!/usr/bin/env bash\nprintf {program}\n'
            'for a in "$@"; do case "$a" in *" "*) a="<$a>";; esac; printf " %s" "$a"; done\n'
        )
        fake.chmod(0o755)
    done = subprocess.run(
        ['bash', TOOLS / name, *arguments],
        env={'PATH': f'{tmp_path}:{os.environ["PATH"]}', **environment},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.stdout.strip() == command.format(tools=TOOLS)


@pytest.mark.parametrize(
    ('door', 'command'),
    [
        ('train.py', 'train'),
        ('test.py', 'test'),
        ('analysis/print_config.py', 'print-config'),
        ('analysis/browse_dataset.py', 'browse-dataset'),
        ('analysis/analyze_logs.py', 'analyze-logs'),
    ],
)
def test_a_door_leads_to_its_command_without_an_installation(tmp_path, door, command):
    environment = {name: value for name, value in os.environ.items() if name != 'PYTHONPATH'}
    # -S: no site-packages, where mmotion may be installed; help needs none of them
    command_line = [sys.executable, '-S', TOOLS / door, '--help']
    done = subprocess.run(
        command_line, env=environment, cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f'usage: mmotion {command} ')
