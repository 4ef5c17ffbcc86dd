"""A store in an object store: everything that a folder does, against a server on this machine."""

import json
import sys
import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest

from harness.protocols.zero_shot import zero_shot
from tests.support import plain_recipe, video_table, write_features
from tests.vifistore.extract.conftest import write_clip
from tests.vifistore.store.conftest import RECORD
from vifi.__main__ import run
from vifistore.errors import DamagedError, StoreError, UsageError
from vifistore.extract import repair
from vifistore.store import names, open_store
from vifistore.store.claims import status_chunks
from vifistore.store.claims.block_claims import BlockClaims
from vifistore.store.claims.status_chunks import read_status_leniently
from vifistore.store.dataset import write_videos
from vifistore.store.features import Features
from vifistore.store.info import describe_store
from vifistore.store.names import set_name
from vifistore.store.schema import FEATURE_ARRAYS
from vifistore.store.store import create_store
from vifistore.store.verifying.verify import verify_store
from vifistore.store.verifying.verify_features import FeatureVerifier
from vifistore.store.writer import FeatureWriter, Shape
from vifistore.store.zarr_format.backend import Backend
from vifistore.store.zarr_format.block_files import status_encoder
from vifistore.store.zarr_format.chunks import checksums, manifest_digest

CHECKPOINT = {**RECORD, "name": "a", "model": "m"}
FRAMES = np.random.default_rng(0).normal(size=(70, 1, 4, 8)).astype(np.float16)


def fill(location: str) -> str:
    """Make a store with a sealed feature set, its checkpoint and texts; return its location."""
    store = create_store(location)
    write_videos(store.new_dataset("d"), video_table(70, ["run", "jump"]), ["run", "jump"], "/")
    writer = write_features(store, "d", plain_recipe(), FRAMES)
    writer.seal()
    digest = store.add_checkpoint(CHECKPOINT)
    set_name(store.dataset("d"), "a@b", writer.id, digest, force=False)
    fields = {
        "text_digest": "t",
        "logit_scale": 10.0,
        "class_names": ["run", "jump"],
        "templates": ["{}"],
        "context_length": 77,
        "precision": "fp32",
    }
    store.add_texts(fields, FRAMES[:2, 0, :1].astype(np.float32))
    return location


@pytest.fixture(scope="module")
def url(bucket):
    """URL of a filled store."""
    return fill(f"{bucket}/folder/S.zarr")


def test_what_is_written_is_read(url):
    store = open_store(url)
    assert store.videos("d").to_dict("list") == video_table(70, ["run", "jump"]).to_dict("list")
    features = store.features("d", "a@b")
    features.require_sealed()
    assert features.counts() == {"videos": 70, "done": 70, "quarantined": 0, "todo": 0}
    np.testing.assert_array_equal(features.read("frames"), FRAMES)
    np.testing.assert_array_equal(features.frames[3:66], FRAMES[3:66])
    assert set(features.read("reason")) == {""}
    (texts,) = store.find_texts(text_digest="t")
    assert store.texts(texts["id"]).embeddings.shape == (2, 1, 8)


def test_checksums_of_several_blocks_are_asked_for_at_once(url, monkeypatch):
    """One after the other they would take hours of a set of millions."""
    features = open_store(url).features("d", "a@b")
    backend = features.dataset.backend
    plain, both = backend.place.tail, threading.Barrier(2, timeout=10)

    def tail(key, num_bytes):
        both.wait()
        return plain(key, num_bytes)

    monkeypatch.setattr(backend.place, "tail", tail)
    stored = checksums(backend, features.path, 70)
    assert manifest_digest(stored) == features.sealed["manifest"]


def test_what_a_repair_asks_of_several_blocks_it_asks_at_once(url, monkeypatch):
    features = open_store(url).features("d", "a@b")
    backend, both = features.dataset.backend, threading.Barrier(2, timeout=10)

    def waited(plain):
        def ask(key, *rest):
            both.wait()
            return plain(key, *rest)

        return ask

    for name in ("tail", "read_into"):
        monkeypatch.setattr(backend.place, name, waited(getattr(backend.place, name)))
    stored = repair._stored(backend, features.path, {0, 1})
    assert {name for name, _ in stored} == set(FEATURE_ARRAYS)
    assert repair._attempts(backend, features.path, 70).tolist() == [1] * 70


