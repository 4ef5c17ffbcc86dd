"""An object store that is busy or slow, or loses answers: nothing fails, nothing is half there."""

import time

import numpy as np
import pytest

from benchmarks.bucket_server import BUCKET, BucketServer
from tests.support import plain_recipe, video_table, write_features
from tests.vifistore.extract.conftest import log  # noqa: F401 - a fixture
from vifistore.errors import StoreError
from vifistore.sources import asking
from vifistore.store.dataset import write_videos
from vifistore.store.key_value import object_storage
from vifistore.store.key_value.conditional import ChangedError
from vifistore.store.key_value.object_storage import ObjectStorage
from vifistore.store.store import create_store, open_store
from vifistore.store.verifying.verify import verify_store

BUSY = "503 Slow Down"


@pytest.fixture(autouse=True)
def short(monkeypatch):
    """Waits are short, and an answer may take a second."""
    monkeypatch.setattr(asking, "_FIRST_WAIT_SECONDS", 0.05)
    monkeypatch.setattr(asking, "_LONGEST_WAIT_SECONDS", 0.2)
    monkeypatch.setattr(object_storage, "_PATIENCE_SECONDS", 20.0)
    monkeypatch.setattr(object_storage, "_OWN_TRIES", {"max_retries": 0})
    monkeypatch.setenv("AWS_TIMEOUT", "1 second")


@pytest.fixture
def server(bucket_server: BucketServer):
    yield bucket_server
    bucket_server.fail = lambda kind, path: ""


@pytest.fixture
def place(server) -> ObjectStorage:
    place = ObjectStorage(f"s3://{BUCKET}/faltering", writable=True)
    place.put({"a": [b"0123", b"45"], "c/d": [b"1"]})
    return place


def swap(place: ObjectStorage) -> None:
    place.swap("a", b"012345", place.look("a"))


def ranges(place: ObjectStorage) -> bytes:
    buffer = np.empty(2, np.uint8)
    place.read_ranges("a", [1], [buffer])
    return buffer.tobytes()


REQUESTS = {
    "exists": (lambda place: place.exists("a"), True),
    "folders": (lambda place: place.folders("c"), []),
    "get": (lambda place: place.get("a"), b"012345"),
    "tail": (lambda place: place.tail("a", 2), b"45"),
    "ranges": (ranges, b"12"),
    "fetch": (lambda place: place.fetch("a")[0], b"012345"),
    "put": (lambda place: place.put({"b": [b"1"]}), None),
    "create": (lambda place: place.swap(str(time.time()), b"1", None), None),
    "swap": (swap, None),
    "files": (lambda place: [file.key for file in place.files("c")], ["c/d"]),
    "remove": (lambda place: place.remove("c/d"), None),
}


@pytest.mark.parametrize("how", [BUSY, "429 Too Many Requests"])
def test_every_request_is_made_again_while_the_store_is_busy(server, place, how):
    for ask, expected in REQUESTS.values():
        server.fail_for(0.3, how)
        assert ask(place) == expected


@pytest.mark.parametrize("name", REQUESTS)
def test_a_request_that_takes_too_long_is_made_again(server, place, name):
    end = time.monotonic() + 1.0
    server.fail = lambda kind, path: "slow" if time.monotonic() < end else ""
    ask, expected = REQUESTS[name]
    assert ask(place) == expected


def test_a_body_that_ends_early_is_asked_for_again(server, place):
    server.fail_next("GET", *["cut"] * 4)
    assert place.get("a") == b"012345"


def test_a_write_whose_answer_was_lost_is_refused_the_second_time(server, place):
    """Who wrote it looks whether it is what was to be written."""
    server.fail_next("PUT", "lost")
    with pytest.raises(ChangedError):
        place.swap("new", b"mine", None)
    assert place.get("new") == b"mine"


def test_a_listing_goes_on_where_it_failed(server, place):
    from moto.s3.models import s3_backends

    backend = next(iter(s3_backends["123456789012"].values()))
    for number in range(1100):
        backend.put_object(BUCKET, f"faltering/many/{number:04}", b"")
    server.fail_next("LIST", "", *[BUSY] * 4)
    keys = [file.key for file in place.files("many")]
    assert keys == [f"many/{number:04}" for number in range(1100)]


