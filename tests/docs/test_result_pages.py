"""What the five systems write is as its JSON Schema says, to the last entry."""

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip('jsonschema', reason='pip install -r requirements/dev.txt')
pytest.importorskip('sphinx', reason='pip install -r requirements/docs.txt')
import jsonschema
import result_pages

from mmotion.cli import main
from mmotion.keypoints.files import write_poses
from mmotion.keypoints.skeletons import COCO17, FIGURE
from mmotion.shapes import MotionShapes
from tests.pose_videos import make_video
from tests.random_weights import make_checkpoint
from tests.video_files import encode

PAGES = result_pages.make_pages()
RESULTS_PAGE = Path(__file__).resolve().parents[2] / 'docs' / 'reference' / 'results.md'
NO_INIT = ('--cfg-options', 'model.backbone.init=None')
# config, its source, more of the command line, schema of the file, schema of a line: none with
# regions, and none of keypoint files, which nobody streams
SYSTEMS = [
    pytest.param('repnet_small', 'clip.mp4', (), 'repetition_count', 'running_count', id='repnet'),
    pytest.param('repnet_pose', 'coco.json', (), 'region_results', '', id='people'),
    pytest.param('repnet_small', 'clip.mp4', ('--regions', 'a=0,0,48,96'), 'region_results', '',
                 id='regions'),
    pytest.param('timesformer_shapes', 'clip.mp4', (), 'action_scores', 'running_scores',
                 id='timesformer'),
    pytest.param('pose_convlstm_shapes', 'figure.json', (), 'pose_scores', '', id='pose_sequence'),
    pytest.param('bkind_shapes', 'clip.mp4', (), 'keypoint_tracks', 'frame_keypoints', id='bkind'),
    pytest.param('anomaly_shapes', 'clip.mp4', NO_INIT, 'anomaly_scores', 'running_anomaly',
                 id='anomaly'),
]  # fmt: skip


def read_schema(name: str) -> dict[str, Any]:
    schema = json.loads(PAGES[f'results/{name}.schema.json'])
    jsonschema.Draft202012Validator.check_schema(schema)
    return schema


@pytest.fixture(scope='module')
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a video, and with the keypoints of a drawn figure and of two people."""
    folder = tmp_path_factory.mktemp('sources')
    frames = MotionShapes(split='test', size=96, num_frames=(60, 60))[1].render()[:, :80]
    encode(folder / 'clip.mp4', frames)
    write_poses(make_video(40, skeleton=FIGURE, nobody=(8,)), folder / 'figure.json')
    write_poses(make_video(60, skeleton=COCO17, people=2), folder / 'coco.json')
    return folder


@pytest.mark.parametrize(('config', 'source', 'options', 'file', 'line'), SYSTEMS)
def test_what_is_written_is_as_told(config, source, options, file, line, sources, tmp_path):
    words = ['predict', config, str(sources / source)]
    if not config.startswith('repnet'):
        options = ('--checkpoint', str(make_checkpoint(config, tmp_path)), *options)
    assert main([*words, *options, '--out', str(tmp_path / 'out')]) == 0
    written = json.loads((tmp_path / 'out' / source).with_suffix('.json').read_text())
    jsonschema.validate(written, read_schema(file))
    assert {'video', 'config', 'checkpoint', 'made_from'} <= written.keys()

    if line:
        lines = tmp_path / 'lines.jsonl'
        assert main([*words, *options, '--json-lines', str(lines)]) == 0
        answers = [json.loads(text) for text in lines.read_text().splitlines()]
        assert answers
        allowed = read_schema(line)
        # a line says which video it is about
        allowed['properties'] |= result_pages.OF_FILES
        for answer in answers:
            jsonschema.validate(answer, allowed)


@pytest.mark.parametrize('name', result_pages.make_results())
def test_each_entry_is_explained(name):
    unexplained = [place for place, found, _ in result_pages.list_fields(read_schema(name))
                   if not found.get('description') and not place.endswith('.*')]  # fmt: skip
    assert not unexplained


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        pytest.param({'confidence': 1.5}, '1.5 is greater than the maximum of 1', id='range'),
        pytest.param({'stride': 1.5}, "1.5 is not of type 'integer'", id='type'),
        pytest.param({'surprise': 1}, 'Additional properties are not allowed', id='unknown'),
        pytest.param({'period_s_per_frame': ['a']}, "'a' is not of type 'number'", id='item'),
    ],
)
def test_a_schema_refuses_what_is_wrong(change, message):
    whole, _ = result_pages.make_results()['repetition_count']
    with pytest.raises(jsonschema.ValidationError, match=message):
        jsonschema.validate(whole.to_dict() | change, read_schema('repetition_count'))


def test_the_page_tells_what_all_files_have():
    section = RESULTS_PAGE.read_text().partition('every file\n')[2].partition('## ')[0]
    assert {row.split('`')[1] for row in section.split('\n') if row.startswith('| `')} == {
        *result_pages.OF_FILES
    }