def requests_by_blocks(bucket_server, bucket, ask, *, is_sealed: bool = True) -> int:
    """How many more requests it takes to ask of a set of five blocks than of one of two."""
    counts = []
    for blocks in (2, 5):
        store = create_store(f"{bucket}/{ask.__name__}{blocks}.zarr")
        num_videos = 64 * blocks
        write_videos(store.new_dataset("d"), video_table(num_videos, ["a"]), ["a"], "/")
        frames = np.resize(FRAMES, (num_videos, 1, 4, 8))
        writer = write_features(store, "d", plain_recipe(), frames)
        if is_sealed:
            writer.seal()
        writer.release()
        found = open_store(store.backend.folder, mode="a")
        bucket_server.requests.clear()
        ask(found, writer.id)
        counts.append(bucket_server.requests.total())
    return counts[1] - counts[0]


def test_a_store_is_opened_for_writing_without_a_list_of_its_objects(bucket_server, url):
    bucket_server.requests.clear()
    open_store(url, mode="a")
    assert bucket_server.requests
    assert "LIST" not in bucket_server.requests


def test_info_of_a_sealed_set_asks_for_no_block(bucket_server, bucket):
    def described(store, _):
        (found,) = describe_store(store)["datasets"]["d"]["features"]
        assert (found["todo"], found["done"]) == (0, found["videos"])

    assert requests_by_blocks(bucket_server, bucket, described) == 0


def test_info_of_a_set_that_is_not_sealed_asks_once_for_all_equal_blocks(bucket_server, bucket):
    def told(store, _):
        (found,) = describe_store(store)["datasets"]["d"]["features"]
        assert (found["sealed"], found["todo"], found["done"]) == (False, 0, found["videos"])

    assert requests_by_blocks(bucket_server, bucket, told, is_sealed=False) == 0


def test_a_set_is_begun_again_and_sealed_by_its_claims_alone(bucket_server, bucket):
    def opened_and_sealed(store, _):
        shape = Shape(video=store.dataset("d").num_videos, view=1, frame=4, dim=8)
        writer = FeatureWriter(store.dataset("d"), plain_recipe().as_dict(), shape, {})
        assert writer.todo_blocks() == []
        writer.seal()

    # Each claim is read once.
    asked = requests_by_blocks(bucket_server, bucket, opened_and_sealed, is_sealed=False)
    assert asked == 3


@pytest.mark.parametrize("has_md5", [True, False])
def test_status_that_differs_or_is_damaged_is_read_as_it_is(bucket, monkeypatch, has_md5):
    store = create_store(f"{bucket}/status-{has_md5}.zarr")
    write_videos(store.new_dataset("d"), video_table(300, ["a"]), ["a"], "/")
    path = write_features(store, "d", plain_recipe(), np.resize(FRAMES, (300, 1, 4, 8))).path
    layout = store.backend.own_layout(f"{path}/status")
    encoded = status_encoder(layout)
    store.backend.put({layout.key(f"{path}/status", 1): encoded(b"\2" + b"\1" * 63)})
    store.backend.put({layout.key(f"{path}/status", 2): [b"torn"]})
    store.backend.place.remove(layout.key(f"{path}/status", 3))
    if not has_md5:
        # As where what is listed is no digest, and two writes of one moment have the same.
        plain = status_chunks.listed_versions
        monkeypatch.setattr(
            status_chunks, "listed_versions", lambda *args: dict.fromkeys(plain(*args), "now")
        )
    wanted = np.ones(300, np.uint8)
    wanted[64], wanted[128:256] = 2, 0
    np.testing.assert_array_equal(read_status_leniently(store.backend, path, 0, 300), wanted)
    np.testing.assert_array_equal(read_status_leniently(store.backend, path, 60, 70), wanted[60:70])
    np.testing.assert_array_equal(
        read_status_leniently(store.backend, path, 290, 300), wanted[290:]
    )


def test_verify_asks_once_for_each_chunk(bucket_server, bucket):
    def verified(store, _):
        assert list(verify_store(store)) == []

    # And twice for its claim, which is a group of the store as well.
    assert requests_by_blocks(bucket_server, bucket, verified) == 3 * (len(FEATURE_ARRAYS) + 2)


def test_blocks_are_verified_at_once(url, monkeypatch):
    both, blocks = threading.Barrier(2, timeout=10), []
    plain = FeatureVerifier._check_block

    def check(verifier, span):
        both.wait()
        blocks.append(span[0])
        return plain(verifier, span)

    monkeypatch.setattr(FeatureVerifier, "_check_block", check)
    assert list(verify_store(open_store(url))) == []
    assert sorted(blocks) == [0, 1]


