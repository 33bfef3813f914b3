"""Nothing of ours unpickles a file without restriction, nor do the doors of others that we call."""

import ast
import contextlib
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from mmotion.checkpoint import CheckpointError
from tests.test_layout import CORE, ROOT, SYSTEM_FILES, TOOLS, for_each

CONFIGS = sorted(ROOT.glob('configs/**/*.py'))
# functions of these modules give back what a file holds, whatever it is
MODULES = {
    'pickle', 'cPickle', '_pickle', 'marshal', 'shelve', 'dill', 'cloudpickle', 'joblib',
    'jsonpickle',
}  # fmt: skip
READERS = {'load', 'loads', 'Unpickler', 'open', '_load', '_loads', '_Unpickler'}
# doors of others behind which a file is unpickled: pandas, torch.hub, torchvision, torch, mmengine
DOORS = {
    'read_pickle', 'read_hdf', 'HDFStore', 'load_state_dict_from_url', 'get_state_dict',
    'unsafe_load', '_load_checkpoint',
}  # fmt: skip
MUST_SAY = {'torch.load': ('weights_only', True), 'numpy.load': ('allow_pickle', False)}
FORBIDDEN = ('mmengine.load', 'mmengine.fileio.load', 'torch.hub.load', 'torch.jit.load')
ALIASES = {'np': 'numpy'}
# no files: what processes of one run tell each other, which Ray unpickles before we do
BETWEEN_PROCESSES = ROOT / 'mmotion' / 'corpus' / 'ray_engine.py'


def find_unsafe_calls(source: str) -> list[str]:
    """Name the calls of a module that may unpickle anything, each with its line."""
    tree = ast.parse(source)
    names = dict(ALIASES)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.asname: alias.name for alias in node.names if alias.asname}
        elif isinstance(node, ast.ImportFrom):
            names |= {a.asname or a.name: f'{node.module}.{a.name}' for a in node.names}
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            # a restricted one decides itself what a name stands for
            is_restricted = any(getattr(part, 'name', '') == 'find_class' for part in node.body)
            bases = [ast.unparse(base) for base in node.bases]
            if not is_restricted and any(base.endswith('Unpickler') for base in bases):
                found.append(f'{node.name}, line {node.lineno}')
        if not isinstance(node, ast.Call):
            continue
        first, dot, rest = ast.unparse(node.func).partition('.')
        name = f'{names.get(first, first)}{dot}{rest}'
        module, _, last = name.rpartition('.')
        must = MUST_SAY.get(name)
        said = {word.arg: getattr(word.value, 'value', None) for word in node.keywords}
        if (
            (module.split('.')[0] in MODULES and last in READERS)
            or last in DOORS
            or name in FORBIDDEN
            or (must and said.get(must[0]) is not must[1])
            or any(said.get(key, value) is not value for key, value in MUST_SAY.values())
        ):  # fmt: skip
            found.append(f'{name}, line {node.lineno}')
    return found


@for_each([file for file in CORE + SYSTEM_FILES + TOOLS + CONFIGS if file != BETWEEN_PROCESSES])
def test_no_call_of_ours_unpickles_freely(file):
    assert not find_unsafe_calls(file.read_text(encoding='utf-8'))


@pytest.mark.parametrize(
    'code',
    [
        'torch.load(path)',
        'torch.load(path, weights_only=False)',
        'from torch import load as read\nread(path)',
        'np.load(path)',
        'np.load(path, allow_pickle=True)',
        'import pickle as p\np.loads(content)',
        'from pickle import Unpickler\nUnpickler(file).load()',
        'class Mine(pickle.Unpickler):\n    pass',
        'pd.read_pickle(path)',
        'weights.get_state_dict(progress=True)',
        'from mmengine import load\nload(path)',
        'reader.read(path, allow_pickle=True)',
    ],
)
def test_such_calls_are_found(code):
    assert find_unsafe_calls(code)


def test_what_is_restricted_passes():
    assert not find_unsafe_calls(
        'class Plain(pickle.Unpickler):\n    def find_class(self, module, name): ...\n'
        'Plain(file).load()\ntorch.load(path, weights_only=True)\nnp.load(f, allow_pickle=False)\n'
    )


class Trap:
    """Makes a file when it is unpickled."""

    def __init__(self, bait):
        self.bait = str(bait)

    def __reduce__(self):
        return open, (self.bait, 'w')


def plant(path, bait):
    """Write a file that makes another one, when it is read as what its suffix says."""
    content = {'state_dict': {'w': torch.zeros(1)}, 'trap': Trap(bait)}
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix in ('.pth', '.bin'):
        torch.save(content, path)
    elif path.suffix == '.npy':
        np.save(path, np.array([Trap(bait)], dtype=object), allow_pickle=True)
    elif path.suffix == '.h5':
        h5py = pytest.importorskip('h5py')
        with h5py.File(path, 'w') as file:
            group = file.create_group('tracks')
            group.attrs['pandas_type'] = 'frame_table'
            for name in ('non_index_axes', 'info'):
                group.attrs[name] = np.void(pickle.dumps(Trap(bait)))
    else:
        path.write_bytes(pickle.dumps(content))


