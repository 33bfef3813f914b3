"""An engine with the counter that ships, and what is sent to it."""

import shutil
import time

import pytest

pytest.importorskip('fastapi', reason='needs the extra [serve]')
pytest.importorskip('psutil', reason='needs the extra [serve]')

from mmotion.serving.engine import Engine
from mmotion.serving.limits import Limits
from mmotion.serving.models import list_models
from tests.moving_boxes import write_video


@pytest.fixture(scope='session')
def clip(tmp_path_factory):
    """Three seconds of a box that goes over the picture again and again."""
    return write_video(tmp_path_factory.mktemp('sent') / 'box.mp4', 90)


@pytest.fixture
def sent(clip, tmp_path):
    """A copy of the clip, which an engine may take away."""
    return shutil.copy(clip, tmp_path / 'sent.mp4')


@pytest.fixture
def make_engine(tmp_path):
    """Makes engines that are stopped at the end."""
    made = []

    def make(folder=None, *, models=None, num_workers=1, **limits):
        models = list_models() if models is None else models
        engine = Engine(folder or tmp_path / 'folder', models, Limits(**limits),
                        num_workers=num_workers)  # fmt: skip
        made.append(engine)
        return engine

    yield make
    for engine in made:
        engine.stop(grace_s=0)


def wait_for(engine, job, *states, timeout_s=120):
    """Wait until a job is in one of some states, by default one that is the last."""
    ends_s = time.monotonic() + timeout_s
    while time.monotonic() < ends_s:
        if job.state in states or not (states or job.is_open):
            return job
        job = engine.wait(job.id, job.owner, 1.0)
    raise TimeoutError(f'{job} after {timeout_s} s')
