"""A store in a bucket that it shares: objects of the same names lie beside it, and are another's.

obstore 0.9.0 removed by names without the store's prefix: a stranger's object went, ours stayed.
"""

import os
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from tests.support import plain_recipe, video_table, write_features
from tests.vifistore.store.test_object_storage import FRAMES, fill
from vifi.__main__ import run
from vifistore.store import open_store
from vifistore.store.dataset import write_videos
from vifistore.store.info import describe_store
from vifistore.store.key_value.storage import Storage
from vifistore.store.names import set_name
from vifistore.store.store import Store, create_store
from vifistore.store.verifying.verify import verify_store
from vifistore.temporaries import SUFFIX

HOME = "shared/S.zarr"
# Where a name leads that loses the store's prefix, a part of it, or the slash at its end.
BESIDE = ("", "shared/", "shared/S.zarr")
# Found in every place beside the store, never in it.
THEIRS = ("theirs/alone.json", "videos/theirs/zarr.json", f"left{SUFFIX}")


class Bucket:
    """A bucket as its other users see it."""

    def __init__(self, name: str) -> None:
        import boto3
        from obstore.store import from_url

        boto3.client("s3", endpoint_url=os.environ["AWS_ENDPOINT_URL"]).create_bucket(Bucket=name)
        self.url = f"s3://{name}/{HOME}"
        self._objects = from_url(f"s3://{name}")
        self.theirs: dict[str, str] = {}

    def settle(self, *names: str) -> None:
        """Put an object of each name into every place beside the store."""
        for name in names:
            for beside in BESIDE:
                put = self._objects.put(f"{beside}{name}", b"theirs")
                self.theirs[f"{beside}{name}"] = put["e_tag"]

    def neighbours(self) -> dict[str, str]:
        """Path and digest of every object beside the store."""
        found = {item["path"]: item["e_tag"] for batch in self._objects.list() for item in batch}
        return {path: tag for path, tag in found.items() if not path.startswith(f"{HOME}/")}


@pytest.fixture
def shared(bucket, request) -> Iterator[Bucket]:
    """A bucket of its own for each test. What is theirs stays theirs, whatever the test does."""
    number = request.session.items.index(request.node)
    shared = Bucket(f"shared{number}")
    shared.settle(*THEIRS)
    yield shared
    assert shared.neighbours() == shared.theirs


def settle_beside_all(store: Store, shared: Bucket) -> Store:
    """Give each object of a store its neighbours."""
    shared.settle(*(file.key for file in store.backend.place.files("")))
    return store


@pytest.fixture
def store(shared) -> Store:
    """A filled store with neighbours of the same names."""
    return settle_beside_all(open_store(fill(shared.url), mode="a"), shared)


KEY = "videos/d/fps/c.0"


def read_into(place: Storage) -> bytes:
    buffer = np.zeros(4096, np.uint8)
    return buffer[: place.read_into(KEY, buffer)].tobytes()


def read_ranges(place: Storage) -> bytes:
    buffers = [np.zeros(4, np.uint8) for _ in range(2)]
    place.read_ranges(KEY, [8, 0], buffers)
    return b"".join(buffer.tobytes() for buffer in buffers)


READS: dict[str, Callable[[Storage], object]] = {
    "exists": lambda place: [place.exists(key) for key in (KEY, "videos/d", *THEIRS)],
    "folders": lambda place: [sorted(place.folders(key)) for key in ("", "videos", "theirs")],
    "get": lambda place: place.get(KEY),
    "tail": lambda place: place.tail(KEY, 4),
    "read_into": read_into,
    "read_ranges": read_ranges,
    "files": lambda place: [
        sorted(file.key for file in place.files(key)) for key in ("", "videos", KEY, "theirs")
    ],
    "walk": lambda place: sorted((folder, sorted(names)) for folder, names in place.walk()),
}


def test_what_is_read_is_ours(shared):
    store = open_store(fill(shared.url))
    alone = {name: read(store.backend.place) for name, read in READS.items()}
    settle_beside_all(store, shared)
    assert {name: read(store.backend.place) for name, read in READS.items()} == alone
    assert alone["exists"] == [True, False, False, False, False]


def test_no_verdict_or_description_speaks_of_theirs(store):
    assert list(verify_store(store)) == []
    assert store.datasets() == ["d"]
    assert describe_store(store)["datasets"]["d"]["videos"] == 70
    assert run(["gc", store.backend.folder, "--delete"]) == 0


@pytest.mark.parametrize("what", [KEY, "videos/d", "videos", "features", "texts"])
def test_ours_is_removed(what, store):
    place = store.backend.place
    keys = {file.key for file in place.files("")}
    ours = {key for key in keys if key == what or key.startswith(f"{what}/")}
    assert ours == {file.key for file in place.files(what)} != set()
    place.remove(what)
    assert {file.key for file in place.files("")} == keys - ours
    # What is theirs alone is not there for us: nothing happens.
    for theirs in ("theirs", *THEIRS):
        place.remove(theirs)


def test_ours_is_replaced(store):
    place = store.backend.place
    place.put({KEY: [b"ours"]}, {"new/zarr.json": [b"ours"]})
    assert place.get(KEY) == place.get("new/zarr.json") == b"ours"


def test_a_name_is_moved_and_a_table_grows(store):
    features = store.features("d", "a@b")
    set_name(store.dataset("d"), "a@b", features.id, "", force=True)
    write_videos(store.new_dataset("d"), video_table(71, ["run", "jump"]), ["run", "jump"], "/")
    assert len(open_store(store.backend.folder).videos("d")) == 71
    assert create_store(store.backend.folder).datasets() == ["d"]


def test_sealing_and_gc_remove_ours_alone(shared, store, monkeypatch):
    monkeypatch.setattr("vifistore.store.removing.removal._SETTLED_SECONDS", -1.0)
    place = store.backend.place
    writer = write_features(store, "d", plain_recipe("1" * 64), FRAMES)
    left = f"{writer.path}/left{SUFFIX}"
    place.put({left: [b"?"], "texts/half/embeddings/zarr.json": [b"{}"]})
    settle_beside_all(store, shared)
    writer.seal()
    assert run(["gc", store.backend.folder, "--delete"]) == 0
    assert list(place.files(writer.path)) == list(place.files("texts/half")) == []
    assert list(verify_store(open_store(store.backend.folder))) == []