def test_sets_are_described_at_once(bucket, monkeypatch):
    location = fill(f"{bucket}/described.zarr")
    write_features(open_store(location, mode="a"), "d", plain_recipe("2" * 64), FRAMES).seal()
    plain, both = Features.counts, threading.Barrier(2, timeout=10)

    def counts(features, **how):
        both.wait()
        return plain(features, **how)

    monkeypatch.setattr(Features, "counts", counts)
    (dataset,) = describe_store(open_store(location))["datasets"].values()
    found = [(features["id"], features["done"]) for features in dataset["features"]]
    assert found == [(name, 70) for name in open_store(location).dataset("d").feature_ids()]


def test_a_few_videos_are_selected_without_asking_for_the_others(bucket_server, bucket):
    def selected(store, feature_id):
        store.features("d", feature_id).select(rows=[3, 70])

    assert requests_by_blocks(bucket_server, bucket, selected) == 0


def test_chosen_rows_are_read_alone(url):
    features = open_store(url).features("d", "a@b")
    for verify in (True, False):
        got = features.select(rows=[69, 2, 64], arrays=("frames",), verify=verify)
        np.testing.assert_array_equal(got.arrays["frames"], FRAMES[[69, 2, 64]])


def test_the_table_grows(bucket):
    store = create_store(f"{bucket}/grows.zarr")
    for num_videos in (3, 5):
        write_videos(store.new_dataset("d"), video_table(num_videos, ["a"]), ["a"], "/")
    assert create_store(f"{bucket}/grows.zarr").videos("d")["id"].tolist()[-1] == "v4.mp4"


def test_info_describes_it(url):
    document = json.loads(json.dumps(describe_store(open_store(url))))
    assert document["datasets"]["d"]["videos"] == 70
    (features,) = document["datasets"]["d"]["features"]
    assert (features["names"], features["done"], features["sealed"]) == (["a@b"], 70, True)


def test_a_changed_object_is_noticed(bucket):
    store = create_store(f"{bucket}/damaged.zarr")
    write_videos(store.new_dataset("d"), video_table(3, ["a"]), ["a"], "/")
    store.backend.place.put({"videos/d/fps/c.0": [b"torn"]})
    with pytest.raises(DamagedError, match=r"vifi verify s3://bucket/damaged.zarr"):
        store.videos("d")
    with pytest.raises(DamagedError, match="cannot be read"):
        store.backend.tail("videos/d/fps/c.7", 4)


def test_a_name_that_two_machines_give_at_once_is_one_sets(bucket, monkeypatch):
    store = create_store(f"{bucket}/named.zarr")
    write_videos(store.new_dataset("d"), video_table(3, ["a"]), ["a"], "/")
    dataset, plain = store.dataset("d"), names.require_free

    def overtaken(*told):
        plain(*told)
        monkeypatch.undo()
        set_name(dataset, "n", "1" * 12, "c", force=False)

    monkeypatch.setattr(names, "require_free", overtaken)
    with pytest.raises(UsageError, match="already stands for feature set 111111111111"):
        set_name(dataset, "n", "2" * 12, "c", force=False)
    set_name(dataset, "n", "2" * 12, "c", force=True)
    assert dataset.names()[0].id == "2" * 12


def test_reading_cannot_write(url):
    with pytest.raises(UsageError, match="read-only"):
        set_name(open_store(url).dataset("d"), "x", "y", "z", force=True)


def test_what_is_not_there_is_said_in_one_line(bucket):
    with pytest.raises(StoreError, match=r"there is no store at s3://bucket/none\.zarr"):
        open_store(f"{bucket}/none.zarr")
    with pytest.raises(StoreError, match="make the bucket first"):
        create_store("s3://no-such-bucket/S.zarr")


def test_what_obstore_says_becomes_one_line(bucket):
    from obstore.exceptions import PermissionDeniedError

    def refuse():
        raise PermissionDeniedError("not yours\n\nDebug source: many lines")

    place = Backend(f"{bucket}/S.zarr", writable=False).place
    with pytest.raises(StoreError, match=r"does not answer \(not yours\); check") as error:
        place._ask(refuse)
    assert "\n" not in str(error.value)


def test_zero_shot_evaluation_gives_what_a_folder_gives(url, tmp_path):
    here, there = (
        {row.metric: row.value for row in zero_shot(open_store(location).features("d", "a@b"))}
        for location in (fill(str(tmp_path / "S.zarr")), url)
    )
    assert here == there
    assert 0 < here["top1"] < 1


def test_the_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "obstore", None)
    with pytest.raises(StoreError, match=r"pip install 'vifistore\[s3\]'"):
        Backend("s3://bucket/S.zarr", writable=False)


