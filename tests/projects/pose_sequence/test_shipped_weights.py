"""The weights that ship name the activities of generated people, of arrays and of files."""

import numpy as np
import pytest

from mmotion.config import load_config
from mmotion.inference import load_model
from mmotion.keypoints.files import write_poses
from mmotion.keypoints.poses import Person, PoseVideo
from mmotion.keypoints.skeletons import FIGURE
from mmotion.registry import DATASETS
from projects.pose_sequence.shapes_data import ACTIVITIES, FigureActivities

NAME = 'pose_convlstm_shapes'


@pytest.fixture(scope='module')
def predictor():
    return load_model(NAME, device='cpu')


def test_most_activities_are_named(predictor):
    data = load_config(NAME).test_dataloader.dataset
    people = DATASETS.build({**data, 'num_sequences': 160})
    batch = predictor.collate([people[i] for i in range(len(people))])
    samples = predictor.model(**batch, mode='predict')
    right = [int(sample.pred_score.argmax()) == int(sample.gt_label) for sample in samples]
    # of 800 it is 0.99
    assert np.mean(right) >= 0.9


def test_files_of_keypoints_get_the_names_of_their_activities(predictor, tmp_path):
    named = 0
    for sequence in FigureActivities(split='test', num_sequences=8, pipeline=[]):
        found = [
            (Person(keypoints=points, scores=scores, score=1.0),)
            for points, scores in zip(sequence['keypoints'], sequence['scores'], strict=True)
        ]
        poses = PoseVideo(
            source='person.mp4',
            fps=sequence['fps'],
            width=sequence['width'],
            height=sequence['height'],
            num_frames=len(found),
            detector='generated',
            skeleton=FIGURE,
            frame_indices=np.arange(len(found)),
            frames=tuple(found),
        )
        write_poses(poses, tmp_path / 'person.json')
        result = predictor.predict(tmp_path / 'person.json')
        assert result.classes == ACTIVITIES
        named += result.label == ACTIVITIES[sequence['label']]
    assert named >= 6
