import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip('pyarrow', reason='needs the extra [corpus]')
pytest.importorskip('duckdb', reason='needs the extra [corpus]')

from mmotion.corpus.manifest import Item
from mmotion.corpus.worker import Job


@dataclass(frozen=True)
class FakeResult:
    """What a predictor says of a file: how long its name is."""

    name: str
    num_frames: int = 7
    num_lost: int = 0
    fps: float = 25.0
    start_s: float = 0.0
    frame_times_s: Any = None

    def to_dict(self) -> dict[str, Any]:
        return {'count': len(self.name), 'fps': self.fps, 'label': self.name, 'at': [0.5, None]}


class FakePredictor:
    """Predicts by the name of a file; some names end the process, or never end."""

    def prepare(self, videos):
        pass

    def predict(self, video, *, fps=None, start_s=0.0, end_s=None):
        name = Path(video).stem
        if name.startswith('crash'):
            os.kill(os.getpid(), signal.SIGSEGV)
        if name.startswith('once'):
            # the second process finds that there was a first
            mark = Path(f'{video}.tried')
            if not mark.exists():
                mark.touch()
                os._exit(3)
        if name.startswith('hang'):
            time.sleep(600)
        if name.startswith('bad'):
            raise ValueError(f'a video must be good, got {video}')
        if name.startswith('lost'):
            raise RuntimeError('CUDA error: an illegal memory access was encountered')
        if name.startswith('slow'):
            time.sleep(0.05)
        return FakeResult(name, fps=fps or 25.0, start_s=start_s)


def load_fake(*, device=None):
    return FakePredictor()


def load_nothing(*, device=None):
    raise FileNotFoundError('no weights')


@pytest.fixture
def job():
    """A job that loads in no time, and needs no videos."""
    return Job(load=load_fake)


def make_items(*names: str) -> list[Item]:
    return [Item(id=name, video=f'{name}.mp4') for name in names]
