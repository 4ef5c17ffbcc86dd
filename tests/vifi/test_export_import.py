"""`vifi export` and `vifi import`: exit codes, one document, one line for whatever is wrong."""

import json

import numpy as np
import pytest

from tests.support import block_data, plain_recipe, write_features
from vifistore.store.names import set_name
from vifistore.store.schema import FEATURE_ARRAYS, QUARANTINED
from vifistore.store.writer import FeatureWriter, Shape

FRAMES = np.random.default_rng(0).normal(size=(6, 1, 4, 8))


@pytest.fixture
def store(make_store):
    """A store with a sealed set `mine` and one that is not, `half`."""
    store = make_store(6)
    writer = write_features(store, "d", plain_recipe(), FRAMES)
    writer.seal()
    set_name(store.dataset("d"), "mine", writer.id, "", force=False)
    shape = Shape(video=6, view=1, frame=4, dim=8)
    half = FeatureWriter(store.dataset("d"), plain_recipe("1" * 64).as_dict(), shape, {})
    data = block_data(FRAMES[:2])
    for name, spec in FEATURE_ARRAYS.items():
        data[name][1] = spec.fill
    data["status"][1] = QUARANTINED
    half.write_block(0, [0, 1], data)
    set_name(store.dataset("d"), "half", half.id, "", force=False)
    return store.path


def test_there_and_back(said, store, tmp_path):
    out = tmp_path / "x.h5"
    wanted = ("--dataset", "d", "--features", "mine", "--format", "hdf5", "--out", out)
    code, text, error = said("export", store, *wanted, "--json")
    document = json.loads(text)
    assert (code, error) == (0, "")
    assert document.keys() == {"id", "out", "done", "quarantined", "todo"}
    new = tmp_path / "new.zarr"
    code, text, _ = said("import", new, out, "--format", "hdf5", "--dataset", "d", "--json")
    assert code == 0
    expected = {"id": document["id"], "name": "mine", "videos": 6, "done": 6, "quarantined": 0}
    assert json.loads(text) == {**expected, "sealed": True}
    code, text, _ = said("info", new)
    assert "6 done, 0 quarantined, sealed" in text


def test_quarantined_videos_end_in_3(said, store, tmp_path):
    wanted = ("--dataset", "d", "--features", "half", "--format", "npy", "--out", tmp_path / "x")
    code, text, _ = said("export", store, *wanted, "--partial")
    assert code == 3
    assert "1 videos of feature set" in text
    assert text.strip().endswith("1 quarantined, 4 still to do")
    code, text, _ = said("import", store, tmp_path / "x", "--format", "npy", "--dataset", "d")
    assert code == 3
    assert "1 videos, 5 quarantined; sealed" in text


def test_wrong_calls_are_one_line_and_leave_nothing(said, store, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.save("m.npy", np.ones((2, 8)))
    before = sorted(tmp_path.rglob("*"))
    mine = ("export", store, "--dataset", "d", "--features", "mine", "--out", "x")
    bring = ("import", "new.zarr", "m.npy", "--format", "npy", "--dataset")
    for arguments, code, words in [
        (("export", store, "--dataset", "d"), 2, "--out PATH; see vifi export"),
        ((*mine, "--format", "csv"), 2, "csv"),
        ((*mine[:-1], "m.npy", "--format", "hdf5"), 2, "m.npy exists"),
        ((*mine[:4], "--features", "mines", *mine[6:], "--format", "npy"), 2, "Did you mean"),
        ((*mine[:4], "--features", "half", *mine[6:], "--format", "npy"), 1, "--partial"),
        ((*bring, "d"), 2, "--ids"),
        ((*bring, "../d", "--ids", "m.npy"), 2, "cannot name a dataset"),
        ((*bring, "d", "--ids", "m.npy"), 2, "cannot be read as text"),
        ((*bring[:2], "nowhere", *bring[3:], "d"), 2, "there is nothing at nowhere"),
        (("import", "new.zarr", tmp_path, "--format", "zarr", "--dataset", "d"), 1, "not a zarr"),
        (("import", "new.zarr"), 2, "see vifi import --help"),
    ]:
        found, text, error = said(*arguments)
        assert (found, text) == (code, ""), (arguments, error)
        assert words in error, (arguments, error)
        assert error.startswith("vifi: "), error
        assert "\n" not in error
    assert sorted(tmp_path.rglob("*")) == before
