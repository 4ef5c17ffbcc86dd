"""Import of HDF5 files: what was altered or damaged is refused."""

import h5py
import numpy as np
import pytest

from tests.support import plain_recipe
from tests.vifistore.store.importing.bringing import RNG, bring, export, fill_store
from vifistore.errors import DamagedError, UsageError, VifiError
from vifistore.store.recipe import canonical_json, recipe_id


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
    "no list of names": (
        lambda file: file.attrs.update(names='{"mine": 1}'),
        UsageError,
        "its names are",
    ),
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
