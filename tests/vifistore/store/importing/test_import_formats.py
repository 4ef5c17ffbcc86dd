"""Import: what holds for every format, and is refused before anything is written."""

import numpy as np
import pytest

from tests.vifistore.store.importing.bringing import RNG, bring, fill_store, means
from vifistore.errors import UnknownNameError, UsageError
from vifistore.store import open_store
from vifistore.store.verifying.verify import verify_store


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
    assert list(verify_store(store)) == []


def test_checkpoint_of_this_store_scores_an_import(tmp_path):
    store = fill_store(tmp_path, RNG.normal(size=(5, 1, 4, 8)))
    path, ids = means(tmp_path, [f"v{i}.mp4" for i in range(5)])
    with pytest.raises(UnknownNameError, match="checkpoint"):
        bring(store.path, path, "npy", checkpoint="nope", **ids)
    record = {"name": "c", "model": "m", "config": {}, "weights_path": "", "parent": ""}
    record |= {"image_digest": "i", "text_digest": "t", "logit_scale": 10.0}
    digest = store.add_checkpoint({**record, "step": 0, "settings": {}})
    bring(store.path, path, "npy", checkpoint=digest, **ids)
    assert store.features("d", "x").checkpoint == digest


def test_names_that_are_taken_or_none_are_refused(tmp_path):
    store = fill_store(tmp_path, RNG.normal(size=(3, 1, 4, 8)))
    path, ids = means(tmp_path, [f"v{i}.mp4" for i in range(3)])
    with pytest.raises(UsageError, match="already stands for"):
        bring(store.path, path, "npy", name="mine", **ids)
    with pytest.raises(UsageError, match="cannot name"):
        bring(store.path, path, "npy", name="../x", **ids)
    with pytest.raises(UsageError, match="looks like the id"):
        bring(store.path, path, "npy", name="0" * 12, **ids)
    assert len(store.dataset("d").feature_ids()) == 1


def test_nothing_there_is_said(tmp_path):
    for format in ("hdf5", "npy", "clip-retrieval", "parquet", "zarr"):
        with pytest.raises(UsageError, match="there is nothing at"):
            bring(tmp_path / "new.zarr", tmp_path / "nowhere", format)
    (tmp_path / "x.h5").write_text("no")
    with pytest.raises(UsageError, match="is not HDF5"):
        bring(tmp_path / "new.zarr", tmp_path / "x.h5", "hdf5")


@pytest.mark.parametrize("shape", [(5, 8), (5, 4, 8), (5, 2, 4, 8)])
def test_what_is_imported_is_well_and_its_damage_is_found(tmp_path, shape):
    path, ids = means(tmp_path, [f"v{i}.mp4" for i in range(5)], RNG.normal(size=shape))
    bring(tmp_path / "new.zarr", path, "npy", **ids)
    store = open_store(tmp_path / "new.zarr")
    assert list(verify_store(store)) == []
    features = store.features("d", "x")
    for name in features.specs:
        metadata = store.path / features.path / name / "zarr.json"
        content = metadata.read_bytes()
        metadata.unlink()
        assert any(name in problem.where for problem in verify_store(store))
        metadata.write_bytes(content)
