"""Arrays beside the frames: how many frames count, and whatever else an encoder leaves."""

import contextlib
import shutil

import numpy as np
import pytest

from tests.support import block_data
from tests.vifistore.store.padded_set import (
    FURTHER,
    NUM_VIDEOS,
    TOKENS,
    counts_of,
    make_padded_store,
    new_writer,
    padded,
)
from vifistore.errors import DamagedError, StoreError, UsageError
from vifistore.extract.planned_videos import PlannedVideos
from vifistore.extract.reuse import Reuse
from vifistore.store import open_store, planning
from vifistore.store.derived import write_derived
from vifistore.store.exporting.formats import ExportSettings, export_features
from vifistore.store.feature_record import FRAME_COUNTS, FurtherArray
from vifistore.store.full_frames import has_full_frames
from vifistore.store.importing.formats import ImportSettings, import_features
from vifistore.store.info import describe_store, feature_size
from vifistore.store.pooling import pool_views
from vifistore.store.verifying.verify import verify_store
from vifistore.store.writer import Shape
from vifistore.training.heads.head_data import read_head_data


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Folder of a store with such a set; read it only."""
    return make_padded_store(tmp_path_factory.mktemp("further") / "s.zarr")


@pytest.fixture
def folder(made, tmp_path):
    """A copy, to be changed."""
    return shutil.copytree(made, tmp_path / "s.zarr")


def test_they_come_back_and_are_verified(made):
    store = open_store(made)
    features = store.features("d", "mine")
    rows = np.arange(NUM_VIDEOS)
    assert store.schema == 2
    assert list(verify_store(store)) == []
    np.testing.assert_array_equal(features.num_valid, counts_of(rows))
    assert features.num_valid.dtype == np.uint16
    np.testing.assert_array_equal(features.read("tokens"), padded(rows)["tokens"])
    assert features.array("tokens").metadata.dimension_names == ("video", "view", "token", "dim")
    assert features.further == FURTHER


def test_info_lists_them(made):
    store = open_store(made)
    (told,) = describe_store(store)["datasets"]["d"]["features"]
    assert told["arrays"]["num_valid"] == {"dtype": "uint16", "axes": ["video", "view"]}
    assert told["arrays"]["tokens"]["axes"] == ["video", "view", "token", "dim"]
    # Frames, two means, times, tries, status, counts and tokens of a video.
    num_bytes = 2 * (4 * 8 * 2 + 2 * 8 * 4 + 4 * 4 + 2 + 3 * 8 * 4) + 2
    assert feature_size(store.features("d", "mine")).num_bytes == NUM_VIDEOS * num_bytes


def test_frames_never_come_without_their_counts(made):
    features = open_store(made).features("d", "mine")
    chosen = features.select(rows=[5, 2], arrays=("frames", "view_mean"))
    np.testing.assert_array_equal(chosen.arrays["num_valid"], counts_of([5, 2]))
    assert features.select(rows=[5], arrays=("view_mean",)).arrays.keys() == {"view_mean"}
    for rows, arrays in features.blocks(("frames",)):
        np.testing.assert_array_equal(arrays["num_valid"], counts_of(rows))


def test_all_frames_count_where_none_is_told(make_store):
    store = make_store(3)
    writer = new_writer(store, further={}, shape=Shape(video=3, view=2, frame=4, dim=8))
    frames = np.random.default_rng(0).normal(size=(3, 2, 4, 8))
    writer.write_block(0, [0, 1, 2], block_data(frames))
    writer.seal()
    features = store.features("d", writer.id)
    assert features.num_valid.tolist() == [[4, 4]] * 3
    assert not (store.path / features.path / "num_valid").exists()
    assert store.schema == 1
    assert has_full_frames(features)


def test_pooling_leaves_out_what_pads():
    frames = padded([0, 1, 2])["frames"]
    counts = counts_of([0, 1, 2])
    mean, consensus = pool_views(frames, counts)
    for video, view in np.ndindex(3, 2):
        alone = frames[video : video + 1, view : view + 1, : counts[video, view]]
        for pooled, expected in zip((mean, consensus), pool_views(alone), strict=True):
            np.testing.assert_allclose(pooled[video, view], expected[0, 0], rtol=1e-6)


def test_a_derived_set_is_not_made_of_padding(made):
    features = open_store(made).features("d", "mine")
    with pytest.raises(UsageError, match="would count the padding"):
        write_derived(features, head={"digest": "h"}, apply=lambda f: f.mean(axis=2), name="new")


def test_who_reads_single_frames_names_what_its_caller_can_do(made):
    features = open_store(made).features("d", "mine")
    split = features.dataset.split("all")
    with pytest.raises(UsageError, match="the padding; train a head on a set of full frames"):
        read_head_data(features, split)


def test_a_set_without_padding_may_keep_counts(folder):
    store = open_store(folder, mode="a")
    shutil.rmtree(folder / "features")
    writer = new_writer(store, further={"num_valid": FRAME_COUNTS})
    for block in writer.todo_blocks():
        rows = writer.todo_rows(block)
        frames = np.random.default_rng(block).normal(size=(len(rows), 2, 4, 8))
        full = np.full((len(rows), 2), 4, np.uint16)
        writer.write_block(block, rows, {**block_data(frames), "num_valid": full})
    writer.seal()
    assert has_full_frames(store.features("d", writer.id))
    assert list(verify_store(open_store(folder))) == []


def test_a_set_keeps_the_arrays_that_it_has(folder):
    store = open_store(folder, mode="a")
    for further in ({}, {"num_valid": FRAME_COUNTS}, {**FURTHER, "more": FRAME_COUNTS}):
        with pytest.raises(UsageError, match=r"has num_valid uint16 \[\], tokens float32 \[3, 8\]"):
            new_writer(store, further=further)
    assert list(verify_store(open_store(folder))) == []
    longer = {**FURTHER, "tokens": FurtherArray(dtype="float32", axes=("token",), lengths=(9,))}
    with pytest.raises(UsageError, match=r"tokens float32 \[9\]"):
        new_writer(store, further=longer)


@pytest.mark.parametrize(
    ("name", "array", "words"),
    [
        ("frames", TOKENS, "'frames' is an array or a group of every feature set"),
        ("claims", TOKENS, "'claims' is an array or a group of every feature set"),
        ("../x", TOKENS, "is not made of lower-case letters"),
        ("x", FurtherArray(dtype="object"), "'x' is of 'object', not of float16"),
        ("x", FurtherArray(dtype="uint8", axes=("view",), lengths=(1,)), "not a name each"),
        ("x", FurtherArray(dtype="uint8", axes=("dim",), lengths=(9,)), "elsewhere in the set 8"),
        ("x", FurtherArray(dtype="uint8", axes=("token",)), "has 1 axes behind video and view"),
        ("x", FurtherArray(dtype="uint8", lengths=(3, 4)), "and 2 lengths; give each axis one"),
        ("num_valid", FurtherArray(dtype="uint8"), "num_valid is uint8"),
    ],
)
def test_arrays_that_no_set_can_have(make_store, name, array, words):
    store = make_store(3)
    with pytest.raises(UsageError, match=r"^[^\n]{1,400}$") as error:
        new_writer(store, further={name: array}, shape=Shape(video=3, view=2, frame=4, dim=8))
    assert words in str(error.value)
    assert store.dataset("d").feature_ids() == []
    assert open_store(store.path).schema == 1


def test_a_set_that_is_refused_for_what_lies_there_leaves_the_schema(make_store, monkeypatch):
    store = make_store(3)

    def refuse(*_):
        raise StoreError("it covers 9 videos")

    monkeypatch.setattr(planning, "_require_no_more_rows", refuse)
    with pytest.raises(StoreError, match="covers 9 videos"):
        new_writer(store, shape=Shape(video=3, view=2, frame=4, dim=8))
    assert open_store(store.path).schema == 1


def test_what_the_root_says_is_read_while_nobody_clears(make_store, monkeypatch):
    backend, held = make_store(3).backend, []
    read, hold = backend.attributes, backend.place.writing

    @contextlib.contextmanager
    def writing():
        held.append(True)
        with hold():
            yield
        held.pop()

    def attributes(path):
        assert held
        return read(path)

    monkeypatch.setattr(backend.place, "writing", writing)
    monkeypatch.setattr(backend, "attributes", attributes)
    backend.require_schema(2)
    monkeypatch.undo()
    assert backend.attributes("")["vifistore"]["schema"] == 2


def test_a_block_comes_with_every_array(make_store):
    writer = new_writer(make_store(3), shape=Shape(video=3, view=2, frame=4, dim=8))
    data = padded([0, 1, 2])
    del data["tokens"]
    with pytest.raises(UsageError, match="comes without tokens"):
        writer.write_block(0, [0, 1, 2], data)


@pytest.mark.parametrize("format", ["zarr", "hdf5"])
def test_they_are_exported_and_imported(made, tmp_path, format):
    out = tmp_path / "out"
    export_features(
        open_store(made), ExportSettings(dataset="d", features="mine", format=format, out=out)
    )
    import_features(tmp_path / "new.zarr", out, ImportSettings(dataset="d", format=format))
    new, old = open_store(tmp_path / "new.zarr"), open_store(made).features("d", "mine")
    features = new.features("d", "mine")
    assert features.further == FURTHER
    for name in old.specs:
        np.testing.assert_array_equal(features.read(name), old.read(name))
    assert features.sealed == old.sealed
    assert list(verify_store(new)) == []


def test_an_import_checks_counts(made, tmp_path):
    h5py = pytest.importorskip("h5py")
    out = tmp_path / "out.h5"
    export_features(
        open_store(made), ExportSettings(dataset="d", features="mine", format="hdf5", out=out)
    )
    with h5py.File(out, "a") as file:
        file["num_valid"][3] = 9
    with pytest.raises(DamagedError, match=r"num_valid of 'v3\.mp4' does not go with its frames"):
        import_features(tmp_path / "new.zarr", out, ImportSettings(dataset="d", format="hdf5"))


def test_formats_without_room_say_so_and_hold_no_padding(made, tmp_path, caplog):
    settings = ExportSettings(dataset="d", features="mine", format="npy", out=tmp_path / "npy")
    export_features(open_store(made), settings)
    assert "npy files hold no tokens; export as hdf5 or zarr to keep all" in caplog.text
    assert "vifi import cannot read npy files back" in caplog.text
    saved = np.load(tmp_path / "npy" / "v2_clip.npy")
    frames = padded([2])["frames"][0].astype(np.float32)
    np.testing.assert_array_equal(saved, np.concatenate([frames[0, :3], frames[1, :4]]))
    assert len(np.load(tmp_path / "npy" / "v2_timestamps_ms.npy")) == 7


def test_nothing_is_copied_from_such_a_set(made):
    store = open_store(made)
    dataset, features = store.dataset("d"), store.features("d", "mine")
    # One of this recipe, with a video that the set has by its bytes.
    assert Reuse(dataset, features, PlannedVideos(dataset, [0, 1]))._known_sets == []