def test_a_release_that_removes_what_is_not_ours_is_refused(monkeypatch):
    obstore = pytest.importorskip("obstore", reason="obstore is not installed")
    monkeypatch.setattr(obstore, "__version__", "0.9.0")
    with pytest.raises(StoreError, match=r"objects beside s3://bucket/S\.zarr; replace it"):
        Backend("s3://bucket/S.zarr", writable=False)


def test_what_nothing_names_is_found_and_removed_once_it_is_settled(bucket, capsys, monkeypatch):
    location = fill(f"{bucket}/garbage.zarr")
    store = open_store(location, mode="a")
    unnamed = write_features(store, "d", plain_recipe("1" * 64), FRAMES)
    unnamed.seal()
    assert store.backend.place.free_bytes() is None
    half = {"texts/half/embeddings/zarr.json": [b"{}"], "splits/d/half/rows/zarr.json": [b"{}"]}
    store.backend.place.put({**half, "left.txt": [b"?"]})
    path = store.features("d", "a@b").path
    where = {problem.where for problem in verify_store(store)}
    assert where == {"texts/half", "splits", "left.txt"}
    assert run(["gc", location, "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)["garbage"]
    assert {garbage["where"] for garbage in listed} == {unnamed.path, "texts/half", "splits/d/half"}
    assert all(garbage["size_bytes"] > 0 for garbage in listed)
    # One is being written by another machine; the other may be.
    other = BlockClaims(store.backend.place, unnamed.path, owner="another machine")
    other.acquire([0])
    assert run(["gc", location, "--delete"]) == 0
    assert unnamed.id in store.dataset("d").feature_ids()
    # Who writes texts and splits holds no claim: they may be on their way for an hour, of which a
    # machine whose clock is ahead knows by the bucket's.
    ahead = SimpleNamespace(time=lambda: time.time() + 7200)
    with monkeypatch.context() as patch:
        patch.setattr("vifistore.store.removing.removal.time", ahead)
        assert run(["gc", location, "--delete"]) == 0
    assert all(map(store.backend.place.exists, half))
    other.release()
    monkeypatch.setattr("vifistore.store.removing.removal._SETTLED_SECONDS", -1.0)
    assert run(["gc", location, "--delete"]) == 0
    assert unnamed.id not in store.dataset("d").feature_ids()
    assert not any(map(store.backend.place.exists, half))
    store.backend.place.remove("left.txt")
    store.backend.place.remove(f"{path}/timestamps/zarr.json")
    found = {problem.where for problem in verify_store(open_store(location))}
    assert found == {path, f"{path}/timestamps", f"{path}/timestamps/zarr.json"}


def test_verbs_take_a_url(bucket, url, tmp_path, capsys):
    assert run(["info", url, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["datasets"]["d"]["videos"] == 70
    assert run(["name", url, "d", "a@b", "mine"]) == 0
    selected = ("--dataset", "d", "--features", "mine")
    refused = ["export", url, *selected, "--format", "npy", "--out", f"{bucket}/npy"]
    assert run(refused) == 2
    assert "give a local --out" in capsys.readouterr().err
    target = f"{bucket}/imported.zarr"
    assert run(["import", target, url, "--dataset", "e", "--format", "zarr"]) == 0
    assert open_store(target).datasets() == ["e"]
    (tmp_path / "v").mkdir()
    (tmp_path / "v" / "a.mp4").touch()
    # A store that is there is not taken for a new one.
    assert run(["scan", target, str(tmp_path / "v"), "--dataset", "e"]) == 2
    assert "--append" in capsys.readouterr().err
    assert open_store(target).videos("e").shape[0] == 70


def test_scan_and_extract_take_a_url(bucket, tmp_path, capsys):
    for number in range(2):
        write_clip(tmp_path / "v" / f"{number}.mp4", seed=number)
    url = f"{bucket}/verbs.zarr"
    scan = ["scan", url, str(tmp_path / "v"), "--dataset", "d"]
    assert run(scan) == 0
    assert run(scan) == 2
    assert "is in " + url in capsys.readouterr().err
    flags = ["--dataset", "d", "--model", "vifi-tiny", "--pretrained", "none", "--frames", "1"]
    flags += ["--device", "cpu"]
    assert run(["extract", url, *flags, "--workers", "1", "--dry-run"]) == 0
    assert "2 of 2 videos to do" in capsys.readouterr().out
    assert run(["extract", url, *flags, "--workers", "1"]) == 0
    assert "; sealed" in capsys.readouterr().out
