"""The store: what is written is read back, names and damage are noticed."""

import dataclasses
import json

import numpy as np
import pytest
import zarr

from tests.support import block_data, plain_recipe, video_table, write_features
from vifistore.errors import (
    DamagedError,
    IncompleteError,
    StoreError,
    UnknownNameError,
    UsageError,
)
from vifistore.store import open_store
from vifistore.store.dataset import write_videos
from vifistore.store.info import describe_store
from vifistore.store.key_value.storage import LocalStorage
from vifistore.store.names import set_name
from vifistore.store.schema import FEATURE_ARRAYS
from vifistore.store.splits import Split, write_split
from vifistore.store.store import create_store, find_store
from vifistore.store.writer import FeatureWriter, Shape

RNG = np.random.default_rng(0)


def test_videos_come_back(make_store):
    store = make_store(5)
    expected = video_table(5, ["run", "jump"])
    got = open_store(store.path).videos("d")
    assert got.to_dict("list") == expected.to_dict("list")


def test_videos_grow_and_old_rows_stay(make_store):
    store = make_store(5)
    write_videos(store.new_dataset("d"), video_table(9, ["run", "jump"]), ["run", "jump"], "/")
    got = open_store(store.path).videos("d")
    assert got.to_dict("list") == video_table(9, ["run", "jump"]).to_dict("list")


def test_uncommitted_rows_are_not_seen(make_store):
    store = make_store(5)
    before = store.backend.attributes("videos/d")
    write_videos(store.new_dataset("d"), video_table(9, ["run", "jump"]), ["run", "jump"], "/")
    store.backend.make_group("videos/d", before)  # as a kill before the last write leaves it
    assert len(open_store(store.path).videos("d")) == 5


@pytest.mark.parametrize("num_videos", [1, 64, 65, 130])
def test_features_come_back_through_any_zarr_reader(make_store, num_videos):
    store = make_store(num_videos)
    frames = RNG.normal(size=(num_videos, 2, 4, 8))
    writer = write_features(store, "d", plain_recipe(clips=2), frames)
    writer.seal()
    group = zarr.open_group(store.path, mode="r")[f"features/d/{writer.id}"]
    assert group["frames"].metadata.dimension_names == ("video", "view", "frame", "dim")
    expected = block_data(frames)
    for name in FEATURE_ARRAYS:
        assert group[name].chunks[0] == 64
        if name != "content_digest":
            np.testing.assert_array_equal(group[name][:], expected[name])
            features = open_store(store.path).features("d", writer.id)
            np.testing.assert_array_equal(features.read(name), expected[name])


def test_unsealed_set_is_refused_and_cannot_be_sealed_early(make_store):
    store = make_store(70)
    shape = Shape(video=70, view=1, frame=4, dim=8)
    writer = FeatureWriter(store.dataset("d"), plain_recipe().as_dict(), shape, {})
    writer.write_block(0, writer.todo_rows(0), block_data(RNG.normal(size=(64, 1, 4, 8))))
    with pytest.raises(IncompleteError, match="6 of 70 videos are to do"):
        writer.seal()
    with pytest.raises(IncompleteError, match="6 of 70 videos are to do"):
        store.features("d", writer.id).require_sealed()
    assert writer.todo_blocks() == [1]


def test_rows_done_stay_equal_when_the_rest_of_the_block_is_written(make_store):
    store = make_store(10)
    frames = RNG.normal(size=(10, 1, 4, 8))
    shape = Shape(video=10, view=1, frame=4, dim=8)
    first = FeatureWriter(store.dataset("d"), plain_recipe().as_dict(), shape, {})
    first.write_block(0, [0, 1, 2], block_data(frames[:3]))
    second = FeatureWriter(store.dataset("d"), plain_recipe().as_dict(), shape, {})
    assert second.todo_rows(0) == list(range(3, 10))
    second.write_block(0, second.todo_rows(0), block_data(frames[3:]))
    second.seal()
    got = store.features("d", second.id).read("frames")
    np.testing.assert_array_equal(got, frames.astype(np.float16))


