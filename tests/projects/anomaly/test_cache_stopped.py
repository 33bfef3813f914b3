"""Trainings that are killed while they fill the cache of embeddings, and later."""

import time

import pytest
import torch

from mmotion.cli import main
from tests.embedded_clips import PaintedClips, describe_run
from tests.stopping import SIGNALS, check_codes, draw_moments, finish, read_all, start, stop

KILLS = 6
CLIPS = 35


@pytest.fixture
def train(tmp_path, monkeypatch):
    """Trains for an epoch on embeddings of clips that are slow to read."""
    read = PaintedClips.prepare_data

    def read_slowly(self, index):
        time.sleep(0.03)
        return read(self, index)

    monkeypatch.setattr(PaintedClips, 'prepare_data', read_slowly)

    def plan(name):
        folder = tmp_path / name
        config = describe_run(cache_dir=folder / 'cache', max_epochs=1)
        config.randomness = dict(seed=1)
        config.dump(tmp_path / f'{name}.py')
        words = ['train', str(tmp_path / f'{name}.py'), '--work-dir', str(folder / 'work')]
        return folder, lambda: main([*words, '--resume'])

    return plan


def read_weights(folder):
    checkpoint = torch.load(folder / 'work' / 'epoch_1.pth', weights_only=True)
    return checkpoint['state_dict']


@pytest.mark.slow
@pytest.mark.parametrize('number', SIGNALS)
def test_what_was_killed_is_resumed(train, number):
    whole, run = train('whole')
    begin = time.monotonic()
    assert finish(start(run)) == 0
    seconds = time.monotonic() - begin
    files, weights = read_all(whole / 'cache'), read_weights(whole)
    assert len(files) == CLIPS

    codes, sizes = [], []
    for kill, after_s in enumerate(draw_moments(number, seconds, KILLS)):
        folder, run = train(f'run{kill}')
        # every other one in the middle, however long the run takes to begin
        first = (lambda: True, (folder / 'cache').exists)[kill % 2]
        after_s = after_s if kill % 2 == 0 else after_s / 4
        codes.append(stop(run, number, after_s=after_s, first=first))
        left = read_all(folder / 'cache')
        if number != SIGNALS[-1]:
            assert not [name for name in left if 'partial' in name]
        whole_files = {name: text for name, text in left.items() if 'partial' not in name}
        assert whole_files.items() <= files.items()
        sizes.append(len(whole_files))
        assert finish(start(run)) == 0
        assert read_all(folder / 'cache') == files
        for name, tensor in read_weights(folder).items():
            assert torch.equal(tensor, weights[name]), name
    # some were killed in the middle
    assert any(0 < size < CLIPS for size in sizes), sizes
    check_codes(codes, number)
