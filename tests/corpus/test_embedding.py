"""Embeddings beside a result, as a row of a corpus has them."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from pyarrow import parquet
from torch import nn

from mmotion.corpus.embedding import Embedder
from mmotion.corpus.manifest import Item
from mmotion.corpus.store import open_store
from mmotion.corpus.worker import Job, VideoWorker
from tests.corpus.conftest import FakeResult


class Looker:
    """A predictor whose model sees each of three frames."""

    features_layer = 'encoder'

    def __init__(self):
        self.model = nn.Module()
        self.model.encoder = nn.Linear(2, 4)
        self.model.head = nn.Linear(4, 1)

    def prepare(self, videos):
        pass

    @torch.no_grad()
    def predict(self, video, *, fps=None, start_s=0.0, end_s=None):
        self.model.head(self.model.encoder(torch.ones(3, 2)))
        return FakeResult(Path(video).stem, num_frames=3, fps=2.0, frame_times_s=None)


class NamingLooker(Looker):
    def name_clip(self, video, result, *, fps=None, start_s=0.0, end_s=None):
        return {'features_clip': f'{video} {start_s}', 'features_model': 'abc'}


def load_looker(*, device=None):
    return Looker()


TIMES = {'fps': None, 'start_s': 1.0, 'end_s': None}


def test_rows_have_their_times():
    result, columns = Embedder(Looker(), True).predict(Path('a.mp4'), **TIMES)
    assert result.num_frames == 3
    assert np.shape(columns['features']) == (3, 4)
    assert columns['features_start_s'] == [0.0, 0.5, 1.0]
    assert columns['features_end_s'] == [0.5, 1.0, 1.5]
    assert 'features_clip' not in columns


def test_a_layer_may_be_named():
    _, columns = Embedder(NamingLooker(), 'head').predict(Path('a.mp4'), **TIMES)
    assert np.shape(columns['features']) == (3, 1)
    # training takes none of another layer
    assert 'features_clip' not in columns
    with pytest.raises(ValueError, match='a layer must be one of the model, got neck'):
        Embedder(Looker(), 'neck')


def test_a_predictor_names_what_training_can_take():
    _, columns = Embedder(NamingLooker(), True).predict(Path('a.mp4'), **TIMES)
    assert (columns['features_clip'], columns['features_model']) == ('a.mp4 1.0', 'abc')


def test_embeddings_are_columns_of_the_rows(tmp_path):
    worker = VideoWorker(Job(load=load_looker, embeddings=True))
    try:
        rows = [
            worker(Item(id='a', video='a.mp4')),
            worker(Item(id='b', video='b.mp4', regions=('1,2,3,4',))),
        ]
    finally:
        worker.kill()
    with open_store(tmp_path) as store:
        for row in rows:
            store.add(row)
    done, failed = parquet.read_table(tmp_path / 'part-00000.parquet').to_pylist()
    assert np.shape(done['features']) == (3, 4)
    assert done['features_start_s'] == [0.0, 0.5, 1.0]
    assert failed['features'] is None
    assert 'embeddings must be of the whole picture, got regions 1,2,3,4' in failed['reason']


def test_a_model_that_was_exported_has_no_layers():
    from mmotion.inference.exported import ExportedModel

    predictor = SimpleNamespace(model=ExportedModel.__new__(ExportedModel), features_layer=None)
    with pytest.raises(ValueError, match='one that was exported'):
        Embedder(predictor, True)
