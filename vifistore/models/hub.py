"""OpenCLIP's and the hub's manners: no log of theirs, and no waiting for a host that is away."""

import contextlib
import logging
import os
import socket
import warnings
from collections.abc import Iterator
from urllib.parse import urlparse


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Silence OpenCLIP's and the hub's logging: what matters is raised or said by us."""
    previous = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(previous)


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
