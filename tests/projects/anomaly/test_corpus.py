"""Training takes the embeddings that a corpus run wrote, where they are those it would compute."""

import shutil
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mmengine.config import Config
from PIL import Image
from torch import Tensor, nn

pytest.importorskip('pyarrow', reason='needs the extra [corpus]')
pytest.importorskip('duckdb', reason='needs the extra [corpus]')

from mmotion.corpus.embedding import Embedder
from mmotion.corpus.reading import open_results
from mmotion.inference import load_model
from mmotion.registry import DATASETS, MODELS
from mmotion.video import VideoWriter, iterate_frames
from projects.anomaly import cache as cache_module
from projects.anomaly.corpus import CLIP, MODEL, CorpusEmbeddings
from tests.corpus_files import make_row, write_part

WIDTH = 5
FPS = 10.0
# 8 frames at 10 a second
PIPELINE = [
    dict(type='SampleClip', num_frames=4, stride=6),
    dict(type='DecodeClip'),
    dict(type='Resize', scale=(24, 24), keep_ratio=False),
    dict(type='AugmentClip'),
    dict(type='FormatShape', input_format='NCTHW'),
    dict(type='PackActionInputs', meta_keys=('name', 'subset', 'video', 'excluded')),
]


@MODELS.register_module(force=True)
class CountingBackbone(nn.Module):
    """Embeds clips by their colors, and counts them."""

    def __init__(self, *, seed: int = 0) -> None:
        super().__init__()
        self.last = nn.Linear(3, WIDTH)
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.last.reset_parameters()
        # not a number, which would be taken for an option
        self._seen: Counter[str] = Counter()

    @property
    def passes(self) -> int:
        return self._seen['clips']

    def forward(self, clips: Tensor) -> Tensor:
        self._seen['clips'] += len(clips)
        return self.last(clips.mean((2, 3, 4)))


@MODELS.register_module(force=True)
class DistanceFromOrigin(nn.Module):
    def error(self, embeddings: Tensor) -> Tensor:
        return embeddings.norm(dim=1)


def make_predictor(*, seed: int = 0, **predictor: Any) -> Any:
    config = Config(
        dict(
            model=dict(
                type='AnomalyDetector',
                backbone=dict(type='CountingBackbone', seed=seed),
                scorer=dict(type='DistanceFromOrigin'),
                data_preprocessor=dict(
                    type='EmbeddingPreprocessor',
                    mean=[127.5] * 3,
                    std=[60.0] * 3,
                    format_shape='NCTHW',
                ),
            ),
            test_pipeline=PIPELINE,
            predictor=dict(type='AnomalyPredictor', **predictor),
        )
    )
    return load_model(config, 'random', device='cpu')


@pytest.fixture
def videos(tmp_path: Path) -> Path:
    """Five videos of 5 to 29 frames, each of another color that changes."""
    folder = tmp_path / 'videos'
    for number, length in enumerate((29, 20, 8, 5, 12)):
        rng = np.random.default_rng(number)
        with VideoWriter(folder / f'{number}.mp4', fps=FPS) as writer:
            for frame in range(length):
                color = rng.integers(0, 200, 3) + frame
                writer.write(np.full((32, 40, 3), color, np.uint8))
    return folder


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    lines: list[str] = []
    monkeypatch.setattr(cache_module, 'print_log', lambda line, **_: lines.append(line))
    return lines


def write_corpus(folder: Path, videos: Path, predictor: Any, **times: Any) -> None:
    """Write what `mmotion predict --manifest --embeddings` does."""
    embedder = Embedder(predictor, True)
    rows = []
    for path in sorted(videos.glob('*.mp4')):
        columns = embedder.predict(path, **{'fps': None, 'start_s': 0.0, 'end_s': None, **times})[1]
        rows.append(make_row(path.stem, **columns))
    write_part(folder, 0, *rows)


def make_clips(videos: Path, corpus: Path | None, augment: str = '') -> Any:
    table = videos.parent / 'train.csv'
    lines = [f'{number}.mp4,0,usual,{number},{augment}' for number in range(5)]
    table.write_text('PATH,LABEL,CLASS,VIDEO,AUGMENT\n' + '\n'.join(lines))
    clips = dict(
        type='AnomalyClipDataset',
        ann_files=dict(train=str(table)),
        data_root=str(videos),
        pipeline=PIPELINE,
    )
    folder = None if corpus is None else str(corpus)
    return DATASETS.build(dict(type='EmbeddedClips', dataset=clips, corpus=folder, batch_size=2))


def embed(clips: Any, predictor: Any) -> tuple[Tensor, int]:
    """The embeddings of a data set, and how many clips passed through the backbone."""
    before = predictor.model.backbone.passes
    clips.embed(predictor.model)
    embeddings = torch.stack([clips[i]['inputs'] for i in range(len(clips))])
    return embeddings, predictor.model.backbone.passes - before


