import subprocess
import sys

import pytest

from mmotion.serving.models import list_models


def test_what_ships_with_weights_is_offered_the_default_first():
    models = list_models()
    counters = [model.name for model in models.values() if model.system == 'repnet']
    assert counters[0] == 'repnet_small' and {'repnet_pose', 'repnet_multirate'} < {*counters}
    # it varies the data of another one alone
    assert 'repnet_multirate_untrimmed' not in models and 'repnet_shapes' not in models
    assert all(model.title and model.checkpoint is None for model in models.values())


def test_more_are_offered_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ('a/b.pth', 'x.pth'):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / 'mine.py').write_text("# Mine; here; good.\n_base_ = ['nowhere.py']\n")
    models = list_models(
        ['squats=repnet_shapes:a/b.pth', f'mine={tmp_path}/mine.py:x.pth', 'k400=timesformer_k400']
    )
    assert [*models][:3] == ['squats', 'mine', 'k400']
    assert models['squats'].system == 'repnet' and models['squats'].checkpoint == 'a/b.pth'
    assert models['mine'].title == 'Mine' and models['mine'].checkpoint == 'x.pth'
    assert models['k400'].checkpoint is None and models['k400'].system == 'timesformer'


def test_one_takes_the_place_of_another(tmp_path):
    (tmp_path / 'a.pth').touch()
    models = list_models([f'repnet_small=repnet_shapes:{tmp_path}/a.pth'])
    assert models['repnet_small'].checkpoint == f'{tmp_path}/a.pth'


def test_weights_that_are_not_there_are_said_at_once():
    with pytest.raises(FileNotFoundError, match='weights that are there'):
        list_models(['mine=repnet_shapes:a.pth'])
    assert list_models(['k=timesformer_k400:timesformer_base_k400'])['k'].checkpoint


def test_a_model_of_keypoints_belongs_to_its_system():
    assert list_models(['poses=pose_lstm_shapes'])['poses'].system == 'pose_sequence'


@pytest.mark.parametrize('text', ['repnet_small', '=repnet_small', 'a b=repnet_small', 'a='])
def test_a_wrong_text_is_refused(text):
    with pytest.raises(ValueError, match='--model must be NAME=CONFIG'):
        list_models([text])


def test_an_unknown_config_is_refused():
    with pytest.raises(FileNotFoundError, match='did you mean repnet_small'):
        list_models(['a=repnet_smal'])


def test_neither_torch_nor_a_decoder_is_loaded():
    text = (
        'import sys, mmotion.serving.service, mmotion.serving.models as m; m.list_models(); '
        'print({"torch", "av", "cv2", "mmengine"} & {*sys.modules})'
    )
    shown = subprocess.run([sys.executable, '-c', text], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == 'set()'
