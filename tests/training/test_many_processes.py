"""One, two and four processes train alike, and one number goes on where another one was."""

import pytest
import torch

from mmotion.checkpoint import load_checkpoint_file
from tests.training.test_hooks import TOY
from tests.training_runs import read_losses, run_dist_script

TOTAL_BATCH = 64
# four steps an epoch
OPTIONS = {
    'train_dataloader.dataset.num_sequences': 256,
    'train_dataloader.num_workers': 0,
    'train_cfg.max_epochs': 6,
    'default_hooks.logger.interval': 1,
    'default_hooks.checkpoint.by_epoch': False,
    'default_hooks.checkpoint.interval': 5,
    'default_hooks.checkpoint.max_keep_ckpts': -1,
}
NUM_STEPS = 24


class Trainings:
    """Trainings of a bundled config by some number of processes, whose random draws are off."""

    def __init__(self, folder):
        self.folder = folder
        self.config = folder / 'pose.py'
        # samples without augmentation, which each process draws by itself
        self.config.write_text(
            "_base_ = ['mmotion::pose_transformer_shapes.py']\n"
            "custom_imports = dict(imports=['projects.pose_sequence', 'toy_motion'], "
            'allow_failed_imports=False)\n'
            'train_dataloader = dict(dataset=dict(pipeline={{_base_.test_pipeline}}))\n'
            "custom_hooks = [dict(type='RecordRanks', out_dir='')]\n"
            f"import sys\nsys.path.append('{TOY.parent}')\ndel sys\n"
        )

    def run(self, name, num_processes, *arguments, total_batch=TOTAL_BATCH, **options):
        """Train, and give the losses of the steps, averaged over processes, and the weights."""
        options = {
            **OPTIONS,
            'train_dataloader.batch_size': total_batch // num_processes,
            'custom_hooks.0.out_dir': self.folder / name / 'ranks',
            **options,
        }
        run_dist_script(
            *('dist_train.sh', self.config, num_processes, '--no-validate', '--work-dir', name),
            *(*arguments, '--cfg-options', *(f'{key}={value}' for key, value in options.items())),
            cwd=self.folder,
        )
        folder = self.folder / name
        losses = [
            torch.tensor(torch.load(folder / 'ranks' / f'losses_{rank}.pth', weights_only=True))
            for rank in range(num_processes)
        ]
        *_, last = sorted(folder.glob('iter_*.pth'), key=lambda path: int(path.stem[5:]))
        return torch.stack(losses).mean(0), load_checkpoint_file(last)


@pytest.fixture(scope='module')
def trainings(tmp_path_factory):
    return Trainings(tmp_path_factory.mktemp('many'))


@pytest.fixture(scope='module')
def alone(trainings):
    """By one process, from the beginning to the end."""
    return trainings.run('alone', 1)


@pytest.mark.slow
@pytest.mark.parametrize('num_processes', [2, 4])
def test_the_losses_are_those_of_one_process(trainings, alone, num_processes):
    losses, checkpoint = trainings.run(str(num_processes), num_processes)
    assert len(losses) == NUM_STEPS
    # it learns: a curve that stays would say nothing
    assert losses[-1] < losses[0] - 0.2
    torch.testing.assert_close(losses, alone[0], rtol=0, atol=1e-5)
    assert checkpoint['meta']['step_size'] == TOTAL_BATCH


@pytest.mark.slow
@pytest.mark.parametrize('step', [pytest.param(20, id='epoch'), pytest.param(10, id='within')])
@pytest.mark.parametrize(('before', 'after'), [(2, 4), (4, 2), (1, 2)])
def test_another_number_of_processes_goes_on(trainings, alone, before, after, step):
    trainings.run(f'{before}_first', before)
    start = trainings.folder / f'{before}_first' / f'iter_{step}.pth'
    name = f'{before}_{after}_{step}'
    losses, checkpoint = trainings.run(name, after, '--resume', start)
    assert len(losses) == NUM_STEPS - step
    torch.testing.assert_close(losses, alone[0][step:], rtol=0, atol=1e-5)
    assert checkpoint['meta']['iter'] == NUM_STEPS


@pytest.mark.slow
def test_twice_the_processes_with_the_same_batch_each_have_half_the_steps(trainings):
    options = {'auto_scale_lr.base_batch_size': TOTAL_BATCH}
    trainings.run('small', 1, '--auto-scale-lr', **options)
    start = trainings.folder / 'small' / 'iter_20.pth'
    both = dict(total_batch=2 * TOTAL_BATCH, **options)
    trainings.run('large', 2, '--auto-scale-lr', **both)
    trainings.run('rest', 2, '--auto-scale-lr', '--resume', start, **both)
    # five epochs are done; rate and step are those of a training that began so
    whole, rest = (read_losses(trainings.folder / name) for name in ('large', 'rest'))
    assert [*rest] == [11, 12]
    assert [*whole] == [*range(1, 13)]
    for step in rest:
        assert rest[step][1] == pytest.approx(whole[step][1])
