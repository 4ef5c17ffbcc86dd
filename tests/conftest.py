"""Fixtures of every test."""

import os
import signal
from pathlib import Path

import pytest

from tests.support import video_table
from vifistore.store.dataset import write_videos
from vifistore.store.store import Store, create_store

SHARED = Path(__file__).parents[2] / "shared"


if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # As a shell has it for its background jobs, and all that they start would inherit.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave slow tests to those who ask for them, as CI does: a loop of minutes is not used."""
    if not os.environ.get("VIFI_LONG"):
        skip = pytest.mark.skip(reason="it takes long; VIFI_LONG=1 runs it")
        for item in items:
            if item.get_closest_marker("slow"):
                item.add_marker(skip)


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder of real clips and lists; the test skips where it is absent."""
    if not SHARED.is_dir():
        pytest.skip("real clips and lists are not beside this checkout")
    return SHARED


@pytest.fixture
def make_store(tmp_path: Path):
    """Make a store with one dataset `d` of `num_videos` videos in classes `class_names`."""

    def make(num_videos: int = 10, class_names: tuple[str, ...] = ("run", "jump")) -> Store:
        store = create_store(tmp_path / "s.zarr")
        names = list(class_names)
        write_videos(store.new_dataset("d"), video_table(num_videos, names), names, str(tmp_path))
        return store

    return make
