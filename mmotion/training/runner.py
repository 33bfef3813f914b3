"""Build the object that trains and tests: mmengine's Runner, made safe to stop and to resume.

What it adds to mmengine's: checkpoints that are whole or not there and load without running code,
weights that must fit the model, data workers with their own seeds, DDP and mixed precision without
a GPU.
"""

import copy
import os
from collections.abc import Mapping, Sized
from pathlib import Path
from typing import Any

import torch
from mmaction.models.heads.base import BaseHead
from mmengine.config import Config
from mmengine.dataset import InfiniteSampler
from mmengine.device import get_device
from mmengine.dist import get_rank
from mmengine.optim import OptimWrapper
from mmengine.runner import CheckpointLoader
from mmengine.runner import Runner as MMEngineRunner
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader

from mmotion.atomic import check_writable, write_atomically
from mmotion.checkpoint import (
    find_state_dict,
    load_state_dict,
    sources,  # noqa: F401  (importing registers)
)
from mmotion.checkpoint.carried import built_for
from mmotion.checkpoint.files import (
    CheckpointError,
)
from mmotion.compat import has_train_loop, is_resumed, note_loaded, rename_run, send_ahead
from mmotion.config import load_config
from mmotion.registry import (
    MODEL_WRAPPERS,
    MODELS,
    RUNNERS,
    explain_building,
)
from mmotion.training import divergence, hooks, leaks  # noqa: F401
from mmotion.training.compiling import compile_parts
from mmotion.training.labels import check_labels
from mmotion.training.models import unwrap_model
from mmotion.training.precision import choose_precision
from mmotion.training.processes import report_errors, start_processes
from mmotion.training.resuming import (
    choose_checkpoint,
    count_steps_anew,
    describe_steps,
    find_work_dir,
    hold_work_dir,
)
from mmotion.training.schedule import Schedule, fit_schedule, follow_schedule, list_parts
from mmotion.training.sharding import gather_optimizer, is_sharded
from mmotion.training.trackers import check_trackers

# of the runners of this process
_timestamps: set[str] = set()
# what training writes beside the weights
_RESUMED = ('meta', 'optimizer', 'message_hub')


