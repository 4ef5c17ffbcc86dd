"""Import of whole feature sets, HDF5 and zarr: every byte comes back, and what belongs to it."""

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support import plain_recipe, video_table, write_features
from tests.vifistore.store.importing.bringing import RNG, bring, export, fill_store
from vifistore.store import open_store
from vifistore.store.dataset import write_captions, write_videos
from vifistore.store.importing.formats import default_name
from vifistore.store.names import set_name
from vifistore.store.schema import FEATURE_ARRAYS
from vifistore.store.splits import Split, write_split
from vifistore.store.writer import FeatureWriter


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


@pytest.mark.parametrize("path", ["s3://bucket/My clips.zarr", Path("My clips.zarr")])
def test_a_set_without_a_name_is_named_like_its_store(path):
    assert default_name(path) == "My-clips"


def test_an_older_export_does_not_cut_a_set_that_grew(tmp_path):
    frames = RNG.normal(size=(12, 1, 4, 8))
    store = fill_store(tmp_path, frames[:10])
    exports = [(f, export(store, f, tmp_path / f)) for f in ("hdf5", "zarr")]
    write_videos(
        store.new_dataset("d"), video_table(12, ["run", "jump"]), ["run", "jump"], "/videos"
    )
    writer = write_features(store, "d", plain_recipe(), frames)
    writer.seal()
    writer.release()
    for format, path in exports:
        report = bring(store.path, path, format)
        assert (report.done, report.sealed) == (12, True)
    np.testing.assert_array_equal(
        store.features("d", "mine").read("frames"), frames.astype(np.float16)
    )


def test_a_set_has_its_name_before_its_locks_are_released(tmp_path, monkeypatch):
    store = fill_store(tmp_path, RNG.normal(size=(5, 1, 4, 8)))
    path, named = export(store, "hdf5", tmp_path / "x"), []
    release = FeatureWriter.release

    def look(writer):
        named.append(open_store(tmp_path / "t.zarr").backend.children("names/d"))
        release(writer)

    monkeypatch.setattr(FeatureWriter, "release", look)
    bring(tmp_path / "t.zarr", path, "hdf5")
    assert named == [["mine"]]


def test_zarr_brings_checkpoint_texts_and_lists(tmp_path):
    store = fill_store(tmp_path, RNG.normal(size=(5, 1, 4, 8)))
    record = {"name": "c", "model": "m", "config": {}, "weights_path": "", "parent": ""}
    record |= {"image_digest": "i", "text_digest": "t", "logit_scale": 10.0}
    digest = store.add_checkpoint({**record, "step": 0, "settings": {}})
    fields = {"text_digest": "t", "logit_scale": 10.0, "class_names": ["run", "jump"]}
    fields |= {"templates": ["{}"], "context_length": 77, "precision": "fp32"}
    texts = store.add_texts(fields, RNG.normal(size=(2, 1, 8)).astype(np.float32))
    rows = {"rows": np.array([1]), "labels": np.array([1], np.int32)}
    split = Split(name="test", class_names=["run", "jump"], source="s", digest="x", **rows)
    write_split(store.dataset("d"), split)
    write_captions(store.dataset("d"), [(0, "a run")])
    set_name(store.dataset("d"), "mine", store.features("d", "mine").id, digest, force=True)
    out = export(store, "zarr", tmp_path / "x.zarr")
    bring(tmp_path / "new.zarr", out, "zarr", name="other")
    for path, name in ((out, "mine"), (tmp_path / "new.zarr", "other")):
        copy = open_store(path)
        assert copy.features("d", name).checkpoint == digest
        assert copy.checkpoint(digest) == store.checkpoint(digest)
        np.testing.assert_array_equal(copy.texts(texts).embeddings, store.texts(texts).embeddings)
        assert copy.dataset("d").split("test").rows.tolist() == [1]
        assert copy.dataset("d").captions()["text"].tolist() == ["a run"]
