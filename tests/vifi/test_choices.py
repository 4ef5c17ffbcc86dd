import pytest

from vifi.choices import choose_dataset
from vifistore.errors import UsageError
from vifistore.store.dataset import write_videos
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