@RUNNERS.register_module()
class Runner(MMEngineRunner):
    """mmengine's Runner with exact resuming, safe checkpoints, and DDP without a GPU.

    Takes the same arguments. Differs from mmengine's class:

    - A checkpoint is written under a temporary name, flushed and renamed, as plain data.
    - Loading refuses a checkpoint that does not fit the model, where mmengine warns and goes on
      with random weights. Only `load_from` at the start of training, which is fine-tuning, may
      leave out what does not fit, up to half of it.
    - All random numbers are seeded anew for each epoch, and each data worker differently in each
      epoch; mmengine gives a worker the same numbers in every epoch.
    - It goes on in the middle of an epoch, and with another number of processes, see
      `mmotion.training.resuming`.
    """

    # whether it goes on with a training whose epochs had another number of steps
    has_other_steps = False

    @report_errors()
    def train(self) -> nn.Module:
        """Train, while no other process trains in this work dir.

        Raises:
            ValueError: If another one does.
        """
        if get_rank():
            self._compile_parts()
            with explain_building():
                return super().train()
        with hold_work_dir(self.work_dir), explain_building():
            super().dump_config()
            self._compile_parts()
            return super().train()

    @report_errors()
    def test(self) -> dict[str, float]:
        """Test; an error of what is built for it says what it was given."""
        with explain_building():
            return super().test()

    def _compile_parts(self) -> None:
        """Compile what the model names; if it names nothing, mmengine compiles the step."""
        if compile_parts(self.model, self.cfg.get('compile')):
            self.cfg.compile = False
            self.logger.info('parts of the model are compiled; the first steps take minutes')

    def dump_config(self) -> None:
        """Leave the config in the work dir to `train`: until then, that of another run is there."""

    def setup_env(self, env_cfg: dict) -> None:
        """Prepare processes and threads, and give the run a name of its own.

        mmengine names a run by the second in which it starts, and two runs of one name share their
        logger and loss history.
        """
        super().setup_env(env_cfg)
        second, number = self.timestamp, 2
        while self.timestamp in _timestamps:
            rename_run(self, f'{second}_{number}')
            number += 1
        _timestamps.add(self.timestamp)

    def register_hooks(self, default_hooks: dict | None = None, custom_hooks: list | None = None):
        """Register the hooks of the config, those that resuming needs, and guards."""
        default_hooks = {'divergence': {'type': 'DivergenceHook'}, **(default_hooks or {})}
        if default_hooks['divergence'] is None:
            default_hooks['divergence'] = {'type': 'DivergenceHook', 'patience': None}
        super().register_hooks(default_hooks, custom_hooks)
        self.register_hook({'type': 'EpochSeedHook'})
        self.register_hook({'type': 'SetAsideHook'})
        self.register_hook({'type': 'PlainCheckpointHook'})
        self.register_hook({'type': 'LeakHook'})

    @staticmethod
    def build_dataloader(
        dataloader: DataLoader | dict, seed: int | None = None, diff_rank_seed: bool = False
    ) -> DataLoader:
        """Build a data loader, leaving the seeds of its workers to torch.

        Raises:
            ValueError: If it would give no batch at all.
        """
        if isinstance(dataloader, dict):
            # a GPU fetches from pinned memory while it works
            dataloader = {'pin_memory': torch.cuda.is_available(), **dataloader}
        loader = MMEngineRunner.build_dataloader(dataloader, seed, diff_rank_seed)
        # an endless sampler fills a batch from several rounds
        is_endless = isinstance(loader.sampler, InfiniteSampler)
        if isinstance(loader.sampler, Sized) and not is_endless and not len(loader):
            raise ValueError(
                'a data loader must give at least one batch, got '
                f'{len(loader.sampler)} samples of {type(loader.dataset).__name__} for batches of '
                f'{loader.batch_size}{" with drop_last=True" * loader.drop_last}; add samples, or '
                'set a smaller batch_size or drop_last=False'
            )
        if isinstance(dataloader, dict) and 'worker_init_fn' not in dataloader:
            loader.worker_init_fn = None
        return loader

    def build_train_loop(self, loop: Any) -> Any:
        """Build the loop of training, if the labels of its data are classes of the model."""
        if isinstance(loop, dict) and 'type' not in loop and loop.get('by_epoch'):
            loop = {key: value for key, value in loop.items() if key != 'by_epoch'}
            loop['type'] = 'EpochLoop'
        return self._check_labels(super().build_train_loop(loop), 'train_dataloader')

    def build_val_loop(self, loop: Any) -> Any:
        """Build the loop of validation, if the labels of its data are classes of the model."""
        return self._check_labels(super().build_val_loop(loop), 'val_dataloader')

    def build_test_loop(self, loop: Any) -> Any:
        """Build the loop of a test, if the labels of its data are classes of the model."""
        return self._check_labels(super().build_test_loop(loop), 'test_dataloader')

    def _check_labels(self, loop: Any, loader: str) -> Any:
        check_labels(
            self.cfg.get('model', {}),
            self.cfg.get(loader, {}),
            loop.dataloader.dataset,
            is_training=loader == 'train_dataloader',
        )
        return loop

    def build_param_scheduler(self, scheduler: Any) -> Any:
        """Build the schedule, as far as a short training can follow it.

        Raises:
            ValueError: If a part of it is not as mmengine wants it.
        """
        # on resuming, mmengine gives the schedulers themselves
        if has_train_loop(self) and any(list_parts(scheduler)):
            scheduler = copy.deepcopy(scheduler)
            fit_schedule(
                scheduler,
                max_epochs=self.max_epochs,
                max_iters=self.max_iters,
                epoch_length=len(self.train_dataloader),
            )
        try:
            return super().build_param_scheduler(scheduler)
        except (AssertionError, TypeError, ValueError, ZeroDivisionError) as error:
            raise ValueError(
                f'param_scheduler must be a schedule that can be built, got {scheduler} '
                f'({error}); correct it, or set param_scheduler=[] for a rate that stays'
            ) from error

    def wrap_model(self, model_wrapper_cfg: dict | None, model: nn.Module) -> nn.Module:
        """Move the model to its device and wrap it; DDP, the default, names no device on CPUs."""
        if torch.cuda.is_available():
            send_ahead(model)
        kind = (model_wrapper_cfg or {}).get('type', 'MMDistributedDataParallel')
        wrapper: Any = MODEL_WRAPPERS.get(kind)
        is_ddp = issubclass(wrapper, DistributedDataParallel)
        if model_wrapper_cfg and self.distributed and not is_ddp:
            # mmengine finds those of its own package alone
            arguments = {'module': model.to(get_device())}
            return MODEL_WRAPPERS.build(model_wrapper_cfg, default_args=arguments)
        if self.distributed and not torch.cuda.is_available():
            model_wrapper_cfg = {
                'broadcast_buffers': False,
                'find_unused_parameters': self.cfg.get('find_unused_parameters', False),
                **(model_wrapper_cfg or {}),
                'device_ids': None,
            }
        return super().wrap_model(model_wrapper_cfg, model)

    def load_checkpoint(
        self, filename: str, map_location: Any = 'cpu', strict: bool = False, revise_keys: Any = ()
    ) -> dict:
        """Load weights, strictly unless they are the start of a fine-tuning.

        Args:
            filename: File or URL.
            map_location: Device of the tensors.
            strict: Whether to be strict in fine-tuning as well.
            revise_keys: Not supported; a prefix `module.` is always removed.

        Returns:
            The whole checkpoint.

        Raises:
            CheckpointError: If it cannot be read or does not fit the model.
        """
        checkpoint = CheckpointLoader.load_checkpoint(str(filename), map_location)
        if is_resumed(self) and not all(
            isinstance(checkpoint.get(key), Mapping) for key in _RESUMED
        ):
            found = ', '.join(
                f'{key} ({type(value).__name__})' for key, value in checkpoint.items()
            )
            raise CheckpointError(
                f'checkpoint must hold {", ".join(_RESUMED)} to be resumed, each a dict, '
                f'got {filename} with {found}; start from its weights by load_from instead'
            )
        if is_resumed(self):
            self.has_other_steps = count_steps_anew(self, checkpoint['meta'])
        self.call_hook('after_load_checkpoint', checkpoint=checkpoint)
        model = unwrap_model(self.model)
        fine_tuning = has_train_loop(self) and not is_resumed(self)
        load_state_dict(
            model,
            find_state_dict(checkpoint, source=filename),
            source=filename,
            strict=strict or not fine_tuning,
        )
        note_loaded(self)
        self.logger.info(f'Load checkpoint from {filename}')
        return checkpoint

    def resume(self, filename: str, *args: Any, **kwargs: Any) -> None:
        """Go on with a run; arguments as in mmengine. Says so if its schedule was another one."""
        schedule = Schedule(self)
        super().resume(filename, *args, **kwargs)
        stretch = self.has_other_steps or bool(self.cfg.get('stretch_schedule'))
        follow_schedule(self, schedule, stretch=stretch)

    def build_optim_wrapper(self, optim_wrapper: Any) -> Any:
        """Build the optimizer; that of a shared model gives and takes its whole state."""
        built = super().build_optim_wrapper(optim_wrapper)
        # on resuming, mmengine gives the built one
        if is_sharded(self.model) and built is not optim_wrapper:
            if not isinstance(built, OptimWrapper):
                raise ValueError(
                    'optim_wrapper must have one optimizer for ShardedModel, got '
                    f'{type(built).__name__}; leave out model_wrapper_cfg'
                )
            gather_optimizer(built.optimizer)
        return built

    def save_checkpoint(self, out_dir: str, filename: str, *args: Any, **kwargs: Any) -> None:
        """Save a checkpoint; arguments as in mmengine. A file of this name stays until then."""
        if get_rank():
            if is_sharded(self.model):
                # as the first process does, which cannot gather them alone
                optimizer: Any = self.optim_wrapper
                self.model.module.state_dict()
                optimizer.state_dict()
            return
        kwargs['meta'] = {**describe_steps(self), **(kwargs.get('meta') or {})}
        if '://' in str(out_dir):
            super().save_checkpoint(out_dir, filename, *args, **kwargs)
            return
        with write_atomically(Path(out_dir) / filename) as temporary:
            super().save_checkpoint(out_dir, temporary.name, *args, **kwargs)


