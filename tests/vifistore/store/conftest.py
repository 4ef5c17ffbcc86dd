"""A small store in which everything is there and well."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from benchmarks.bucket_server import BUCKET, BucketServer
from tests.support import block_data, plain_recipe, video_table
from vifistore.store.dataset import write_captions, write_videos
from vifistore.store.names import set_name
from vifistore.store.schema import QUARANTINED
from vifistore.store.splits import Split, write_split
from vifistore.store.store import Store, create_store
from vifistore.store.writer import FeatureWriter, Shape

NUM_VIDEOS = 70
CLASSES = ["run", "jump"]
SHAPE = Shape(video=NUM_VIDEOS, view=1, frame=4, dim=8)
RECORD = {
    "name": "start",
    "model": "vifi-tiny",
    "config": {},
    "weights_path": "",
    "image_digest": "0" * 64,
    "text_digest": "t",
    "logit_scale": 10.0,
    "parent": "",
    "step": 0,
    "settings": {},
}


def frames_of(num_videos: int) -> np.ndarray:
    """float64 [video view frame dim], always the same."""
    return np.random.default_rng(0).normal(size=(num_videos, 1, 4, 8))


def block_of(rows: list[int], *, mended: bool = False) -> dict[str, np.ndarray]:
    """Data of the rows of one block; row 3 is quarantined, unless it is mended."""
    data = block_data(frames_of(max(rows) + 1)[rows])
    data["content_digest"] = np.array([f"digest {row}" for row in rows], object)
    for i in [i for i, row in enumerate(rows) if row == 3 and not mended]:
        data["status"][i] = QUARANTINED
        data["reason"][i] = "empty"
        data["message"][i] = "the file is empty; download it again"
        data["content_digest"][i] = ""
        for name in ("frames", "view_mean", "view_consensus", "timestamps"):
            data[name][i] = np.nan
    return data


def write_all(store: Store, num_videos: int = NUM_VIDEOS) -> FeatureWriter:
    """Write the feature set of dataset `d`, not sealed; the dataset grows with it."""
    if num_videos > len(store.videos("d")):
        write_videos(store.new_dataset("d"), video_table(num_videos, CLASSES), CLASSES, "/videos")
    shape = Shape(video=num_videos, view=1, frame=4, dim=8)
    writer = FeatureWriter(store.dataset("d"), plain_recipe().as_dict(), shape, {"host": "test"})
    for block in writer.todo_blocks():
        rows = writer.todo_rows(block)
        writer.write_block(block, rows, block_of(rows))
    return writer


def make_whole_store(path: Path) -> Store:
    """Videos, a split, captions, a checkpoint, texts, and a sealed feature set with a name."""
    store = create_store(path)
    write_videos(store.new_dataset("d"), video_table(NUM_VIDEOS, CLASSES), CLASSES, "/videos")
    split = Split(
        name="test",
        rows=np.arange(NUM_VIDEOS),
        labels=(np.arange(NUM_VIDEOS) % 2).astype(np.int32),
        class_names=CLASSES,
        source="list.txt",
        digest="abc",
    )
    write_split(store.dataset("d"), split)
    write_captions(store.dataset("d"), [(0, "someone runs"), (1, "someone jumps")])
    fields = {key: RECORD[key] for key in ("text_digest", "logit_scale")}
    fields |= {"class_names": CLASSES, "templates": ["{}"]}
    fields |= {"context_length": 77, "precision": "fp32"}
    store.add_texts(fields, np.random.default_rng(1).normal(size=(2, 1, 8)))
    checkpoint = store.add_checkpoint(RECORD)
    writer = write_all(store)
    writer.seal()
    writer.release()
    set_name(store.dataset("d"), "start", writer.id, checkpoint, force=False)
    return store


@pytest.fixture(scope="session")
def whole_folder(tmp_path_factory) -> Path:
    """Folder of the store, made once; tests work on copies."""
    return make_whole_store(tmp_path_factory.mktemp("whole") / "s.zarr").path


@pytest.fixture
def whole(whole_folder: Path, tmp_path: Path) -> Path:
    """A copy of the store's folder, to be damaged."""
    return Path(shutil.copytree(whole_folder, tmp_path / "s.zarr"))


@pytest.fixture(scope="module")
def bucket_server(tmp_path_factory):
    """An S3 server on this machine, with an empty bucket."""
    pytest.importorskip("obstore", reason="obstore is not installed")
    pytest.importorskip("moto.server", reason="moto[server] is not installed")
    with pytest.MonkeyPatch.context() as patch, BucketServer().serving() as server:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield server


@pytest.fixture(scope="module")
def bucket(bucket_server):
    """URL of its bucket."""
    return f"s3://{BUCKET}"
