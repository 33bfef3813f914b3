"""Embeddings on disk and in memory: found again, never stale, and never worth a run."""

import errno
import multiprocessing
import os

import numpy as np
import pytest
import torch

from mmotion.registry import DATASETS
from projects.anomaly import cache as cache_module
from projects.anomaly.cache import EmbeddedClips, EmbeddingCache
from projects.anomaly.corpus import hash_model
from tests.embedded_clips import make_detector

KEY = 'ab' * 32
VECTOR = np.arange(5, dtype=np.float32)


def numbered(number):
    return f'{number:02x}' * 32


def files_of(folder):
    return sorted(path for path in folder.rglob('*') if path.is_file())


def clips(tmp_path=None, *, batch_size=4, num_workers=0, max_gb=1.0, **options):
    """A data set of 10 painted clips, embedded or not."""
    config = dict(
        type='EmbeddedClips',
        dataset={'type': 'PaintedClips', **options},
        cache_dir=None if tmp_path is None else str(tmp_path / 'cache'),
        max_gb=max_gb,
        batch_size=batch_size,
        num_workers=num_workers,
    )
    return DATASETS.build(config)


def embeddings_of(dataset):
    return torch.stack([dataset[i]['inputs'] for i in range(len(dataset))])


@pytest.fixture
def log(monkeypatch):
    """The lines that are logged."""
    lines = []
    monkeypatch.setattr(cache_module, 'print_log', lambda line, **_: lines.append(line))
    return lines


# --- the folder


def test_an_embedding_is_found_again(tmp_path):
    cache = EmbeddingCache(tmp_path / 'new')
    assert cache.load(KEY) is None
    cache.store(KEY, VECTOR)
    for reader in (cache, EmbeddingCache(tmp_path / 'new')):
        np.testing.assert_array_equal(reader.load(KEY), VECTOR)
    (file,) = files_of(tmp_path)
    assert file == tmp_path / 'new' / 'ab' / f'{KEY}.npy'
    np.testing.assert_array_equal(np.load(file), VECTOR)


@pytest.mark.parametrize(
    'damage',
    [
        pytest.param(lambda content: content[:-7], id='cut off'),
        pytest.param(lambda content: b'', id='empty'),
        pytest.param(lambda content: content[:140] + b'x' + content[141:], id='one byte changed'),
        pytest.param(lambda content: content + b'x', id='longer'),
    ],
)
def test_a_damaged_file_is_removed(tmp_path, log, damage):
    cache = EmbeddingCache(tmp_path)
    cache.store(KEY, VECTOR)
    (file,) = files_of(tmp_path)
    file.write_bytes(damage(file.read_bytes()))
    assert cache.load(KEY) is None
    assert not file.exists()
    assert log == [f'removed a damaged embedding, {file}; it is computed again']
    cache.store(KEY, VECTOR)
    np.testing.assert_array_equal(cache.load(KEY), VECTOR)


def test_what_was_not_used_for_longest_goes_first(tmp_path):
    size = 128 + 4 * 1000 + 16
    # room for ten
    cache = EmbeddingCache(tmp_path, max_gb=10.5 * size / 1e9)
    for number in range(10):
        cache.store(numbered(number), np.full(1000, number, np.float32))
        os.utime(files_of(tmp_path / f'{number:02x}')[0], (number, number))
    assert cache.load(numbered(0)) is not None
    for number in range(10, 13):
        cache.store(numbered(number), np.full(1000, number, np.float32))
    left = {int(path.parent.name, 16) for path in files_of(tmp_path)}
    assert sum(path.stat().st_size for path in files_of(tmp_path)) <= cache.max_bytes
    # 0 was read meanwhile
    assert left >= {0, 5, 6, 7, 8, 9, 10, 11, 12} and not left & {1, 2, 3}


def test_what_a_killed_run_left_counts_and_goes(tmp_path):
    unfinished = tmp_path / 'ab' / '.abab.0123.partial.npy'
    unfinished.parent.mkdir()
    unfinished.write_bytes(bytes(5000))
    os.utime(unfinished, (1, 1))
    EmbeddingCache(tmp_path, max_gb=4000 / 1e9).store(KEY, VECTOR)
    assert [path.name for path in files_of(tmp_path)] == [f'{KEY}.npy']


def test_a_full_disk_ends_storing_and_nothing_else(tmp_path, log, monkeypatch):
    cache = EmbeddingCache(tmp_path)
    cache.store(KEY, VECTOR)

    def fail(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, 'fsync', fail)
    for number in range(3):
        cache.store(numbered(number), VECTOR)
    assert log == [
        f'embeddings are no longer stored in {tmp_path} (No space left on device); the run goes on '
        'without. Make room there, or name another cache_dir'
    ]
    assert [path.name for path in files_of(tmp_path)] == [f'{KEY}.npy']
    np.testing.assert_array_equal(cache.load(KEY), VECTOR)


