"""Import: what was exported comes back, and what is wrong is refused before anything is written."""

import os
import pickle
import tempfile
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support import plain_recipe, video_table, write_features
from vifistore.errors import DamagedError, UnknownNameError, UsageError, VifiError
from vifistore.store import open_store
from vifistore.store.checkpoints import register_checkpoint
from vifistore.store.exporting.formats import ExportSettings, export_features
from vifistore.store.importing.formats import ImportSettings, import_features
from vifistore.store.names import set_name
from vifistore.store.recipe import canonical_json, recipe_id
from vifistore.store.schema import FEATURE_ARRAYS
from vifistore.store.store import create_store
from vifistore.store.tables import Split, write_captions, write_split, write_videos
from vifistore.store.texts import write_texts

RNG = np.random.default_rng(0)


def fill_store(folder, frames, clips=1):
    """A store at folder/s.zarr with `frames` as the sealed set `mine`."""
    store = create_store(folder / "s.zarr")
    table = video_table(len(frames), ["run", "jump"])
    write_videos(store.backend, "d", table, ["run", "jump"], "/videos")
    recipe = plain_recipe(frames=frames.shape[2], clips=clips)
    writer = write_features(store, "d", recipe, frames)
    writer.seal()
    writer.release()
    set_name(store.backend, "d", "mine", writer.id, "", force=False)
    return store


def export(store, format, out):
    """Export the set `mine`."""
    export_features(store, ExportSettings(dataset="d", features="mine", format=format, out=out))
    return out


def bring(location, path, format, **wanted):
    """Import into the dataset `d`."""
    return import_features(location, path, ImportSettings(format=format, dataset="d", **wanted))


@settings(deadline=None, max_examples=6)
@given(
    shape=st.tuples(*(st.integers(1, n) for n in (130, 2, 3, 5))),
    format=st.sampled_from(["hdf5", "zarr"]),
    seed=st.integers(0, 9),
)
def test_whole_sets_come_back_byte_for_byte(shape, format, seed):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        frames = np.random.default_rng(seed).normal(size=shape) * 10.0 ** (seed - 6)
        store = fill_store(folder, frames + 1e-3, clips=shape[1])
        report = bring(folder / "t.zarr", export(store, format, folder / "x"), format)
        original = store.features("d", "mine")
        copy = open_store(folder / "t.zarr").features("d", "mine")
        assert (copy.id, copy.recipe, copy.sealed) == (
            original.id,
            original.recipe,
            original.sealed,
        )
        assert (report.id, report.name, report.sealed) == (original.id, "mine", True)
        for array in FEATURE_ARRAYS:
            np.testing.assert_array_equal(copy.read(array), original.read(array))


@settings(deadline=None, max_examples=6)
@given(
    shape=st.tuples(st.integers(1, 80), st.integers(1, 3), st.integers(2, 5)),
    dtype=st.sampled_from(["float16", "float32", "float64"]),
    seed=st.integers(0, 9),
)
def test_an_array_finds_the_rows_of_its_ids(shape, dtype, seed):
    random = np.random.default_rng(seed)
    frames = (random.normal(size=shape) + 0.01).astype(dtype)
    order = random.permutation(len(frames))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        store = fill_store(folder, frames[:, None])
        np.save(folder / "x.npy", frames[order])
        (folder / "ids.txt").write_text("\n".join(f"v{i}.mp4" for i in order))
        report = bring(store.path, folder / "x.npy", "npy", ids=folder / "ids.txt")
        features = store.features("d", "x")
        assert (report.name, report.done, report.quarantined) == ("x", shape[0], 0)
        stored = features.read("frames")
        np.testing.assert_array_equal(stored[:, 0], frames.astype(np.float16))
        expected = stored.astype(np.float32).mean(axis=2)
        np.testing.assert_allclose(features.read("view_mean"), expected, atol=1e-6)
        assert features.sealed["rows"] == shape[0]


