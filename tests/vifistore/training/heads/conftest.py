"""A store of cached frames that a tiny model could have made, and settings that learn at once."""

import numpy as np
import pytest

from tests.support import plain_recipe, video_table, write_features
from vifistore.models.openclip_model import OpenClipModel
from vifistore.models.towers import load_model
from vifistore.store.dataset import write_videos
from vifistore.store.names import set_name
from vifistore.store.schema import BLOCK_SIZE
from vifistore.store.splits import Split, write_split
from vifistore.store.store import Store, create_store

CLASSES = ["red run", "blue jump", "fall"]
NUM_VIDEOS, NUM_VIEWS, NUM_FRAMES, DIM = BLOCK_SIZE + 8, 2, 4, 64
LEARN = {"epochs": 12, "learning_rate": 3e-3, "batch_size": 24}


def cached_frames(seed: int = 0) -> np.ndarray:
    """[video view frame dim]: the class of a video is the place of its one bright frame."""
    rng = np.random.default_rng(seed)
    frames = rng.normal(size=(NUM_VIDEOS, NUM_VIEWS, NUM_FRAMES, DIM))
    bright = rng.normal(size=DIM) * 3
    for video in range(NUM_VIDEOS):
        frames[video, :, video % len(CLASSES)] += bright
    return frames.astype(np.float32)


def add_features(store: Store, dataset: str, tiny: OpenClipModel, name: str, seed: int = 0) -> str:
    """Write a dataset with a split `train` and one sealed feature set of the tiny model."""
    table = video_table(NUM_VIDEOS, CLASSES)
    write_videos(store.new_dataset(dataset), table, CLASSES, "/nowhere")
    rows = np.arange(NUM_VIDEOS)
    labels = rows % len(CLASSES)
    split = Split(
        name="train",
        rows=rows,
        labels=labels.astype(np.int32),
        class_names=CLASSES,
        source="",
        digest="",
    )
    write_split(store.dataset(dataset), split)
    checkpoint = store.add_checkpoint(tiny.record())
    recipe = plain_recipe(tiny.image_digest, frames=NUM_FRAMES, clips=NUM_VIEWS)
    writer = write_features(store, dataset, recipe, cached_frames(seed))
    writer.seal()
    writer.release()
    set_name(store.dataset(dataset), name, writer.id, checkpoint, force=False)
    return checkpoint


@pytest.fixture(scope="session")
def tiny() -> OpenClipModel:
    """The demo's model with random weights."""
    return load_model("vifi-tiny", "none")


@pytest.fixture
def store(tmp_path, tiny, monkeypatch) -> Store:
    """A store with dataset `d`, feature set `base` and split `train`; the folder is the current."""
    monkeypatch.chdir(tmp_path)
    store = create_store(tmp_path / "s.zarr")
    add_features(store, "d", tiny, "base")
    return store
