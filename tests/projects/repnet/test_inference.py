import itertools

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate

from mmotion.config import load_config
from mmotion.inference import load_model
from mmotion.regions import Region
from mmotion.registry import TRANSFORMS
from mmotion.video import VideoWriter, inspect_video, iterate_frames, read_frames
from mmotion.video.sources import open_source
from projects.repnet.inference import CHUNK_FRAMES, RepetitionPredictor
from projects.repnet.results import RepetitionCount, RunningCount

PIPELINE = [dict(type='PackRepetitionInputs')]
PARTS = [(90, 15), (70, 0), (140, 20)]


@pytest.fixture
def make_predictor(make_oracle):
    def make(*, report_every_s=1.0, **counting):
        return RepetitionPredictor(
            config=Config(dict(test_pipeline=PIPELINE)),
            model=make_oracle(**counting).eval(),
            report_every_s=report_every_s,
        )

    return make


@pytest.fixture(scope='module')
def shapes_predictor():
    """The bundled config with random weights, made to disagree with itself."""
    torch.manual_seed(0)
    config = load_config('repnet_shapes', {'model.counting.threshold': 0.2})
    predictor = load_model(config, 'random', device='cpu')
    with torch.no_grad():
        predictor.model.period_head.layers[-1].weight *= 30
        predictor.model.periodicity_head.layers[-1].bias += 3
    return predictor


@pytest.fixture(scope='module')
def video_file(tmp_path_factory):
    """100 frames of two moving discs, 96 x 72."""
    path = tmp_path_factory.mktemp('videos') / 'discs.mp4'
    rows, columns = np.mgrid[:72, :96]
    with VideoWriter(path, fps=25.0) as writer:
        for i in range(100):
            image = np.full((72, 96, 3), 60, np.uint8)
            x = 48 + 30 * np.sin(i / 20 * 2 * np.pi)
            image[(columns - x) ** 2 + (rows - 36) ** 2 < 144] = (250, 180, 40)
            writer.write(image)
    return path


def test_a_video_of_ten_cycles_counts_ten(make_predictor, make_video):
    result = make_predictor().predict(make_video([(200, 20)]), fps=25.0)
    assert isinstance(result, RepetitionCount)
    assert result.count == pytest.approx(10)
    np.testing.assert_allclose(result.period_s_per_frame, 0.8)


@pytest.mark.parametrize('kind', ['list', 'generator'])
def test_frames_from_anywhere_count_the_same(make_predictor, make_video, kind):
    frames = make_video(PARTS)
    whole = make_predictor().predict(frames, fps=30.0)
    source = list(frames) if kind == 'list' else (frame for frame in frames)
    other = make_predictor().predict(source, fps=30.0)
    np.testing.assert_array_equal(whole.count_per_frame, other.count_per_frame)


def test_prediction_equals_testing(shapes_predictor, video_file):
    """What the test loop does with the decoded frames of the same file."""
    images = read_frames(video_file, np.arange(100))
    sample = {'imgs': list(images), 'fps': 25.0}
    for step in shapes_predictor.config.test_pipeline:
        sample = TRANSFORMS.build(step)(sample)
    (tested,) = shapes_predictor.model.test_step(pseudo_collate([sample]))
    predicted = shapes_predictor.predict(video_file)
    assert predicted.count > 0.5
    assert predicted.stride == tested.pred.stride
    np.testing.assert_allclose(
        predicted.count_per_frame, tested.pred.count_per_frame, rtol=0, atol=1e-4
    )
    np.testing.assert_allclose(
        predicted.periodicity_per_frame, tested.pred.periodicity_per_frame, atol=1e-4
    )


def test_a_part_of_a_file(shapes_predictor, video_file):
    result = shapes_predictor.predict(video_file, start_s=1.0, end_s=3.0)
    # as large as the network wants them
    frames = np.stack([frame.scaled(64, 64) for frame in iterate_frames(video_file)])
    same = shapes_predictor.predict(frames[25:75], fps=25.0)
    assert result.num_frames == 50 and result.start_s == pytest.approx(1.0)
    np.testing.assert_allclose(result.count_per_frame, same.count_per_frame, atol=1e-6)
    np.testing.assert_allclose(result.repetition_times_s, same.repetition_times_s + 1, atol=1e-6)


def test_regions_count_like_cropped_videos(shapes_predictor, video_file):
    images = read_frames(video_file, np.arange(100))
    regions = [
        Region(name='middle', boxes_xyxy=[[20, 8, 76, 64]]),
        Region(name='right', boxes_xyxy=[[48, 0, 96, 72]]),
    ]
    found = shapes_predictor.predict_regions(video_file, regions, start_s=0.4, margin=0)
    crops = images[10:, 8:64, 20:76], images[10:, :, 48:]
    for result, crop in zip(found.results, crops, strict=True):
        alone = shapes_predictor.predict(crop, fps=25.0)
        assert (result.num_frames, result.stride, result.start_s) == (90, alone.stride, 0.4)
        np.testing.assert_array_equal(result.count_per_frame, alone.count_per_frame)
        np.testing.assert_array_equal(result.periodicity_per_frame, alone.periodicity_per_frame)
    assert found.results[0].count != found.results[1].count