def test_training_with_a_corpus_embeds_nothing(videos, tmp_path, logged):
    write_corpus(tmp_path / 'out', videos, make_predictor())
    computed, number = embed(make_clips(videos, None), make_predictor())
    assert number == 5
    taken, number = embed(make_clips(videos, tmp_path / 'out'), make_predictor())
    assert number == 0
    torch.testing.assert_close(taken, computed, rtol=1e-6, atol=1e-6)
    # the names and labels of the clips are there too
    sample = make_clips(videos, tmp_path / 'out').dataset[3]['data_samples']
    assert sample.name == 'train/3.mp4'
    assert logged[-1] == f'5 embeddings: 5 from {tmp_path / "out"}, 0 new'


def test_another_backbone_is_not_taken_and_counted(videos, tmp_path, logged):
    write_corpus(tmp_path / 'out', videos, make_predictor())
    expected, _ = embed(make_clips(videos, None), make_predictor(seed=1))
    found, number = embed(make_clips(videos, tmp_path / 'out'), make_predictor(seed=1))
    assert number == 5 and torch.equal(found, expected)
    assert '0 from' in logged[-1] and '5 new. ' in logged[-1]
    assert 'lacks 5, of which it has 5 by another backbone, preprocessor or' in logged[-1]


def test_another_video_of_the_name_is_not_taken(videos, tmp_path, logged):
    write_corpus(tmp_path / 'out', videos, make_predictor())
    shutil.copy(videos / '1.mp4', videos / '2.mp4')
    (videos / '4.mp4').write_bytes((videos / '4.mp4').read_bytes() + bytes(8))
    expected, _ = embed(make_clips(videos, None), make_predictor())
    found, number = embed(make_clips(videos, tmp_path / 'out'), make_predictor())
    # a copy is the same video by another name
    assert number == 1
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6)
    assert 'lacks 1, of which it has 0 by another' in logged[-1]


def test_an_augmented_clip_is_not_taken(videos, tmp_path):
    write_corpus(tmp_path / 'out', videos, make_predictor())
    assert embed(make_clips(videos, tmp_path / 'out', 'flip'), make_predictor())[1] == 5


@pytest.mark.parametrize(
    ('times', 'predictor', 'named'),
    [
        pytest.param({}, {}, '01234', id='whole'),
        pytest.param({'start_s': 0.2}, {}, '', id='from later on'),
        # 5 and 8 frames, which end before that; and a clip of 8
        pytest.param({'end_s': 0.8}, {}, '01234', id='the clip alone'),
        pytest.param({'end_s': 0.6}, {}, '3', id='less than a clip'),
        pytest.param({'fps': 20.0}, {}, '', id='another rate'),
        pytest.param({}, {'window_s': 1.2, 'hop_s': 0.5}, '01234', id='longer windows'),
        pytest.param({}, {'window_s': 0.5}, '3', id='shorter windows'),
    ],
)
def test_what_begins_with_other_frames_has_no_name(videos, tmp_path, times, predictor, named):
    write_corpus(tmp_path / 'out', videos, make_predictor(**predictor), **times)
    rows = open_results(tmp_path / 'out').to_table(columns=['id', CLIP, MODEL]).to_pylist()
    assert ''.join(row['id'] for row in rows if row[CLIP]) == named
    assert all(row[MODEL] for row in rows)
    assert CorpusEmbeddings(tmp_path / 'out').count_unnamed() == 5 - len(named)
    # and what has one is what training computes
    found, number = embed(make_clips(videos, tmp_path / 'out'), make_predictor())
    assert number == 5 - len(named)
    computed, _ = embed(make_clips(videos, None), make_predictor())
    torch.testing.assert_close(found, computed, rtol=1e-6, atol=1e-6)


def test_a_folder_of_pictures_has_no_name(videos, tmp_path):
    folder = tmp_path / 'pictures'
    folder.mkdir()
    for number, frame in enumerate(iterate_frames(videos / '0.mp4')):
        Image.fromarray(frame.image).save(folder / f'{number:03}.png')
    predictor = make_predictor()
    result = predictor.predict(folder, fps=FPS)
    assert predictor.name_clip(folder, result, fps=FPS)['features_clip'] is None


def test_what_is_not_finite_is_computed_again(videos, tmp_path):
    write_corpus(tmp_path / 'out', videos, make_predictor())
    rows = open_results(tmp_path / 'out').to_table().to_pylist()
    rows[0]['features'][0][0] = float('nan')
    write_part(tmp_path / 'out', 0, *rows)
    assert embed(make_clips(videos, tmp_path / 'out'), make_predictor())[1] == 1


def test_a_corpus_without_embeddings_is_refused(tmp_path):
    write_part(tmp_path, 0, make_row('a', count=1))
    with pytest.raises(ValueError, match=r'must have embeddings of clips, got .* features_clip, '):
        CorpusEmbeddings(tmp_path)
    with pytest.raises(FileNotFoundError, match='results must be in a folder'):
        CorpusEmbeddings(tmp_path / 'none')


def test_packages_that_are_missing_are_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, 'mmotion.corpus.reading', None)
    with pytest.raises(ImportError, match=r'pip install "mmotion\[corpus\]"'):
        CorpusEmbeddings(tmp_path)
