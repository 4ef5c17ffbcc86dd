"""Tables that grow while somebody reads them."""

import pytest

from tests.support import video_table
from vifistore.store import tables
from vifistore.store.dataset import Dataset, write_videos

BEFORE, AFTER = ["run", "jump"], ["run", "jump", "swim"]


def stretches_of(num_videos):
    """A table of stretches; videos behind the first five have classes of `AFTER`."""
    table = video_table(num_videos, AFTER)
    table.loc[:4, "label"] = video_table(5, BEFORE)["label"]
    return table.assign(start_seconds=0.5)


@pytest.fixture
def growing(make_store, monkeypatch):
    """Dataset `d` of 5 videos, which has 9 and more classes once a column has been read."""
    dataset = make_store(5, BEFORE).dataset("d")
    write_videos(dataset, stretches_of(5), BEFORE, "/", anew=True)
    read = tables._column

    def read_and_grow(backend, path, num_rows):
        values = read(backend, path, num_rows)
        monkeypatch.setattr(tables, "_column", read)
        write_videos(dataset, stretches_of(9), AFTER, "/")
        return values

    monkeypatch.setattr(tables, "_column", read_and_grow)
    yield dataset
    assert dataset.num_videos == 9


def test_columns_and_classes_are_of_the_same_videos(growing: Dataset):
    columns, classes = growing.columns_and_classes("id", "end_seconds", "label")
    lengths = [(name, len(column)) for name, column in columns.items()]
    assert lengths == [("id", 5), ("end_seconds", 5), ("label", 5)]
    assert classes == BEFORE


def test_all_labelled_videos_of_a_dataset_that_grows(growing: Dataset):
    split = growing.split()
    assert (len(split.rows), split.class_names) == (5, BEFORE)


def test_stretches_of_a_dataset_that_grows(growing: Dataset):
    starts, ends = growing.stretches()
    assert (len(starts), len(ends)) == (5, 5)


def test_the_table_of_a_dataset_that_grows(growing: Dataset):
    assert len(growing.videos()) == 5