def test_several_videos_in_one_picture_are_counted_apart(make_predictor, make_video):
    periods = (20, 8, 12)
    videos = [make_video([(240, period)]).repeat(5, 1).repeat(5, 2) for period in periods]
    regions = [
        Region(name=str(period), boxes_xyxy=[[20 * i, 0, 20 * i + 20, 20]])
        for i, period in enumerate(periods)
    ]
    picture = np.concatenate(videos, axis=2)
    found = make_predictor().predict_regions(picture, regions, fps=30.0, margin=0)
    counts = [result.count for result in found.results]
    assert counts == pytest.approx([240 / period for period in periods])


def test_stream_ends_with_the_result_of_predict(make_predictor, make_video):
    frames = make_video(PARTS)
    whole = make_predictor().predict(frames, fps=30.0)
    reports = list(make_predictor().stream(iter(frames), fps=30.0))
    assert all(isinstance(report, RunningCount) for report in reports)
    # about once a second of video, at the end of a chunk, and at the end
    assert [report.num_frames for report in reports] == [*range(32, 300, 32), 300]
    assert reports[-1].count == pytest.approx(whole.count, abs=1e-9)
    assert reports[-1].stride == whole.stride


def test_each_report_is_the_count_of_what_was_seen(make_predictor, make_video):
    frames = make_video(PARTS)
    for report in make_predictor(report_every_s=0.1).stream(frames, fps=30.0):
        seen = make_predictor().predict(frames[: report.num_frames], fps=30.0)
        assert report.count == pytest.approx(seen.count, abs=1e-9)
        # as a person counts too
        assert report.repetitions == report.to_dict()['repetitions'] == seen.repetitions


def test_stream_reports_before_the_video_ends(make_predictor, make_video):
    frames = itertools.cycle(make_video([(160, 20)]))
    report = next(make_predictor().stream(frames, fps=30.0))
    # a second, rounded up to a whole chunk
    assert report.num_frames == 8 * CHUNK_FRAMES


def test_counting_options_are_the_models(make_predictor, make_video):
    frames = make_video([(127, 8)])
    assert make_predictor(tail='drop', strides=(1,)).predict(frames, fps=30.0).count == 8
    assert make_predictor().predict(frames, fps=30.0).count == pytest.approx(127 / 8)


def test_compare_frames_gives_the_first_window(shapes_predictor):
    frames = np.random.default_rng(0).integers(0, 256, (200, 64, 64, 3), dtype=np.uint8)
    source = open_source(frames, fps=30.0).frames()
    matrix = shapes_predictor.compare_frames(source, fps=30.0, stride=2)
    tensor = torch.from_numpy(frames[:128:2]).permute(3, 0, 1, 2)[None] / 127.5 - 1
    with torch.no_grad():
        expected = shapes_predictor.model(tensor).similarity[0]
    np.testing.assert_allclose(matrix, expected, atol=1e-5)
    # the generator has given no more than the window needs
    assert next(source).index <= 128 + CHUNK_FRAMES


def test_compare_frames_of_a_short_video(shapes_predictor):
    source = open_source(np.zeros((10, 64, 64, 3), np.uint8), fps=30.0).frames()
    assert shapes_predictor.compare_frames(source, fps=30.0).shape == (10, 10)


def test_draw(shapes_predictor, video_file, tmp_path):
    result = shapes_predictor.predict(video_file, start_s=1.0)
    files = shapes_predictor.draw(video_file, result, tmp_path / 'new')
    assert [file.name for file in files] == [
        'discs_overlay.mp4',
        'discs_counts.png',
        'discs_similarity.png',
    ]
    info = inspect_video(files[0])
    # enlarged so that text can be read
    assert (info.num_frames, info.fps, info.height) == (75, 25.0, 330)
    assert all(file.stat().st_size > 1000 for file in files)
    assert len(list((tmp_path / 'new').iterdir())) == 3


@pytest.mark.parametrize(
    ('times', 'numbers'),
    [
        # windows of 64 frames at stride 1
        pytest.param({}, range(18, 82), id='middle of the video'),
        pytest.param({'start_s': 1.0}, range(31, 95), id='middle of a part'),
        pytest.param({'start_s': 1.0, 'end_s': 2.0}, range(25, 50), id='a part that is short'),
    ],
)
def test_similarity_is_of_the_frames_that_were_predicted(
    make_predictor, tmp_path, monkeypatch, times, numbers
):
    frames = np.zeros((100, 8, 8, 3), np.uint8)
    frames[..., 0] = np.arange(100)[:, None, None]
    predictor = make_predictor(strides=(1,))
    seen = []

    def note(frames, **_):
        seen.extend(frame.index for frame in itertools.islice(frames, 64))
        return np.eye(4, dtype=np.float32)

    monkeypatch.setattr(predictor, 'compare_frames', note)
    predictor.draw(frames, predictor.predict(frames, fps=25.0, **times), tmp_path)
    assert seen == list(numbers)


def test_draw_an_array(shapes_predictor, tmp_path):
    frames = np.zeros((5, 300, 300, 3), np.uint8)
    result = shapes_predictor.predict(frames, fps=10.0)
    files = shapes_predictor.draw(frames, result, tmp_path)
    assert files[0].name == 'video_overlay.mp4'
    assert inspect_video(files[0]).num_frames == 5


def test_bad_report_interval(make_predictor):
    with pytest.raises(ValueError, match='report_every_s must be above 0, got report_every_s=0'):
        make_predictor(report_every_s=0)