def test_npy_folder_comes_back(tmp_path):
    frames = RNG.normal(size=(5, 1, 4, 8))
    store = fill_store(tmp_path, frames)
    out = export(store, "npy", tmp_path / "x")
    assert bring(store.path, out, "npy").done == 5
    copy, original = store.features("d", "x"), store.features("d", "mine")
    assert copy.id != original.id
    for name in ("frames", "timestamps"):
        np.testing.assert_array_equal(copy.read(name), original.read(name))
    assert copy.recipe["imported"].keys() == {"format", "source", "digest"}
    bring(tmp_path / "new.zarr", out, "npy")
    assert open_store(tmp_path / "new.zarr").videos("d")["id"].tolist() == [
        f"v{i}" for i in range(5)
    ]


@pytest.mark.parametrize("format", ["parquet", "clip-retrieval"])
def test_means_come_back_without_frames(tmp_path, format):
    pytest.importorskip("pyarrow")
    store = fill_store(tmp_path, RNG.normal(size=(70, 1, 4, 8)))
    bring(store.path, export(store, format, tmp_path / "x"), format)
    features = store.features("d", "x")
    expected = store.features("d", "mine").read("view_mean")
    if format == "clip-retrieval":
        expected /= np.linalg.norm(expected, axis=-1, keepdims=True)
    np.testing.assert_allclose(features.read("view_mean"), expected, atol=1e-3)
    for name in ("frames", "view_consensus"):
        with pytest.raises(UsageError, match=f"has no {name}"):
            features.require_array(name)
    assert features.frames is None
    assert features.sealed["rows"] == 70


def means(tmp_path, ids, values=None, name="x"):
    """Files name.npy `[video dim]` and name.txt of their ids."""
    values = RNG.normal(size=(len(ids), 8)) if values is None else values
    np.save(tmp_path / f"{name}.npy", values)
    (tmp_path / f"{name}.txt").write_text("\n".join(ids))
    return tmp_path / f"{name}.npy", {"ids": tmp_path / f"{name}.txt"}


def test_videos_that_the_file_lacks_are_quarantined(tmp_path):
    store = fill_store(tmp_path, RNG.normal(size=(5, 1, 4, 8)))
    path, ids = means(tmp_path, ["v3.mp4", "v0.mp4"])
    report = bring(store.path, path, "npy", **ids)
    assert (report.done, report.quarantined, report.sealed) == (2, 3, True)
    quarantine = store.features("d", "x").quarantine()
    assert [entry["row"] for entry in quarantine] == [1, 2, 4]
    assert {entry["reason"] for entry in quarantine} == {"missing"}
    np.testing.assert_array_equal(
        store.features("d", "x").read("view_mean")[[3, 0], 0], np.load(path).astype(np.float32)
    )


def test_importing_twice_changes_nothing(tmp_path):
    store = fill_store(tmp_path, RNG.normal(size=(5, 1, 4, 8)))
    path, ids = means(tmp_path, ["v3.mp4", "v0.mp4"])
    first = bring(store.path, path, "npy", **ids)
    sealed = store.features("d", "x").sealed
    assert bring(store.path, path, "npy", **ids) == first
    assert store.features("d", "x").sealed == sealed


def test_an_older_export_does_not_cut_a_set_that_grew(tmp_path):
    frames = RNG.normal(size=(12, 1, 4, 8))
    store = fill_store(tmp_path, frames[:10])
    exports = [(f, export(store, f, tmp_path / f)) for f in ("hdf5", "zarr")]
    write_videos(store.backend, "d", video_table(12, ["run", "jump"]), ["run", "jump"], "/videos")
    writer = write_features(store, "d", plain_recipe(), frames)
    writer.seal()
    writer.release()
    for format, path in exports:
        report = bring(store.path, path, format)
        assert (report.done, report.sealed) == (12, True)
    np.testing.assert_array_equal(
        store.features("d", "mine").read("frames"), frames.astype(np.float16)
    )