def test_sealed_set_stays_readable_while_it_grows(make_store):
    store = make_store(10)
    frames = RNG.normal(size=(12, 1, 4, 8))
    sealed = write_features(store, "d", plain_recipe(), frames[:10])
    sealed.seal()
    write_videos(store.new_dataset("d"), video_table(12, ["run", "jump"]), ["run", "jump"], "/v")
    shape = Shape(video=12, view=1, frame=4, dim=8)
    grown = FeatureWriter(store.dataset("d"), plain_recipe().as_dict(), shape, {})
    features = open_store(store.path).features("d", grown.id)
    assert features.sealed["rows"] == features.num_videos == 10
    np.testing.assert_array_equal(features.read("frames"), frames[:10].astype(np.float16))
    grown.write_block(0, grown.todo_rows(0), block_data(frames[10:]))
    grown.seal()
    features = open_store(store.path).features("d", grown.id)
    assert features.num_videos == 12
    np.testing.assert_array_equal(features.read("frames"), frames.astype(np.float16))


def test_who_knows_of_fewer_videos_does_not_seal_fewer(make_store):
    store = make_store(10)
    recipe, frames = plain_recipe().as_dict(), RNG.normal(size=(12, 1, 4, 8))
    first = FeatureWriter(store.dataset("d"), recipe, Shape(video=10, view=1, frame=4, dim=8), {})
    write_videos(store.new_dataset("d"), video_table(12, ["run", "jump"]), ["run", "jump"], "/v")
    shape = Shape(video=12, view=1, frame=4, dim=8)
    second = FeatureWriter(store.dataset("d"), recipe, shape, {})
    second.write_block(0, second.todo_rows(0), block_data(frames))
    assert first.needs_seal
    sealed = second.seal()
    assert not first.needs_seal
    assert first.seal() == sealed == store.features("d", second.id).sealed
    assert sealed["rows"] == 12