@report_errors()
def build_runner(
    config: Config | str | Path,
    *,
    work_dir: str | Path | None = None,
    load_from: str | Path | None = None,
    resume: str | Path | None = None,
    amp: bool = False,
    compile: bool = False,
    seed: int | None = None,
    launcher: str | None = None,
    auto_scale_lr: bool = False,
    validate: bool = True,
    stretch_schedule: bool = False,
) -> MMEngineRunner:
    """Build the runner of a config; an argument that is given wins over the config.

    The arguments are the flags of `mmotion train` and `mmotion test`, one each.

    Args:
        config: The config, or its path or name. It is not changed.
        work_dir: Folder for logs and checkpoints; without it and without `work_dir` in the config,
            `work_dirs/<name of the config>`.
        load_from: Checkpoint to test, or to start training from.
        resume: Checkpoint with which training goes on, or 'auto' for the last one in `work_dir`,
            if there is one.
        amp: Train in mixed precision: float16 with loss scaling on a GPU, bfloat16 without.
        compile: Compile the parts that the model names with `torch.compile`, or the training step.
        seed: Seed of all random numbers; 0 if the config has none either.
        launcher: What started the processes of a distributed run, one of
            `mmotion.training.processes.LAUNCHERS`.
        auto_scale_lr: Scale the learning rate by batch size over `auto_scale_lr.base_batch_size`.
        validate: Whether to validate during training.
        stretch_schedule: When a run is resumed, take rates and schedule from the config, as if it
            had begun with it, and not from the checkpoint.

    Returns:
        The runner; call `train()` or `test()`.

    Raises:
        ValueError: If an argument contradicts the config.
        CheckpointError: If a checkpoint is not there or is no checkpoint.
        OSError: If the work dir cannot be written to.

    Example:
        >>> runner = build_runner('repnet_shapes', seed=1)  # doctest: +SKIP
        >>> runner.train()  # doctest: +SKIP
    """
    config = copy.deepcopy(config) if isinstance(config, Config) else load_config(config)
    config.work_dir = str(find_work_dir(config, work_dir))
    check_writable(config.work_dir)
    config.launcher = launcher or config.get('launcher') or 'none'
    config.randomness = {'seed': 0, **(config.get('randomness') or {})}
    if seed is not None:
        config.randomness.seed = seed
    if compile:
        config.compile = config.get('compile') or True
    if not validate:
        config.update(val_cfg=None, val_dataloader=None, val_evaluator=None)
    if stretch_schedule:
        config.stretch_schedule = True
    if auto_scale_lr:
        _enable_auto_scale_lr(config)
    _check_schedule(config)
    check_trackers(config)
    _check_views(config)
    _share_cores(config)
    choose_precision(config, amp)
    choose_checkpoint(config, load_from, resume)
    start_processes(config)
    with built_for(config.get('load_from')), explain_building():
        return Runner.from_cfg(config)


