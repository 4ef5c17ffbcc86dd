"""Servers of videos on this machine."""

import pytest

from tests.vifistore.extract.conftest import clips, log, tiny
from tests.vifistore.sources.web_server import serving
from tests.vifistore.store.conftest import bucket, bucket_server

__all__ = ["bucket", "bucket_server", "clips", "log", "tiny"]


@pytest.fixture
def web(tmp_path):
    """A web server of the folder `web` of the test."""
    (tmp_path / "web").mkdir()
    with serving(tmp_path / "web") as server:
        yield server


@pytest.fixture(autouse=True)
def few_tries(monkeypatch):
    """What does not pass is given up early."""
    monkeypatch.setenv("VIFI_NETWORK_TRIES", "3")
