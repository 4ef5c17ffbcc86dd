"""A store over a few small real videos, and the tiny model."""

import logging
from pathlib import Path

import av
import numpy as np
import pytest

from vifistore.models.openclip_model import OpenClipModel
from vifistore.models.towers import load_model
from vifistore.scanning.scan import scan_new
from vifistore.store.store import Store, create_store
from vifistore.videos.listing import read_source


def write_clip(path: Path, *, seed: int, num_frames: int = 12, size: tuple[int, int] = (64, 48)):
    """A H.264 clip of moving colours at 25 frames per second."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    picture = rng.integers(0, 256, (size[1] // 8, size[0] // 8, 3), dtype=np.uint8)
    picture = picture.repeat(8, 0).repeat(8, 1)
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        for number in range(num_frames):
            image = np.roll(picture, 3 * number, axis=1)
            for packet in stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")):
                output.mux(packet)
        for packet in stream.encode():
            output.mux(packet)


def scan(store_path: Path, source: Path, dataset: str = "d") -> Store:
    """Scan a folder as the verb does."""
    store = create_store(store_path)
    scan_new(store.new_dataset(dataset), read_source(source), append=True)
    return store


@pytest.fixture(scope="session")
def clips(tmp_path_factory) -> Path:
    """Six clips in two class folders."""
    folder = tmp_path_factory.mktemp("clips")
    for number in range(6):
        label = "red run" if number % 2 else "blue jump"
        write_clip(folder / label / f"{number}.mp4", seed=number)
    return folder


@pytest.fixture(scope="session")
def tiny() -> OpenClipModel:
    """The demo's model with random weights."""
    return load_model("vifi-tiny", "none")


@pytest.fixture
def store(tmp_path: Path, clips: Path) -> Store:
    """A store of the clips, with nothing extracted."""
    return scan(tmp_path / "s.zarr", clips)


@pytest.fixture
def log():
    """Lines of the log."""
    lines: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())
    logger = logging.getLogger("vifi")
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield lines
    logger.removeHandler(handler)
    logger.setLevel(level)