def test_what_will_not_pass_is_told_at_once(server, place):
    server.fail = lambda kind, path: "400 Bad Request"
    server.requests.clear()
    with pytest.raises(StoreError, match=r"does not answer \(.*400 Bad Request") as told:
        place.get("a")
    assert len(str(told.value)) < 400
    assert server.requests["GET"] == 1


def test_an_address_that_never_answered_is_told_of_early(server, monkeypatch, log):  # noqa: F811
    monkeypatch.setenv("VIFI_NETWORK_TRIES", "2")
    place = ObjectStorage(f"s3://{BUCKET}/other", writable=True)
    server.fail_for(60)
    began = time.monotonic()
    with pytest.raises(StoreError, match="503"):
        place.get("a")
    assert time.monotonic() - began < 10
    (line,) = log
    assert line.startswith(f"s3://{BUCKET}/other does not answer (")


def test_a_failure_for_a_key_among_many_is_one_that_may_pass(place, monkeypatch):
    from obstore.exceptions import GenericError

    told = ["Generic S3 error: Error deleting object a: SlowDown: Please reduce your request rate."]

    def delete(*_):
        if told:
            raise GenericError(told.pop())

    monkeypatch.setattr(place._obstore, "delete", delete)
    place.remove("a")
    assert not told


@pytest.mark.parametrize(
    ("told", "passes"), [("BlobAlreadyExists", False), ("ConditionalRequestConflict", True)]
)
def test_a_conflict_is_a_refusal_in_azure_and_passes_in_s3(place, monkeypatch, told, passes):
    from obstore.exceptions import AlreadyExistsError

    answers, put = [told], place._obstore.put

    def once(*args, **options):
        if answers:
            raise AlreadyExistsError(f"status code: 409 Conflict: <Code>{answers.pop()}</Code>")
        return put(*args, **options)

    monkeypatch.setattr(place._obstore, "put", once)
    if passes:
        place.swap("a", b"new", place.look("a"))
        assert place.get("a") == b"new"
    else:
        with pytest.raises(ChangedError):
            place.swap("a", b"new", place.look("a"))
        assert place.get("a") == b"012345"


def test_the_end_of_a_blob_of_azure_is_asked_for_by_its_start(place, monkeypatch):
    get, replaced = place._obstore.get, [b"0123456789"]

    def asked(objects, key, options):
        assert "suffix" not in options["range"]
        if replaced:
            # By another machine, behind what its length was.
            place.put({key: [replaced.pop()]})
        return get(objects, key, options=options)

    monkeypatch.setattr(place, "location", "az://container/S.zarr")
    monkeypatch.setattr(place._obstore, "get", asked)
    assert place.tail("a", 2) == b"89"
    assert place.tail("a", 10) == b"0123456789"
    with pytest.raises(OSError, match="too short"):
        place.tail("a", 11)
    with pytest.raises(FileNotFoundError):
        place.tail("none", 2)


def test_a_set_written_while_the_store_falters_is_whole(server):
    """Every fifth request fails, one way or the other."""
    store = create_store(f"s3://{BUCKET}/whole.zarr")
    write_videos(store.new_dataset("d"), video_table(130, ["run"]), ["run"], "/")
    frames = np.random.default_rng(0).normal(size=(130, 1, 4, 8)).astype(np.float16)
    count = [0]

    def fail(kind: str, path: str) -> str:
        count[0] += 1
        return "" if count[0] % 5 else "lost" if kind == "PUT" else BUSY

    server.fail = fail
    write_features(store, "d", plain_recipe(), frames).seal()
    server.fail = lambda kind, path: ""
    assert list(verify_store(open_store(f"s3://{BUCKET}/whole.zarr"))) == []
    (feature_id,) = store.dataset("d").feature_ids()
    np.testing.assert_array_equal(store.features("d", feature_id).read("frames"), frames)
