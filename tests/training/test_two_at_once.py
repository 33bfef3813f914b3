"""Two runs that write to one folder at once: what is there is whole, and nothing is lost."""

import json
import multiprocessing
import os

import numpy as np
import pytest

from mmotion.checkpoint import find_last_checkpoint, load_checkpoint_file
from mmotion.inference import load_model
from mmotion.inference.many_videos import predict_videos
from mmotion.inference.outputs import Outputs
from mmotion.video.writer import VideoWriter
from tests.command_lines import TOY
from tests.training.test_runner import toy
from tests.training_runs import train

FORK = multiprocessing.get_context('fork')
DONE, REFUSED, FAILED = 0, 3, 4
ROUNDS = 20


def run_two(function):
    """Run a function in two processes at once, and give their exit codes, in order."""

    def run():
        with open(os.devnull, 'w') as nowhere:
            os.dup2(nowhere.fileno(), 1)
            os.dup2(nowhere.fileno(), 2)
        try:
            function()
        except ValueError as error:
            os._exit(REFUSED if 'must not be in use by another process' in str(error) else FAILED)
        except BaseException:
            os._exit(FAILED)
        os._exit(DONE)

    processes = [FORK.Process(target=run) for _ in range(2)]
    for process in processes:
        process.start()
    yield processes
    for process in processes:
        process.join()
    yield sorted(process.exitcode for process in processes)


@pytest.mark.slow
def test_two_trainings_into_one_work_dir(tmp_path):
    config = toy(train_cfg__max_epochs=2)
    for _ in range(ROUNDS):
        # more than one epoch each, so that they meet, or one follows the other
        _, codes = run_two(lambda: train(config, work_dir=tmp_path, validate=False))
        assert codes in ([DONE, REFUSED], [DONE, DONE])
        last = find_last_checkpoint(tmp_path)
        assert last and last.name == 'epoch_2.pth'
        load_checkpoint_file(last)
    # each of the earlier runs is still there, whole
    aside = sorted(tmp_path.glob('replaced_*'))
    assert len(aside) >= ROUNDS - 1
    for folder in aside:
        load_checkpoint_file(folder / 'epoch_2.pth')
    assert not list(tmp_path.rglob('.*partial*'))


@pytest.mark.slow
def test_two_predictions_into_one_folder(tmp_path):
    videos = [tmp_path / f'{number}.mp4' for number in range(1, 5)]
    for number, path in enumerate(videos, 1):
        with VideoWriter(path, fps=10.0) as writer:
            for _ in range(number):
                writer.write(np.zeros((32, 32, 3), np.uint8))
    predictor = load_model(TOY, 'random', device='cpu')
    out = tmp_path / 'out'
    outputs = Outputs(out_dir=out)
    for _ in range(ROUNDS):
        steps = run_two(lambda: predict_videos(predictor, videos, outputs))
        processes = next(steps)
        while any(process.is_alive() for process in processes):
            for path in out.glob('[!.]*.json'):
                assert json.loads(path.read_text())['count'] == int(path.stem)
        assert next(steps) == [DONE, DONE]
        assert sorted(path.name for path in out.iterdir()) == [f'{n}.json' for n in range(1, 5)]