def _enable_auto_scale_lr(config: Config) -> None:
    if 'base_batch_size' not in (config.get('auto_scale_lr') or {}):
        raise ValueError(
            'auto_scale_lr must have the batch size that the learning rate belongs to, got '
            f'auto_scale_lr={config.get("auto_scale_lr")}; add '
            'auto_scale_lr = dict(base_batch_size=...) to the config'
        )
    config.auto_scale_lr.enable = True


def _check_schedule(config: Config) -> None:
    """Refuse lengths of training that are none, and a schedule that begins when all is over."""
    train_cfg = config.get('train_cfg') or {}
    for key in ('max_epochs', 'max_iters', 'val_interval'):
        value = train_cfg.get(key)
        if value is not None and not (isinstance(value, int) and value >= 1):
            raise ValueError(
                f'train_cfg.{key} must be a whole number from 1 on, got train_cfg.{key}={value!r}'
            )
    epochs = train_cfg.get('max_epochs')
    parts = [part for _, part in list_parts(config.get('param_scheduler'))]
    begins = [part.get('begin', 0) for part in parts if part.get('by_epoch', True)]
    # some parts may begin too late, as in a training of one epoch to try a config
    if epochs is not None and len(begins) == len(parts) > 0 and min(begins) >= epochs:
        raise ValueError(
            f'param_scheduler.{begins.index(min(begins))} must begin before training ends, got '
            f'begin={min(begins)} and train_cfg.max_epochs={epochs}; train longer, or set '
            'param_scheduler=[]'
        )


def _check_views(config: Config) -> None:
    """Refuse a head of MMAction2 that gives a score a view where videos are measured."""
    evaluators = config.get('val_evaluator') or []
    evaluators = evaluators if isinstance(evaluators, list) else [evaluators]
    head = (config.get('model') or {}).get('cls_head') or {}
    kind = head.get('type')
    found = MODELS.get(kind) if isinstance(kind, str) else kind
    if (
        isinstance(found, type)
        and issubclass(found, BaseHead)
        and head.get('average_clips') is None
        and any(evaluator.get('type') == 'ActionMetric' for evaluator in evaluators)
    ):
        raise ValueError(
            "model.cls_head.average_clips must be 'prob' or 'score' for ActionMetric, got "
            f"average_clips=None of {kind}; set average_clips='prob', so that the views of a "
            'video are averaged'
        )


def _share_cores(config: Config) -> None:
    """Leave the data workers a core each where the model runs on the CPU too.

    Threads that wait for one whose core a worker has taken cost more than they bring: on two cores
    with one worker a training step of RepNet took 0.29 s with two threads and 0.18 s with one.
    `OMP_NUM_THREADS`, which torchrun sets as well, is left as it is.
    """
    if torch.cuda.is_available() or 'OMP_NUM_THREADS' in os.environ:
        return
    num_workers = (config.get('train_dataloader') or {}).get('num_workers', 0)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count()
    torch.set_num_threads(max(1, (cores or 1) - num_workers))
