"""Import of .npy files: an array of all videos, and a folder of one per video."""

import os
import pickle
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.vifistore.store.importing.bringing import RNG, bring, export, fill_store, means
from vifistore.errors import UsageError
from vifistore.store import open_store


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
