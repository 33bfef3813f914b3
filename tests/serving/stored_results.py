"""An engine that needs no model: each job is done at once, with a result of its system's kind."""

import json

import numpy as np

from mmotion.inference.summary import describe_rows, list_columns
from mmotion.serving.engine import Engine
from mmotion.serving.models import ServedModel
from mmotion.structures.actions import ActionScores
from mmotion.structures.json_file import write_json
from mmotion.structures.results import list_entries
from mmotion.tables import as_cell, write_table
from mmotion.visualization import (
    actions,  # noqa: F401  (registers how scores look)
    draw_result,
    plot_result,
)
from projects.anomaly.results import AnomalyScores
from projects.bkind.results import KeypointTracks
from projects.repnet.results import RepetitionCount
from tests.moving_boxes import HEIGHT, WIDTH, draw_frames

# five seconds
FPS, NUM_FRAMES = 12.0, 60
STARTS = np.arange(9) / 2
WINDOWS = {'window_start_s': STARTS, 'window_end_s': STARTS + 1}


def count_four():
    """Four repetitions in the middle, half of a fifth."""
    rate = np.zeros(NUM_FRAMES)
    rate[6:51] = 0.1
    return RepetitionCount.from_rates(
        rate, np.clip(rate * 9, 0.05, 1), fps=FPS, confidence=0.92, stride=1
    )


def sit_and_walk():
    """Sitting for two seconds, then walking."""
    walk = np.array([0.1, 0.1, 0.2, 0.3, 0.8, 0.9, 0.9, 0.9, 0.8])
    scores = np.stack([1 - walk, walk], axis=1)
    return ActionScores(classes=('sit', 'walk'), scores=[0.4, 0.6], views='1 view', fps=FPS,
                        num_frames=NUM_FRAMES, window_scores=scores, **WINDOWS)  # fmt: skip


def two_alarms():
    """Alarms at 1.25 to 2.25 s and from 3.75 s on; a higher threshold leaves the second."""
    errors = np.array([2.0, 3.0, 8.0, 8.5, 3.0, 2.0, 2.5, 12.0, 14.0])
    return AnomalyScores(fps=FPS, num_frames=NUM_FRAMES, errors=errors, scores=errors / 15,
                         threshold=7.0, false_alarm_rate=0.05, **WINDOWS)  # fmt: skip


def three_points():
    """Three keypoints on circles."""
    angles = np.linspace(0, 4 * np.pi, NUM_FRAMES)[:, None] + np.array([0, 2, 4])
    sizes = np.array([10, 16, 22])
    points = np.stack([48 + sizes * np.cos(angles), 32 + sizes * np.sin(angles)], axis=-1)
    return KeypointTracks(fps=FPS, width=WIDTH, height=HEIGHT, frames=np.arange(NUM_FRAMES),
                          keypoints=points, confidence=np.full((NUM_FRAMES, 3), 0.9),
                          covariance=np.tile([4.0, 0.0, 4.0], (NUM_FRAMES, 3, 1)),
                          names=('nose', 'paw', '<tail>'))  # fmt: skip


RESULTS = {
    'repnet': count_four,
    'timesformer': sit_and_walk,
    'anomaly': two_alarms,
    'bkind': three_points,
}
MODELS = {
    f'{system}_model': ServedModel(
        name=f'{system}_model', system=system, title='a stored result', config=''
    )
    for system in RESULTS
}


class StoredEngine(Engine):
    """Finishes each job when it is sent, but for those of videos whose names say otherwise.

    'waits.mp4' waits for ever, 'broken.mp4' fails.
    """

    def start(self):
        """Start no worker."""

    def submit(self, source, *, name, model, owner, options=None):
        job = super().submit(source, name=name, model=model, owner=owner, options=options)
        if name == 'waits.mp4':
            return job
        self._store.claim()
        if name == 'broken.mp4':
            self._store.end(job.id, 'failed', error='the file must be a video, got a damaged one')
        else:
            write_outputs(
                RESULTS[self.models[model].system](), self._places / job.id / 'output', name
            )
            self._store.end(job.id, 'done', duration_s=NUM_FRAMES / FPS)
        return self.get(job.id, owner)


def write_outputs(result, folder, name='clip.mp4', *, draw=True):
    """Write what a worker writes of a result."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = [{'video': name, 'status': 'ok', **row} for row in describe_rows(result)]
    cells = [{key: as_cell(value) for key, value in row.items()} for row in rows]
    write_table(folder / 'summary.csv', list_columns(cells), cells)
    write_json(folder / 'result.json', list_entries(result))
    if draw:
        draw_result(draw_frames(NUM_FRAMES), result, folder / 'overlay.mp4')
        plot_result(result, folder / 'plot.png')


def as_content(result):
    """What the file of a result holds."""
    return json.loads(json.dumps(result.to_dict()))