def write_and_read(folder):
    """Store and load the same 20 embeddings as another process does."""
    cache = EmbeddingCache(folder)
    for number in range(20):
        cache.store(numbered(number), np.full(5000, number, np.float32))
        found = cache.load(numbered(number))
        if found is None or not (found == number).all():
            os._exit(1)
    os._exit(0)


def test_processes_write_the_same_file_at_once(tmp_path):
    context = multiprocessing.get_context('fork')
    processes = [context.Process(target=write_and_read, args=(tmp_path,)) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * 4
    assert [path.name for path in files_of(tmp_path)] == [f'{numbered(n)}.npy' for n in range(20)]


def test_bad_options_of_the_cache(tmp_path):
    with pytest.raises(ValueError, match='max_gb must be above 0, got max_gb=0'):
        EmbeddingCache(tmp_path, max_gb=0)
    (tmp_path / 'file').touch()
    with pytest.raises(NotADirectoryError, match=r'must not be a file, got .*; name another'):
        EmbeddingCache(tmp_path / 'file')
    with pytest.raises(ValueError, match='batch_size must be at least 1, got batch_size=0'):
        clips(batch_size=0)


# --- the data set


def test_embeddings_are_those_of_the_model(tmp_path):
    model, dataset = make_detector(), clips(tmp_path)
    assert not dataset.is_embedded and dataset[3]['inputs'].shape == (1, 3, 2, 4, 4)
    items = [dataset[i] for i in range(10)]
    dataset.embed(model)
    assert dataset.is_embedded and len(dataset) == 10
    for item, index in zip(items, range(10), strict=True):
        batch = model.data_preprocessor(
            {'inputs': [item['inputs']], 'data_samples': [item['data_samples']]}, False
        )
        expected = model.embed(batch['inputs'])[0]
        torch.testing.assert_close(dataset[index]['inputs'], expected)
        assert dataset[index]['inputs'].dtype == torch.float32
        sample = dataset[index]['data_samples']
        assert sample.metainfo == item['data_samples'].metainfo
        assert sample.gt_label == item['data_samples'].gt_label
    dataset.use_clips()
    assert not dataset.is_embedded and dataset[3]['inputs'].shape == (1, 3, 2, 4, 4)
    assert dataset.metainfo['classes'] == ('dark', 'light')


def test_no_clip_is_embedded_twice(tmp_path, log):
    model, cold = make_detector(), clips(tmp_path)
    cold.embed(model)
    cold.embed(model)
    assert model.backbone.passes == 10 and cold.dataset.reads == [*range(10)]
    warm = clips(tmp_path)
    warm.embed(model)
    assert model.backbone.passes == 10 and warm.dataset.reads == []
    assert torch.equal(embeddings_of(warm), embeddings_of(cold))
    for index in range(10):
        one, other = (dataset[index]['data_samples'] for dataset in (cold, warm))
        assert one.metainfo == other.metainfo and one.gt_label == other.gt_label
    folder = tmp_path / 'cache'
    assert log == [
        f'10 embeddings: 0 from {folder}, 10 new',
        f'10 embeddings: 10 from {folder}, 0 new',
    ]


def test_labels_are_never_stale(tmp_path):
    model = make_detector()
    clips(tmp_path).embed(model)
    relabelled = clips(tmp_path, label_shift=1)
    relabelled.embed(model)
    assert relabelled.dataset.reads == []
    assert [int(relabelled[i]['data_samples'].gt_label) for i in range(4)] == [1, 0, 1, 0]


def test_items_are_copies(tmp_path):
    dataset = clips(tmp_path)
    dataset.embed(make_detector())
    before = embeddings_of(dataset)
    item = dataset[0]
    item['inputs'].zero_()
    item['data_samples'].set_field(torch.ones(()), 'error')
    item['data_samples'].set_metainfo({'excluded': True})
    assert torch.equal(embeddings_of(dataset), before)
    assert 'error' not in dataset[0]['data_samples'] and not dataset[0]['data_samples'].excluded


def change_weight(model):
    with torch.no_grad():
        model.backbone.last.bias[0] += 1e-6


def change_statistics(model):
    model.backbone.norm.running_mean += 1e-6


@pytest.mark.parametrize(
    ('change', 'options', 'clip_options'),
    [
        pytest.param(change_weight, {}, {}, id='a weight'),
        pytest.param(change_statistics, {}, {}, id='statistics of a norm'),
        pytest.param(None, dict(order='bgr'), {}, id='an option of the backbone'),
        pytest.param(None, dict(mean=100.0), {}, id='the preprocessor'),
        pytest.param(None, {}, dict(version=2), id='the clips'),
    ],
)
def test_what_has_changed_is_computed_anew(tmp_path, change, options, clip_options):
    first = make_detector()
    clips(tmp_path).embed(first)
    model, dataset = make_detector(**options), clips(tmp_path, **clip_options)
    if change is not None:
        change(model)
    dataset.embed(model)
    assert model.backbone.passes == 10
    if change is not None:
        # also in memory
        change(model)
        dataset.embed(model)
        assert model.backbone.passes == 20


def test_what_makes_no_difference_is_found(tmp_path):
    model = make_detector()
    before = hash_model([model.backbone])
    model.backbone.train()
    model.backbone.requires_grad_(True)
    assert hash_model([model.backbone]) == before
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    other = make_detector()
    other.load_state_dict(state)
    assert hash_model([other.backbone]) == before


def test_the_scorer_does_not_matter(tmp_path):
    clips(tmp_path).embed(make_detector())
    model = make_detector(scorer=dict(type='PCAReconstruction', num_components=2))
    clips(tmp_path).embed(model)
    assert model.backbone.passes == 0


def test_a_run_that_is_stopped_goes_on_from_the_cache(tmp_path, monkeypatch):
    model, dataset = make_detector(), clips(tmp_path)
    embed = model.embed

    def stop(inputs):
        if model.backbone.passes >= 8:
            raise KeyboardInterrupt
        return embed(inputs)

    monkeypatch.setattr(model, 'embed', stop)
    with pytest.raises(KeyboardInterrupt):
        dataset.embed(model)
    assert not dataset.is_embedded
    monkeypatch.undo()
    dataset.embed(model)
    assert model.backbone.passes == 10
    assert dataset.dataset.reads[-2:] == [8, 9]


def test_random_numbers_outside_are_not_touched(tmp_path):
    model, dataset = make_detector().train(), clips(tmp_path, num_workers=1)
    state = torch.get_rng_state()
    dataset.embed(model)
    assert torch.equal(torch.get_rng_state(), state)
    assert model.training


def embed_share(rank, folder):
    """Embed as one of two processes, and write down what came out."""
    # a forked process has none of the threads that its parent computes with
    torch.set_num_threads(1)
    torch.distributed.init_process_group(
        'gloo', init_method=f'file://{folder}/store', rank=rank, world_size=2
    )
    model, dataset = make_detector(), clips(folder, broken=[3], num_clips=9)
    dataset.embed(model, training=True)
    names = [dataset[i]['data_samples'].name for i in range(9)]
    torch.save([embeddings_of(dataset), names, model.backbone.passes], folder / f'{rank}.pth')
    # not to run what pytest does at its end
    os._exit(0)


def test_each_process_does_its_share(tmp_path):
    context = multiprocessing.get_context('fork')
    processes = [context.Process(target=embed_share, args=(rank, tmp_path)) for rank in (0, 1)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    (one, names, passes), (other, same_names, other_passes) = (
        torch.load(tmp_path / f'{rank}.pth') for rank in (0, 1)
    )
    assert torch.equal(one, other) and names == same_names
    assert (passes, other_passes) == (5, 3)
    alone = clips(broken=[3], num_clips=9)
    alone.embed(make_detector(), training=True)
    torch.testing.assert_close(one, embeddings_of(alone))
    assert names == [f'train_{number}' for number in (0, 1, 2, 4, 4, 5, 6, 7, 8)]


def test_generated_clips_stay_in_memory(tmp_path):
    config = dict(
        type='EmbeddedClips', dataset=dict(type='UnnamedClips'), cache_dir=str(tmp_path / 'cache')
    )
    model, dataset = make_detector(), DATASETS.build(config)
    dataset.embed(model)
    dataset.embed(model)
    assert dataset.dataset.reads == [0, 1, 2, 3]
    assert dataset[2]['data_samples'].name == 'drawn 2'
    assert not (tmp_path / 'cache').exists()


# --- what goes wrong


def test_in_training_another_clip_takes_the_place(tmp_path, log):
    dataset = clips(tmp_path, broken=[2, 3], poisoned=[9])
    dataset.embed(make_detector(), training=True)
    names = [dataset[i]['data_samples'].name for i in range(10)]
    numbers = [0, 1, 4, 4, 4, 5, 6, 7, 8, 0]
    assert names == [f'train_{number}' for number in numbers]
    assert embeddings_of(dataset).isfinite().all()
    assert log[-1] == (
        '3 of 10 clips cannot be embedded, others take their places: train_2 cannot be read; '
        'train_3 cannot be read; train_9 has an embedding that is not finite'
    )


def test_in_testing_it_is_excluded(tmp_path, log):
    model, dataset = make_detector(), clips(tmp_path, broken=[2], poisoned=[9], test_mode=True)
    dataset.embed(model)
    assert [i for i in range(10) if dataset[i]['data_samples'].excluded] == [2, 9]
    assert [dataset[i]['data_samples'].name for i in (2, 9)] == ['train_2', 'train_9']
    assert dataset[9]['inputs'].isnan().all() and len(dataset[9]['inputs']) == 6
    assert 'they are excluded from the scores: train_2 cannot be read; train_9' in log[-1]
    inputs = embeddings_of(dataset)
    samples = model.predict(inputs, [dataset[i]['data_samples'] for i in range(10)])
    assert samples[9].error.isnan() and samples[9].excluded


def test_what_cannot_be_used_is_not_stored(tmp_path):
    model = make_detector()
    clips(tmp_path, broken=[2], poisoned=[9], test_mode=True).embed(model)
    assert len(files_of(tmp_path)) == 8
    repaired = clips(tmp_path)
    repaired.embed(model)
    assert repaired.dataset.reads == [2, 9]


def test_a_broken_clip_of_a_set_that_is_not_in_test_mode(tmp_path):
    dataset = clips(tmp_path, broken=[2])
    dataset.embed(make_detector())
    assert dataset[2]['data_samples'].excluded and dataset[2]['inputs'].isnan().all()


def test_many_problems_are_counted_and_not_all_named(log):
    dataset = clips(num_clips=30, broken=[*range(1, 14)])
    dataset.embed(make_detector(), training=True)
    assert log[-1].startswith('13 of 30 clips cannot be embedded')
    assert log[-1].endswith('train_10 cannot be read; and 3 more')


def test_no_usable_clip():
    dataset = clips(num_clips=2, broken=[0], poisoned=[1])
    message = 'a clip at least must be usable, got 2 of 2 clips cannot be embedded: train_0 cannot'
    with pytest.raises(ValueError, match=message):
        dataset.embed(make_detector())


def test_a_full_disk_does_not_end_the_run(tmp_path, log, monkeypatch):
    def fail(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, 'fsync', fail)
    model, dataset = make_detector(), clips(tmp_path)
    dataset.embed(model)
    dataset.embed(model)
    assert embeddings_of(dataset).isfinite().all() and model.backbone.passes == 10
    assert len([line for line in log if 'No space left on device' in line]) == 1
    assert files_of(tmp_path) == []


def test_a_broken_video_among_files(tmp_path):
    """A video that cannot be decoded and one that is too short, by the data set of tables."""
    pytest.importorskip('projects.anomaly.data')
    from tests.repetition_files import write_video

    for name in ('a', 'b'):
        write_video(tmp_path / f'{name}.mp4')
    (tmp_path / 'broken.mp4').write_bytes((tmp_path / 'a.mp4').read_bytes()[:200])
    rows = ''.join(f'{name}.mp4,0,walk\n' for name in ('a', 'broken', 'b'))
    (tmp_path / 'train.csv').write_text(f'PATH,LABEL,CLASS\n{rows}')
    pipeline = [
        # as much as several times the video
        dict(type='SampleClip', num_frames=4, stride=100),
        dict(type='DecodeClip'),
        dict(type='Resize', scale=(8, 8), keep_ratio=False),
        dict(type='FormatShape', input_format='NCTHW'),
        dict(type='PackActionInputs', meta_keys=('name', 'subset', 'video', 'excluded')),
    ]
    inner = dict(
        type='AnomalyClipDataset',
        ann_files=dict(train=str(tmp_path / 'train.csv')),
        data_root=str(tmp_path),
        pipeline=pipeline,
    )
    config = dict(type='EmbeddedClips', dataset=inner, cache_dir=str(tmp_path / 'cache'))
    # the test video has white frames
    model = make_detector(mean=200.0)
    for _ in range(2):
        dataset = DATASETS.build(config)
        assert isinstance(dataset, EmbeddedClips)
        dataset.embed(model, training=True)
        videos = [dataset[i]['data_samples'].video for i in range(3)]
        assert videos == ['a.mp4', 'b.mp4', 'b.mp4']
    assert model.backbone.passes == 2
