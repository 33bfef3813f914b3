import functools
import hashlib
import http.server
import threading

import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.logging import MMLogger
from mmengine.model import BaseModule
from mmengine.runner import CheckpointLoader, load_checkpoint
from torch import nn

from mmotion.checkpoint import sources
from mmotion.checkpoint.files import CheckpointError


class Module(BaseModule):
    def __init__(self, init_cfg=None):
        super().__init__(init_cfg)
        self.layer = nn.Linear(3, 2)


@pytest.fixture
def saved(tmp_path):
    class Odd:
        pass

    Odd.__qualname__ = 'Odd'
    globals()['Odd'] = Odd
    state_dict = Module().state_dict()
    torch.save({'state_dict': state_dict, 'meta': Odd()}, tmp_path / 'weights.pth')
    return tmp_path / 'weights.pth', state_dict


def test_mmengine_reads_files_here(saved):
    path, state_dict = saved
    model = Module()
    load_checkpoint(model, str(path))
    assert torch.equal(model.layer.weight, state_dict['layer.weight'])


def test_init_cfg_reads_files_here(saved):
    path, state_dict = saved
    model = Module(init_cfg=ConfigDict(type='Pretrained', checkpoint=str(path)))
    # mmengine writes into the files of the last logger, which another test may have closed
    MMLogger.get_instance('test_sources')
    model.init_weights()
    assert torch.equal(model.layer.weight, state_dict['layer.weight'])


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@pytest.fixture
def server(saved, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, 'get_dir', lambda: str(tmp_path / 'cache'))
    handler = functools.partial(QuietHandler, directory=tmp_path)
    with http.server.ThreadingHTTPServer(('127.0.0.1', 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f'http://127.0.0.1:{server.server_port}'
        server.shutdown()


def test_a_url_is_downloaded_once(saved, server, tmp_path):
    url = f'{server}/weights.pth'
    loaded = CheckpointLoader.load_checkpoint(url, 'cpu')
    assert torch.equal(loaded['state_dict']['layer.weight'], saved[1]['layer.weight'])
    saved[0].unlink()
    CheckpointLoader.load_checkpoint(url, 'cpu')


def test_two_urls_whose_files_have_one_name(server, tmp_path):
    for value, folder in enumerate('ab'):
        (tmp_path / folder).mkdir()
        torch.save({'w': torch.tensor([value])}, tmp_path / folder / 'model.pth')
    for _ in range(2):
        for value, folder in enumerate('ab'):
            loaded = CheckpointLoader.load_checkpoint(f'{server}/{folder}/model.pth', 'cpu')
            assert loaded['w'].item() == value


def test_a_name_with_its_hash_is_kept_where_torch_keeps_it_and_checked(saved, server, tmp_path):
    digest = hashlib.sha256(saved[0].read_bytes()).hexdigest()[:8]
    saved[0].rename(tmp_path / f'net-{digest}.pth')
    url = f'{server}/net-{digest}.pth'
    CheckpointLoader.load_checkpoint(url, 'cpu')
    kept = tmp_path / 'cache' / 'checkpoints' / f'net-{digest}.pth'
    torch.save({'w': torch.zeros(1)}, kept)
    with pytest.raises(CheckpointError, match=rf'{kept} must be the file with the SHA-256'):
        CheckpointLoader.load_checkpoint(url, 'cpu')
    # nor is another file kept under this name
    kept.unlink()
    (tmp_path / f'net-{digest}.pth').write_bytes(b'other')
    with pytest.raises(CheckpointError, match=r'that can be downloaded, got .*hash'):
        CheckpointLoader.load_checkpoint(url, 'cpu')
    assert not kept.exists()


def test_a_date_in_a_name_is_no_hash(saved, server, tmp_path):
    """It was refused as not being what its name says, and nothing could be done about it."""
    saved[0].rename(tmp_path / 'net-20230101.pth')
    loaded = CheckpointLoader.load_checkpoint(f'{server}/net-20230101.pth', 'cpu')
    assert torch.equal(loaded['state_dict']['layer.weight'], saved[1]['layer.weight'])


def test_a_url_that_is_not_there(server):
    with pytest.raises(
        CheckpointError, match=r'can be downloaded, got .*none\.pth \(HTTP Error 404'
    ):
        CheckpointLoader.load_checkpoint(f'{server}/none.pth', 'cpu')


def test_a_name_of_a_released_model_leads_to_its_url(saved, server, monkeypatch):
    table = {'toy': f'{server}/weights.pth'}
    monkeypatch.setitem(sources._MODEL_TABLES, 'torchvision://', lambda: table)
    loaded = CheckpointLoader.load_checkpoint('torchvision://toy', 'cpu')
    assert loaded['meta'] is None
    with pytest.raises(CheckpointError, match='must name a model that torchvision has'):
        CheckpointLoader.load_checkpoint('torchvision://none', 'cpu')


@pytest.mark.parametrize('source', ['s3://bucket/a.pth', 'pavi://a', 'mmcls://resnet50'])
def test_sources_that_mmengine_unpickles_are_refused(source):
    with pytest.raises(CheckpointError, match=r'must be a file or an http\(s\) URL'):
        CheckpointLoader.load_checkpoint(source, 'cpu')


def test_mmengine_reads_released_weights_by_their_name(saved, monkeypatch):
    path, state_dict = saved
    monkeypatch.setattr(sources, 'fetch_if_released', lambda name: {'toy': path}[name])
    loaded = CheckpointLoader.load_checkpoint('toy', 'cpu')
    assert torch.equal(loaded['state_dict']['layer.weight'], state_dict['layer.weight'])
