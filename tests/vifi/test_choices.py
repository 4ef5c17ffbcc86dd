import numpy as np
import pytest

from tests.support import plain_recipe, write_features
from vifi.command_line.choices import choose_dataset, choose_features
from vifistore.errors import UsageError
from vifistore.store.dataset import write_videos
from vifistore.store.names import set_name
from vifistore.store.store import create_store


def test_the_only_dataset_is_meant(make_store):
    store = make_store()
    assert choose_dataset(store, "") == "d"
    assert choose_dataset(store, "e") == "e"
    write_videos(store.new_dataset("e"), store.videos("d"), ["run", "jump"], "/")
    with pytest.raises(UsageError, match="d, e; say which: --dataset NAME"):
        choose_dataset(store, "")


def test_a_store_without_datasets(tmp_path):
    with pytest.raises(UsageError, match="no dataset; add one with vifi scan"):
        choose_dataset(create_store(tmp_path / "s.zarr"), "")


def test_the_only_feature_set_is_meant(make_store):
    store = make_store(2)
    with pytest.raises(UsageError, match="no feature set yet; make one with vifi extract"):
        choose_features(store.dataset("d"), ())
    ids = [
        write_features(store, "d", plain_recipe(frames=frames), np.ones((2, 1, frames, 8))).id
        for frames in (1, 2)
    ]
    set_name(store.dataset("d"), "two", ids[1], "", force=False)
    with pytest.raises(UsageError, match=f"several feature sets: {ids[0]}, two; choose one with"):
        choose_features(store.dataset("d"), ())
    (two,) = choose_features(store.dataset("d"), ["two"])
    assert (two.name, two.id) == ("two", ids[1])