def test_zarr_brings_checkpoint_texts_and_lists(tmp_path):
    store = fill_store(tmp_path, RNG.normal(size=(5, 1, 4, 8)))
    record = {"name": "c", "model": "m", "config": {}, "weights_path": "", "parent": ""}
    record |= {"image_digest": "i", "text_digest": "t", "logit_scale": 10.0}
    digest = register_checkpoint(store.backend, {**record, "step": 0, "settings": {}})
    fields = {"text_digest": "t", "logit_scale": 10.0, "class_names": ["run", "jump"]}
    fields |= {"templates": ["{}"], "context_length": 77, "precision": "fp32"}
    texts = write_texts(store.backend, fields, RNG.normal(size=(2, 1, 8)).astype(np.float32))
    rows = {"rows": np.array([1]), "labels": np.array([1], np.int32)}
    split = Split(name="test", class_names=["run", "jump"], source="s", digest="x", **rows)
    write_split(store.backend, "d", split)
    write_captions(store.backend, "d", [(0, "a run")])
    set_name(store.backend, "d", "mine", store.features("d", "mine").id, digest, force=True)
    out = export(store, "zarr", tmp_path / "x.zarr")
    bring(tmp_path / "new.zarr", out, "zarr", name="other")
    for path, name in ((out, "mine"), (tmp_path / "new.zarr", "other")):
        copy = open_store(path)
        assert copy.features("d", name).checkpoint == digest
        assert copy.checkpoint(digest) == store.checkpoint(digest)
        np.testing.assert_array_equal(copy.texts(texts).embeddings, store.texts(texts).embeddings)
        assert copy.split("d", "test").rows.tolist() == [1]
        assert copy.captions("d")["text"].tolist() == ["a run"]


def test_checkpoint_of_this_store_scores_an_import(tmp_path):
    store = fill_store(tmp_path, RNG.normal(size=(5, 1, 4, 8)))
    path, ids = means(tmp_path, [f"v{i}.mp4" for i in range(5)])
    with pytest.raises(UnknownNameError, match="checkpoint"):
        bring(store.path, path, "npy", checkpoint="nope", **ids)
    record = {"name": "c", "model": "m", "config": {}, "weights_path": "", "parent": ""}
    record |= {"image_digest": "i", "text_digest": "t", "logit_scale": 10.0}
    digest = register_checkpoint(store.backend, {**record, "step": 0, "settings": {}})
    bring(store.path, path, "npy", checkpoint=digest, **ids)
    assert store.features("d", "x").checkpoint == digest


class Trap:
    """Unpickling it makes a folder."""

    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (str(self.folder),)


BAD_VALUES = [
    (np.full((2, 8), np.nan), "zero, not finite"),
    (np.zeros((2, 8)), "zero, not finite"),
    (np.full((2, 1, 8), 1e6), "beyond float16"),
    (np.full((2, 8), 1e300), "zero, not finite"),
    (np.ones((2, 8), np.int64), "int64, not embeddings"),
    (np.ones((2, 8), complex), "complex128, not embeddings"),
    (np.ones(2), "has shape"),
    (np.ones((2, 0, 8)), "an axis of which is empty"),
    (np.ones((3, 8)), "3 rows but"),
    (np.ones((1, 1, 1, 2, 8)), "has shape"),
]


@pytest.mark.parametrize(("values", "words"), BAD_VALUES)
def test_bad_arrays_are_refused_and_nothing_is_written(tmp_path, values, words):
    path, ids = means(tmp_path, ["a", "b"], values)
    with pytest.raises(UsageError, match=words):
        bring(tmp_path / "new.zarr", path, "npy", **ids)
    assert not (tmp_path / "new.zarr").exists()


@pytest.mark.parametrize("content", ["pickled array", "pickle", "text", "truncated", "empty"])
def test_no_pickle_is_loaded(tmp_path, content):
    path, ids = means(tmp_path, ["a", "b"])
    if content == "pickled array":
        np.save(path, np.array([Trap(tmp_path / "sprung")] * 2, object), allow_pickle=True)
    elif content == "truncated":
        path.write_bytes(path.read_bytes()[:-9])
    else:
        pickled = pickle.dumps(Trap(tmp_path / "sprung"))
        path.write_bytes({"pickle": pickled, "text": b"hello"}.get(content, b""))
    with pytest.raises(UsageError, match=r"not a plain \.npy array"):
        bring(tmp_path / "new.zarr", path, "npy", **ids)
    assert not (tmp_path / "sprung").exists()
    assert not (tmp_path / "new.zarr").exists()