def read_checkpoint(path):
    from mmotion.checkpoint import load_checkpoint_file

    load_checkpoint_file(path)


def read_by_mmengine(path):
    from mmengine.runner import CheckpointLoader

    from mmotion.checkpoint import sources  # noqa: F401

    CheckpointLoader.load_checkpoint(str(path))


def read_init_cfg(path):
    from mmengine.model import BaseModule

    from mmotion.checkpoint import sources  # noqa: F401

    BaseModule(init_cfg={'type': 'Pretrained', 'checkpoint': str(path)}).init_weights()


def read_by_url(path):
    from mmotion.checkpoint.sources import load_from_http

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.hub, 'get_dir', lambda: str(path.parent / 'cache'))
        patch.setattr(torch.hub, 'download_url_to_file', lambda _, to, *__: path.rename(to))
        load_from_http('https://example.org/model.pth')


def read_by_timm(path):
    import timm.models._hub as hub

    from mmotion.checkpoint import load_image_weights

    def download(repo_id, filename, **_):
        if filename.endswith('.safetensors'):
            raise hub.EntryNotFoundError('none')
        return str(path)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hub, 'hf_hub_download', download)
        load_image_weights('resnet18.a1_in1k')


def read_poses(path):
    from mmotion.keypoints.arrays import read_mmaction_pickle

    read_mmaction_pickle(path)


def read_array(path):
    from mmotion.keypoints.arrays import read_pose_array
    from mmotion.keypoints.skeletons import COCO17

    read_pose_array(path, skeleton=COCO17, fps=30.0)


def read_annotations(path):
    from projects.bkind.export import read_annotations

    read_annotations(path)


READ_BY = {
    'model.pth': (read_checkpoint, read_by_mmengine, read_init_cfg, read_by_url),
    'pytorch_model.bin': (read_by_timm,),
    'poses.pkl': (read_poses,),
    'poses.npy': (read_array,),
    'tracks.h5': (read_annotations,),
}


@pytest.mark.parametrize(
    ('name', 'read'), [(name, read) for name, readers in READ_BY.items() for read in readers]
)
def test_no_door_runs_what_a_file_holds(tmp_path, name, read):
    bait, path = tmp_path / 'ran', tmp_path / name
    plant(path, bait)
    assert not bait.exists()
    # what fails is said in our words
    with contextlib.suppress(CheckpointError, ValueError):
        read(path)
    assert not bait.exists()


@pytest.mark.parametrize('name', READ_BY)
def test_the_traps_work(tmp_path, name):
    plant(tmp_path / name, tmp_path / 'ran')
    path, suffix = tmp_path / name, Path(name).suffix
    if suffix in ('.pth', '.bin'):
        torch.load(path, weights_only=False)
    elif suffix == '.npy':
        np.load(path, allow_pickle=True)
    elif suffix == '.pkl':
        pickle.loads(path.read_bytes())
    else:
        h5py = pytest.importorskip('h5py')
        with h5py.File(path) as file:
            pickle.loads(bytes(file['tracks'].attrs['info']))
    assert (tmp_path / 'ran').exists()


def test_training_and_predicting_unpickle_nothing(tmp_path):
    # Python tells of every class that an unrestricted unpickler looks up
    code = f"""
import sys
from mmotion.compat import apply_compat
apply_compat()
from mmotion.training.runner import build_runner
from mmotion.config import load_config
from mmotion.inference import load_model

def watch(event, arguments):
    if event == 'pickle.find_class':
        raise SystemExit(f'unpickled: {{arguments}}')

config = load_config({str(ROOT / 'tests' / 'toy' / 'toy.py')!r}, {{'log_level': 'ERROR'}})
sys.addaudithook(watch)
for epochs in (1, 2):
    config.train_cfg.max_epochs = epochs
    build_runner(config, work_dir={str(tmp_path)!r}, resume='auto').train()
load_model(config, {str(tmp_path / 'epoch_2.pth')!r})
print('done')
"""
    done = subprocess.run([sys.executable, '-c', code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.endswith('done\n'), done.stderr[-2000:]


@pytest.mark.parametrize(
    'module',
    ['projects.anomaly.backbones', 'projects.example_project.models', 'mmotion.inference.load'],
)
def test_a_class_that_is_built_without_the_registry_reads_safely_too(module):
    code = (
        f'import importlib, mmotion.paths; mmotion.paths.enable_projects()\n'
        f'importlib.import_module({module!r})\n'
        'from mmengine.runner import CheckpointLoader\n'
        'print({f.__module__ for f in CheckpointLoader._schemes.values()})'
    )
    done = subprocess.run([sys.executable, '-c', code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout == "{'mmotion.checkpoint.sources'}\n", done.stdout + done.stderr[-2000:]