@pytest.mark.parametrize("name", sorted(FEATURE_ARRAYS))
def test_flipped_byte_is_noticed(make_store, name):
    store = make_store(3)
    writer = write_features(store, "d", plain_recipe(), RNG.normal(size=(3, 1, 4, 8)))
    writer.seal()
    (chunk,) = (store.path / writer.path / name).glob("c.*")
    data = bytearray(chunk.read_bytes())
    data[len(data) // 3] ^= 4
    chunk.write_bytes(bytes(data))
    with pytest.raises(DamagedError, match="vifi verify"):
        open_store(store.path).features("d", writer.id).read(name)


def test_lost_status_means_to_do_unless_sealed(make_store):
    store = make_store(70)
    writer = write_features(store, "d", plain_recipe(), RNG.normal(size=(70, 1, 4, 8)))
    (store.path / writer.path / "status" / "c.1").write_bytes(b"torn")
    features = open_store(store.path).features("d", writer.id)
    assert features.counts() == {"videos": 70, "done": 64, "quarantined": 0, "todo": 6}
    (store.path / writer.path / "status" / "c.1").unlink()
    assert open_store(store.path).features("d", writer.id).counts()["todo"] == 6


def test_lost_status_of_a_sealed_set_is_damage(make_store):
    store = make_store(70)
    writer = write_features(store, "d", plain_recipe(), RNG.normal(size=(70, 1, 4, 8)))
    writer.seal()
    (store.path / writer.path / "status" / "c.1").unlink()
    with pytest.raises(DamagedError, match="lost part of its status"):
        open_store(store.path).features("d", writer.id).counts()


RECORD = {
    "name": "start",
    "model": "m",
    "config": {},
    "weights_path": "",
    "image_digest": "i",
    "text_digest": "t",
    "logit_scale": 10.0,
    "parent": "",
    "step": 0,
    "settings": {},
}


@pytest.mark.parametrize("name", ["0123456789ab", "deadbeefcafe"])
def test_a_name_is_no_id(make_store, name):
    store = make_store(3)
    with pytest.raises(UsageError, match="looks like the id of a feature set"):
        set_name(store.dataset("d"), name, "x", "", force=True)
    for other in (name[:-1], name + "0", name.upper()):
        set_name(store.dataset("d"), other, "x", "", force=False)


def test_names_move_only_by_force(make_store):
    store = make_store(3)
    writer = write_features(store, "d", plain_recipe(), RNG.normal(size=(3, 1, 4, 8)))
    set_name(store.dataset("d"), "a@b", writer.id, "c1", force=False)
    set_name(store.dataset("d"), "a@b", writer.id, "c1", force=False)
    with pytest.raises(UsageError, match="already stands for"):
        set_name(store.dataset("d"), "a@b", writer.id, "c2", force=False)
    set_name(store.dataset("d"), "a@b", writer.id, "c2", force=True)
    assert store.features("d", "a@b").checkpoint == "c2"
    with pytest.raises(UnknownNameError, match=r"Did you mean 'a@b'\?"):
        store.features("d", "a@c")


def test_checkpoint_keeps_its_record_and_gains_names(make_store):
    store = make_store(3)
    digest = store.add_checkpoint(RECORD)
    assert store.add_checkpoint({**RECORD, "name": "again", "step": 9}) == digest
    found = store.checkpoint(digest)
    assert (found["names"], found["step"]) == (["start", "again"], 0)
    assert store.add_checkpoint({**RECORD, "logit_scale": 11.0}) != digest


def test_texts_come_back(make_store):
    store = make_store(3)
    fields = {
        "text_digest": "t",
        "logit_scale": 10.0,
        "class_names": ["a", "b"],
        "templates": ["{}"],
        "context_length": 77,
        "precision": "fp32",
    }
    embeddings = RNG.normal(size=(2, 1, 8)).astype(np.float32)
    name = store.add_texts(fields, embeddings)
    texts = open_store(store.path).texts(name)
    np.testing.assert_array_equal(texts.embeddings, embeddings)
    assert texts.attrs == fields
    assert [found["id"] for found in store.find_texts(class_names=["a", "b"])] == [name]
    assert store.find_texts(class_names=["b", "a"]) == []


def test_split_comes_back_and_cannot_change(make_store):
    store = make_store(4)
    split = Split(
        name="test1",
        rows=np.array([2, 0]),
        labels=np.array([1, 0], np.int32),
        class_names=["x", "y"],
        source="list.txt",
        digest="abc",
    )
    write_split(store.dataset("d"), split)
    write_split(store.dataset("d"), split)
    got = open_store(store.path).dataset("d").split("test1")
    assert got.rows.tolist() == [2, 0]
    assert got.class_names == ["x", "y"]
    with pytest.raises(UsageError, match="exists with other rows"):
        write_split(store.dataset("d"), dataclasses.replace(split, rows=np.array([1, 0])))


def test_what_they_are_is_shown(make_store, tmp_path):
    store = make_store(3)
    assert repr(store) == f"<Store {store.path}: d>"
    assert repr(create_store(tmp_path / "new.zarr")).endswith("new.zarr: no dataset>")
    writer = write_features(store, "d", plain_recipe(), RNG.normal(size=(3, 1, 4, 8)))
    assert repr(store.features("d", writer.id)) == f"<Features {writer.id} of d: not sealed>"
    writer.seal()
    set_name(store.dataset("d"), "mine", writer.id, "", force=False)
    shown = f"<Features mine ({writer.id}) of d: 3 videos, sealed>"
    assert repr(store.features("d", "mine")) == shown
    split = store.dataset("d").split("all")
    assert repr(split) == "<Split all: 3 videos, 2 classes, from labels of the videos>"


def test_unlabelled_videos_have_no_split(make_store):
    with pytest.raises(UsageError, match="none of these videos has a label"):
        make_store(4, ()).dataset("d").split()


def test_document_is_json_with_the_agreed_keys(make_store):
    store = make_store(3)
    writer = write_features(store, "d", plain_recipe(), RNG.normal(size=(3, 1, 4, 8)))
    writer.seal()
    store.add_checkpoint(RECORD)
    document = json.loads(json.dumps(describe_store(open_store(store.path))))
    assert document.keys() == {"schema", "datasets", "checkpoints", "texts"}
    assert document["datasets"]["d"].keys() == {"videos", "classes", "splits", "features"}
    (features,) = document["datasets"]["d"]["features"]
    assert features.keys() == {
        *("id", "names", "sealed", "videos", "done", "quarantined", "todo", "recipe")
    }
    assert document["checkpoints"][0].keys() == {"digest", "names", "parent", "step"}


def test_texts_that_were_cut_short_are_none_and_are_written_anew(make_store, monkeypatch):
    store = make_store(3)
    fields = {"text_digest": "t", "logit_scale": 10.0, "class_names": ["run"], "templates": ["{}"]}
    fields |= {"context_length": 77, "precision": "fp32"}
    embeddings = RNG.normal(size=(1, 1, 8)).astype(np.float32)

    put = LocalStorage.put

    def killed(self, *stages):
        put(self, *stages[:-1])
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(LocalStorage, "put", killed)
        with pytest.raises(KeyboardInterrupt):
            store.add_texts(fields, embeddings)
    assert store.backend.children("texts") == []
    (half,) = store.backend.place.folders("texts")
    assert describe_store(store)["texts"] == []
    with pytest.raises(UnknownNameError):
        store.texts(half)
    assert store.add_texts(fields, embeddings) == half
    np.testing.assert_array_equal(store.texts(half).embeddings, embeddings)


def test_texts_that_two_machines_write_at_once_are_those_of_one(make_store, monkeypatch):
    store = make_store(3)
    fields = {"text_digest": "t", "logit_scale": 10.0, "class_names": ["run"], "templates": ["{}"]}
    fields |= {"context_length": 77, "precision": "fp32"}
    own, others = RNG.normal(size=(2, 1, 1, 8)).astype(np.float32)
    put, left = LocalStorage.put, [others]

    def put_late(self, *stages):
        put(self, *stages[:-1])
        if left:
            store.add_texts(fields, left.pop())
        put(self, *stages[-1:])

    with monkeypatch.context() as patch:
        patch.setattr(LocalStorage, "put", put_late)
        name = store.add_texts(fields, own)
    np.testing.assert_array_equal(store.texts(name).embeddings, own)


@pytest.mark.parametrize("name", ["..", "a/b", "", ".hidden", "a\\b", "x" * 300])
def test_names_that_could_leave_the_store_are_refused(make_store, name):
    store = make_store(3)
    with pytest.raises(UsageError):
        write_videos(store.new_dataset(name), video_table(1, []), [], "/")
    with pytest.raises(UnknownNameError):
        store.videos(name)
    with pytest.raises(UnknownNameError):
        store.features("d", name)


def test_something_else_is_not_a_store(tmp_path):
    with pytest.raises(StoreError, match="there is no store"):
        open_store(tmp_path / "nothing.zarr")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "file").write_text("x")
    with pytest.raises(StoreError, match="is not a zarr store"):
        open_store(tmp_path / "folder")
    with pytest.raises(StoreError, match="is not a zarr store"):
        create_store(tmp_path / "folder")
    zarr.create_group(tmp_path / "other.zarr")
    with pytest.raises(StoreError, match="something else made"):
        open_store(tmp_path / "other.zarr")
    zarr.create_group(tmp_path / "new.zarr", attributes={"vifistore": {"schema": 99}})
    with pytest.raises(StoreError, match="schema 99"):
        open_store(tmp_path / "new.zarr")
    file = tmp_path / "file.zarr"
    file.write_text("x")
    with pytest.raises(StoreError, match="is not a zarr store"):
        open_store(file)


def test_reading_cannot_write(make_store):
    store = open_store(make_store(3).path)
    with pytest.raises(ValueError, match="read-only"):
        set_name(store.dataset("d"), "a", "b", "c", force=False)


@pytest.mark.parametrize("place", ["file/s.zarr", "file/deep/s.zarr", "link"])
def test_a_file_where_the_store_is_to_be_made_is_told(tmp_path, place):
    (tmp_path / "file").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    file = tmp_path / place.split("/")[0]
    for at_work in (find_store, create_store):
        with pytest.raises(StoreError, match=f"{file} is no folder; give another path"):
            at_work(tmp_path / place)


@pytest.mark.parametrize("below", [".", ".."])
def test_the_cache_lies_beside_a_store_that_one_stands_in(make_store, monkeypatch, below):
    store = make_store(1)
    monkeypatch.chdir(store.path if below == "." else store.path / "videos")
    cache = open_store(below).cache_folder
    assert cache == store.path.with_name(f"{store.path.name}.cache")