@pytest.mark.parametrize("ids", [["a", "a"], ["a", " "], ["v0.mp4", "nobody"]])
def test_wrong_ids_are_refused(tmp_path, ids):
    store = fill_store(tmp_path, RNG.normal(size=(3, 1, 4, 8)))
    path, given_ids = means(tmp_path, ids)
    with pytest.raises(UsageError, match=r"twice|one line of text|'nobody'"):
        bring(store.path, path, "npy", **given_ids)
    with pytest.raises(UsageError, match="--ids"):
        bring(store.path, path, "npy")


def test_folders_of_unequal_or_strange_files_are_refused(tmp_path):
    folder = tmp_path / "x"
    folder.mkdir()
    with pytest.raises(UsageError, match="holds no embeddings"):
        bring(tmp_path / "new.zarr", folder, "npy")
    np.save(folder / "a_clip.npy", np.ones((4, 8)))
    np.save(folder / "b_clip.npy", np.ones((5, 8)))
    with pytest.raises(UsageError, match="extraction_total"):
        bring(tmp_path / "new.zarr", folder, "npy")
    np.save(folder / "b_clip.npy", np.ones((4, 8)))
    np.save(folder / "b_timestamps_ms.npy", np.ones(3))
    with pytest.raises(UsageError, match="b_timestamps_ms"):
        bring(tmp_path / "new.zarr", folder, "npy")
    np.save(folder / "b_timestamps_ms.npy", np.arange(4.0))
    np.save(folder / "b_i3d.npy", np.ones((4, 8)))
    with pytest.raises(UsageError, match="several types"):
        bring(tmp_path / "new.zarr", folder, "npy")
    (folder / "b_i3d.npy").unlink()
    store = fill_store(tmp_path, RNG.normal(size=(3, 1, 4, 8)))
    with pytest.raises(UsageError, match="belongs to no video"):
        bring(store.path, folder, "npy")
    assert bring(tmp_path / "new.zarr", folder, "npy").done == 2


def _set(name, value):
    def change(file):
        file[name][1] = value

    return change


def _recipe(**changes):
    def change(file):
        recipe = {**plain_recipe().as_dict(), **changes}
        file.attrs.update(recipe=canonical_json(recipe), id=recipe_id(recipe))

    return change


def _link_outside(file):
    file.create_dataset("copy", data=file["view_mean"][:])
    del file["view_mean"]
    file["view_mean"] = h5py.ExternalLink("/etc/hostname", "x")


def _shorter(file):
    mean = file["view_mean"][:2]
    del file["view_mean"]
    file["view_mean"] = mean


ALTERED = {
    "mean": (_set("view_mean", 1.0), DamagedError, "not that of its frames"),
    "consensus": (_set("view_consensus", 0.5), DamagedError, "not that of its frames"),
    "frames": (_set("frames", 1.0), DamagedError, "not that of its frames"),
    "nan": (_set("frames", np.nan), UsageError, "not finite"),
    "status": (_set("status", 7), DamagedError, "status or reason"),
    "reason": (_set("reason", "<script>"), DamagedError, "status or reason"),
    "id": (lambda file: file.attrs.update(id="0" * 12), DamagedError, "another's"),
    "other frames": (_recipe(frames=5), DamagedError, "recipe says otherwise"),
    "odd recipe": (_recipe(clips={}), DamagedError, "recipe says otherwise"),
    "no recipe": (lambda file: file.attrs.pop("recipe"), UsageError, "not what vifi export"),
    "names": (lambda file: file.attrs.update(names='["../x"]'), UsageError, "cannot name"),
    "path": (_set("videos/path", "../../etc/passwd"), UsageError, "leaves the folder"),
    "absolute": (_set("videos/path", "/etc/passwd"), UsageError, "leaves the folder"),
    "ids": (_set("videos/id", "v0.mp4"), UsageError, "twice"),
    "link": (_link_outside, UsageError, "lies elsewhere"),
    "lengths": (_shorter, UsageError, "has shape"),
    "no status": (lambda file: file.pop("status"), UsageError, "has no status"),
}


