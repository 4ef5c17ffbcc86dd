"""OpenCLIP's and the hub's manners: no log of theirs, and no waiting for a host that is away."""

import contextlib
import logging
import os
import socket
import threading
import warnings
from collections.abc import Iterator
from urllib.parse import urlparse

_LOADING = threading.Lock()
_loads: list[contextlib.ExitStack] = []


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Silence OpenCLIP's and the hub's logging: what matters is raised or said by us.

    Both are the process's: of loads in several threads the first silences and the last undoes it,
    else one that began within another would put the silence back for good.
    """
    with _LOADING:
        _loads.append(_loads[-1] if _loads else _silence())
    try:
        yield
    finally:
        with _LOADING:
            silence = _loads.pop()
            if not _loads:
                silence.close()


def _silence() -> contextlib.ExitStack:
    silence = contextlib.ExitStack()
    silence.callback(logging.disable, logging.root.manager.disable)
    logging.disable(logging.ERROR)
    silence.enter_context(warnings.catch_warnings())
    warnings.simplefilter("ignore")
    return silence


@contextlib.contextmanager
def offline_if_unreachable() -> Iterator[None]:
    """Let the hub client use its cache alone if its host does not answer.

    Left alone it retries for three quarters of a minute before it says so.
    """
    from huggingface_hub import constants

    previous = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = previous or not _reachable(constants.ENDPOINT)
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = previous


def _reachable(url: str) -> bool:
    if os.environ.get("HTTPS_PROXY") or os.environ.get("https_proxy"):
        return True
    address = urlparse(url)
    try:
        with socket.create_connection((address.hostname, address.port or 443), timeout=5):
            return True
    except OSError:
        return False
