import socket
import ssl
import urllib.error

import pytest
from huggingface_hub import constants
from huggingface_hub.utils import LocalEntryNotFoundError

from mmotion.checkpoint import CheckpointError, ask_hub


def answer(monkeypatch, result):
    asked = []

    def urlopen(request, timeout):
        asked.append(request.full_url)
        if isinstance(result, Exception):
            raise result

    monkeypatch.setattr('urllib.request.urlopen', urlopen)
    return asked


GONE = urllib.error.URLError(socket.gaierror('no such name'))
REFUSED = urllib.error.HTTPError('https://huggingface.co', 403, 'no', {}, None)
UNTRUSTED = urllib.error.URLError(ssl.SSLError('of a proxy'))


@pytest.mark.parametrize(
    ('result', 'is_offline'),
    [
        pytest.param(GONE, True, id='no network'),
        pytest.param(urllib.error.URLError(TimeoutError()), True, id='no answer'),
        pytest.param(urllib.error.URLError(OSError(101, 'no route')), True, id='no route'),
        pytest.param(None, False, id='there'),
        pytest.param(REFUSED, False, id='there, but says no'),
        pytest.param(UNTRUSTED, False, id='a certificate of a proxy'),
    ],
)
def test_the_cache_alone_is_asked_where_the_hub_does_not_answer(monkeypatch, result, is_offline):
    monkeypatch.setattr(constants, 'HF_HUB_OFFLINE', False)
    answer(monkeypatch, result)
    with ask_hub('resnet18', remedy='init=None'):
        assert constants.HF_HUB_OFFLINE is is_offline
    assert constants.HF_HUB_OFFLINE is False


def test_who_says_that_there_is_no_hub_is_believed(monkeypatch):
    monkeypatch.setattr(constants, 'HF_HUB_OFFLINE', True)
    asked = answer(monkeypatch, None)
    with ask_hub('resnet18', remedy='init=None'):
        assert constants.HF_HUB_OFFLINE is True
    assert constants.HF_HUB_OFFLINE is True and asked == []


def test_what_cannot_be_had_is_named_with_the_ways_out(monkeypatch):
    answer(monkeypatch, GONE)
    message = r'got resnet18 \(no network, and not in the cache\); fetch them .*: init=None'
    with (
        pytest.raises(CheckpointError, match=message),
        ask_hub('resnet18', remedy='init=None'),
    ):
        raise LocalEntryNotFoundError('Cannot find the requested files in the disk cache')
    assert constants.HF_HUB_OFFLINE is False
