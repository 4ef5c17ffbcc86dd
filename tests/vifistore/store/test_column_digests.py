"""Chunks that are whole, and lie where others belong: found by verify, and never scored."""

import hashlib
import itertools
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import zarr
from numcodecs.vlen import VLenUTF8

from tests.support import video_table
from tests.vifistore.store.conftest import CLASSES
from tests.vifistore.store.test_verify import edit, evaluate, problems
from vifistore.errors import DamagedError
from vifistore.store import open_store
from vifistore.store.dataset import write_captions, write_videos
from vifistore.store.schema import VIDEO_COLUMNS
from vifistore.store.splits import Split, write_split
from vifistore.store.zarr_format.column_digests import FIELD, column_digest


@pytest.fixture
def two(whole) -> Path:
    """The whole store with a second split, text set and dataset."""
    store = open_store(whole, mode="a")
    rows = np.arange(70)[::-1].copy()
    labels = (np.arange(70) % 2).astype(np.int32)[::-1].copy()
    split = Split(name="val", rows=rows, labels=labels, class_names=CLASSES, source="", digest="")
    write_split(store.dataset("d"), split)
    fields = {"text_digest": "t", "logit_scale": 10.0, "class_names": CLASSES[::-1]}
    fields |= {"templates": ["{}"], "context_length": 77, "precision": "fp32"}
    store.add_texts(fields, np.random.default_rng(2).normal(size=(2, 1, 8)))
    table = video_table(70, CLASSES)
    table["num_frames"] += np.arange(70)
    table["path"] = "x/" + table["path"]
    write_videos(store.new_dataset("e"), table, CLASSES, "/videos")
    write_captions(store.dataset("e"), [(1, "someone jumps"), (0, "someone walks")])
    return whole


def swap(first: Path, second: Path) -> None:
    aside = first.with_name("aside")
    first.rename(aside)
    second.rename(first)
    aside.rename(second)


def pairs(store: Path) -> list[tuple[Path, Path]]:
    """Every two chunks of tables and texts that could stand in each other's place."""
    chunks = [p for p in sorted(store.rglob("c.*")) if "features" not in p.parts]
    found = []
    for first, second in itertools.combinations(chunks, 2):
        alike = [json.loads((p.parent / "zarr.json").read_text()) for p in (first, second)]
        kinds = [(a["data_type"], a["chunk_grid"], a["codecs"]) for a in alike]
        if kinds[0] == kinds[1] and not begin_alike(first.parent, second.parent):
            found.append((first, second))
    return found


def begin_alike(first: Path, second: Path) -> bool:
    """Whether two arrays differ in no row that both have: then nothing is swapped."""
    values = [zarr.open_array(folder, mode="r")[:] for folder in (first, second)]
    count = min(map(len, values))
    return np.array_equal(values[0][:count], values[1][:count])


def test_every_swap_is_found(two):
    assert problems(two) == []
    swaps = pairs(two)
    assert len(swaps) >= 42
    for first, second in swaps:
        swap(first, second)
        places = {p.parent.relative_to(two).as_posix() for p in (first, second)}
        found = problems(two)
        assert places <= {problem.where for problem in found}, places
        assert all(problem.remedy for problem in found)
        swap(first, second)
    assert problems(two) == []


def test_what_was_swapped_is_not_read(two):
    store = open_store(two)
    reads = {
        "videos/d": lambda: store.videos("d"),
        "splits/d/test": lambda: store.dataset("d").split("test"),
        "captions/e": lambda: store.dataset("e").captions(),
        "texts/*": lambda: [store.texts(found["id"]) for found in store.find_texts()],
    }
    columns = {"videos/d": ("id", "path"), "splits/d/test": ("rows",), "captions/e": ("text",)}
    for group, read in reads.items():
        for name in columns.get(group, ("embeddings",)):
            first = sorted(two.glob(f"{group}/{name}/c.*"))[0]
            others = [p for pair in pairs(two) if first in pair for p in pair if p != first]
            swap(first, others[0])
            with pytest.raises(DamagedError, match="is not what was written; run: vifi verify"):
                read()
            swap(first, others[0])
            read()


def test_an_evaluation_of_swapped_texts_or_rows_is_refused(two):
    evaluate(two)
    texts = sorted(two.glob("texts/*/embeddings/c.*"))
    splits = [two / "splits" / "d" / name / "labels" / "c.0" for name in ("test", "val")]
    rows = [two / "splits" / "d" / name / "rows" / "c.0" for name in ("test", "val")]
    for pair in (texts, splits, rows):
        swap(*pair)
        with pytest.raises(DamagedError, match="is not what was written"):
            evaluate(two)
        swap(*pair)
    evaluate(two)


