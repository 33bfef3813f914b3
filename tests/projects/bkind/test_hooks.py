"""Pictures of a training: when they are written, and what they show."""

import cv2
import numpy as np
import pytest
import torch

from mmotion.training.runner import build_runner
from projects.bkind.hooks import CELL_PX, COLUMNS, TITLE_PX, KeypointPicturesHook, draw_inspection

from .test_inference import SIZE, config

__all__ = ['config']


@pytest.mark.parametrize('has_val', [False, True], ids=['training set', 'validation set'])
def test_pictures_are_written_every_second_epoch(config, tmp_path, has_val):
    if has_val:
        config.val_dataloader = config.train_dataloader
        config.val_cfg = {}
        config.val_evaluator = {'type': 'DumpResults', 'out_file_path': str(tmp_path / 'r.pkl')}
        config.train_cfg.val_interval = 10
    runner = build_runner(config, work_dir=tmp_path / 'run')
    runner.train()
    pictures = sorted(path.name for path in (tmp_path / 'run').rglob('*.png'))
    assert pictures == ['keypoints_2.png', 'keypoints_4.png']
    path = next((tmp_path / 'run').rglob('keypoints_4.png'))
    assert cv2.imread(str(path)).shape == (TITLE_PX + 2 * CELL_PX, len(COLUMNS) * CELL_PX, 3)


def test_pictures_show_what_the_model_sees():
    images = torch.zeros(1, 2, 3, SIZE, SIZE)
    images[0, 1] = 1
    target = torch.zeros(1, 3, SIZE, SIZE)
    target[..., : SIZE // 2] = 0.4
    heat_maps = torch.zeros(1, 2, 1, 8, 8)
    heat_maps[0, 0, 0, 7, 0] = 1
    picture = draw_inspection(
        {
            'images': images,
            'target': target,
            'reconstruction': target / 2,
            'heat_maps': heat_maps,
            'keypoints': torch.tensor([[[[-1.0, 1.0]], [[1.0, 1.0]]]]),
        }
    )
    cells = np.split(picture[TITLE_PX:], len(COLUMNS), axis=1)
    assert cells[0].max() == 0 and cells[1].min() == 255
    # stretched to the range of the target
    assert cells[2][80, 10].tolist() == [255] * 3 and cells[2][80, 150].tolist() == [0] * 3
    assert cells[3][80, 10].tolist() == [128] * 3
    # lower left corner: x = -1, y = 1
    assert cells[4][-1, 0].max() > 200 and cells[4][0, -1].max() == 0
    assert cells[5][-1, 0].max() > 200 and cells[5][0, 0].max() == 0
    # and a line to the lower right one
    assert cells[5][-1, 80].min() > 200


@pytest.mark.parametrize('wrong', [{'interval': 0}, {'num_samples': 0}])
def test_wrong_numbers_of_the_hook_are_refused(wrong):
    with pytest.raises(ValueError, match='interval and num_samples must be at least 1'):
        KeypointPicturesHook(**wrong)


def test_pictures_reach_tensorboard(config, tmp_path):
    accumulator = pytest.importorskip('tensorboard.backend.event_processing.event_accumulator')
    config.train_cfg.max_epochs = 2
    config.visualizer.vis_backends.append({'type': 'TensorboardVisBackend'})
    build_runner(config, work_dir=tmp_path / 'run').train()
    assert len(list((tmp_path / 'run').rglob('keypoints_2.png'))) == 1
    (events,) = (tmp_path / 'run').rglob('events.out.tfevents*')
    found = accumulator.EventAccumulator(str(events))
    found.Reload()
    assert [image.step for image in found.Images('keypoints')] == [2]