@pytest.mark.parametrize("what", ALTERED)
def test_altered_hdf5_is_refused_and_nothing_is_written(tmp_path, what):
    change, error, words = ALTERED[what]
    store = fill_store(tmp_path, RNG.normal(size=(3, 1, 4, 8)))
    path = export(store, "hdf5", tmp_path / "x.h5")
    with h5py.File(path, "r+") as file:
        change(file)
    with pytest.raises(error, match=words):
        bring(tmp_path / "new.zarr", path, "hdf5")
    assert not (tmp_path / "new.zarr").exists()


def test_flipped_bits_of_hdf5_are_noticed(tmp_path):
    frames = RNG.normal(size=(64, 1, 4, 512))
    path = export(fill_store(tmp_path, frames), "hdf5", tmp_path / "x.h5")
    data = bytearray(path.read_bytes())
    needle = frames[30, 0, 0].astype(np.float16).tobytes()
    data[data.index(needle) + 100] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(VifiError, match=r"x\.h5"):
        bring(tmp_path / "new.zarr", path, "hdf5")
    assert not (tmp_path / "new.zarr").exists()


def test_set_of_the_same_id_with_other_axes_is_not_overwritten(tmp_path):
    store = fill_store(tmp_path, RNG.normal(size=(3, 1, 4, 8)))
    (tmp_path / "other").mkdir()
    other = fill_store(tmp_path / "other", RNG.normal(size=(3, 1, 4, 6)))
    path = export(other, "hdf5", tmp_path / "x.h5")
    before = store.features("d", "mine").sealed
    with pytest.raises(UsageError, match="with other axes"):
        bring(store.path, path, "hdf5")
    assert store.features("d", "mine").sealed == before


def test_names_that_are_taken_or_none_are_refused(tmp_path):
    store = fill_store(tmp_path, RNG.normal(size=(3, 1, 4, 8)))
    path, ids = means(tmp_path, [f"v{i}.mp4" for i in range(3)])
    with pytest.raises(UsageError, match="already stands for"):
        bring(store.path, path, "npy", name="mine", **ids)
    with pytest.raises(UsageError, match="cannot name"):
        bring(store.path, path, "npy", name="../x", **ids)
    assert len(store.feature_ids("d")) == 1


def test_parquet_of_the_wrong_kind_is_refused(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    for columns, words in [
        ({"id": ["a"]}, "no columns id and embedding"),
        ({"id": ["a"], "embedding": ["b"]}, "write it as list<float>"),
        ({"id": ["a"], "embedding": [[1, 2]]}, "int64, not embeddings"),
        ({"id": ["a", "b"], "embedding": [[1.0], [1.0, 2.0]]}, "of lengths"),
        ({"id": ["a", "b"], "embedding": [[1.0], None]}, "null"),
        ({"id": ["a", "a"], "embedding": [[1.0], [2.0]]}, "twice"),
        ({"id": [None], "embedding": [[1.0]]}, "one line of text"),
    ]:
        parquet.write_table(pyarrow.table(columns), tmp_path / "x.parquet")
        with pytest.raises(UsageError, match=words):
            bring(tmp_path / "new.zarr", tmp_path / "x.parquet", "parquet")
    (tmp_path / "x.parquet").write_text("no")
    with pytest.raises(UsageError, match="no columns id and embedding"):
        bring(tmp_path / "new.zarr", tmp_path / "x.parquet", "parquet")


def test_nothing_there_is_said(tmp_path):
    for format in ("hdf5", "npy", "clip-retrieval", "parquet", "zarr"):
        with pytest.raises(UsageError, match="there is nothing at"):
            bring(tmp_path / "new.zarr", tmp_path / "nowhere", format)
    (tmp_path / "x.h5").write_text("no")
    with pytest.raises(UsageError, match="is not HDF5"):
        bring(tmp_path / "new.zarr", tmp_path / "x.h5", "hdf5")
