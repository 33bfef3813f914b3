"""Ask the Hugging Face hub, from which timm fetches weights, without waiting where it is not there.

`huggingface_hub` tries each of several names six times, with growing pauses: 3.6 minutes on a
machine without a network.
"""

import errno
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

from mmotion.checkpoint.files import CheckpointError

# how long the hub has to answer
TIMEOUT_S = 5.0
_NO_ROUTE = (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN)


@contextmanager
def ask_hub(what: str, *, remedy: str) -> Iterator[None]:
    """Name what cannot be fetched within the block; look into the cache alone if nothing answers.

    Args:
        what: The option, and its value.
        remedy: How to go on without.

    Raises:
        CheckpointError: If it can be had neither from the hub nor from its cache.
    """
    # timm brings it
    from huggingface_hub import constants
    from huggingface_hub.utils import LocalEntryNotFoundError

    was_offline = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = was_offline or not answers(constants.ENDPOINT)
    try:
        yield
    except (OSError, RuntimeError) as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        is_uncached = isinstance(error, LocalEntryNotFoundError)
        reason = 'no network, and not in the cache' if is_uncached else lines[0]
        raise CheckpointError(
            f'init must name weights that timm can fetch, got {what} ({reason}); fetch them by '
            f'other means and give the file, or begin with random weights: {remedy}'
        ) from error
    finally:
        constants.HF_HUB_OFFLINE = was_offline


def answers(url: str) -> bool:
    """Whether a server, or the proxy before it, says anything at all."""
    try:
        # goes through a proxy where there is one
        urllib.request.urlopen(urllib.request.Request(url, method='HEAD'), timeout=TIMEOUT_S)
    except urllib.error.HTTPError:
        return True
    except urllib.error.URLError as error:
        # certificates, for instance, are another matter, which the client may know how to settle
        is_gone = isinstance(error.reason, socket.gaierror | ConnectionError | TimeoutError)
        return not is_gone and getattr(error.reason, 'errno', None) not in _NO_ROUTE
    except (ConnectionError, TimeoutError):
        return False
    return True