@pytest.mark.parametrize("group", ["videos/d", "splits/d/test"])
def test_class_names_in_another_order_are_found(whole, group):
    edit(whole / group / "zarr.json", lambda a: a.update(class_names=CLASSES[::-1]))
    assert any(p.where == f"{group}/class_names" for p in problems(whole))
    store = open_store(whole)
    read = {
        "videos/d": lambda: store.videos("d"),
        "splits/d/test": lambda: store.dataset("d").split("test"),
    }
    with pytest.raises(DamagedError, match="class_names is not what was written"):
        read[group]()


@pytest.mark.parametrize("wrong", ["x", [], {"id": 3}, {"id": None}])
def test_digests_that_are_none_are_found(whole, wrong):
    edit(whole / "videos" / "d" / "zarr.json", lambda a: a.update({FIELD: wrong}))
    assert problems(whole)


def test_a_store_from_before_opens_and_is_verified(two):
    for group in (*two.glob("videos/*"), *two.glob("splits/*/*"), *two.glob("texts/*")):
        if group.is_dir():
            edit(group / "zarr.json", lambda a: a.pop(FIELD))
    assert problems(two) == []
    evaluate(two)
    # Written again, it has them.
    write_videos(
        open_store(two, mode="a").new_dataset("d"), video_table(80, CLASSES), CLASSES, "/videos"
    )
    assert set(VIDEO_COLUMNS) < open_store(two).backend.attributes("videos/d")[FIELD].keys()
    assert problems(two) == []


def test_a_table_that_was_swapped_is_not_added_to(whole):
    swap(whole / "videos" / "d" / "width" / "c.0", whole / "videos" / "d" / "height" / "c.0")
    assert problems(whole) == []  # they are equal here
    swap(whole / "videos" / "d" / "num_frames" / "c.0", whole / "videos" / "d" / "mtime_ns" / "c.0")
    before = (whole / "videos" / "d" / "zarr.json").read_text()
    with pytest.raises(DamagedError, match="is not what was written"):
        write_videos(
            open_store(whole, mode="a").new_dataset("d"), video_table(80, CLASSES), CLASSES, "/v"
        )
    assert (whole / "videos" / "d" / "zarr.json").read_text() == before


def test_growth_in_pieces_gives_the_digest_of_the_whole(make_store):
    store, table = make_store(3), video_table(70, ["run", "jump"])
    for count in (64, 70):
        write_videos(store.new_dataset("d"), table[:count], ["run", "jump"], "/v")
    kept = store.backend.attributes("videos/d")[FIELD]
    for name, spec in VIDEO_COLUMNS.items():
        assert kept[name] == column_digest(table[name].to_numpy(), spec)


def test_a_digest_knows_values_order_and_kind():
    spec = VIDEO_COLUMNS["num_frames"]
    one = column_digest(np.array([1, 2, 3]), spec)
    assert one == column_digest(np.array([1, 2, 3], np.int32), spec)
    others = ([1, 3, 2], [1, 2], [1, 2, 3, 0])
    assert len({one, *(column_digest(np.array(other), spec) for other in others)}) == 4
    text = VIDEO_COLUMNS["id"]
    assert column_digest(np.array(["ab", "c"], object), text) != column_digest(
        np.array(["a", "bc"], object), text
    )
    assert column_digest(np.array([], object), text) != column_digest(np.array([""], object), text)
    series = pd.Series(["é", "多 🎬"])
    assert column_digest(series.to_numpy(), text) == column_digest(
        np.array(["é", "多 🎬"], object), text
    )


@pytest.mark.parametrize("count", [0, 1, 3, 7])
def test_a_digest_of_texts_is_that_of_all_of_them_as_they_are_stored(monkeypatch, count):
    monkeypatch.setattr("vifistore.store.zarr_format.column_digests._TEXTS_AT_ONCE", 3)
    texts = np.array([f"é{number}" * number for number in range(count)], object)
    whole = hashlib.sha256(f"str [{count}]\n".encode() + bytes(VLenUTF8().encode(texts)))
    assert column_digest(texts, VIDEO_COLUMNS["path"]) == whole.hexdigest()
