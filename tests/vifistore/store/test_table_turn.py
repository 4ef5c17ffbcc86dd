"""Scans at once lose no rows, wherever the store lies, and a late one is refused."""

import contextlib
import threading

import pandas as pd
import pytest

from tests.support import video_table
from tests.vifistore.store.conftest import CLASSES, bucket, bucket_server
from tests.vifistore.store.remembered_store import Bucket, remembered_store
from vifistore.errors import LockedError
from vifistore.store import table_turn
from vifistore.store.dataset import Dataset, write_videos
from vifistore.store.key_value.conditional import StoreClock
from vifistore.store.store import Store, create_store
from vifistore.store.table_turn import tables_in_turn, turn_by_claim
from vifistore.store.verifying.verify import verify_store

__all__ = ["bucket", "bucket_server"]
WRITERS, TIMES, ROWS = 4, 5, 3
LEASE = 60.0


def append(dataset: Dataset, name: str) -> None:
    """Read the table, and write it with some rows more."""
    new = video_table(ROWS, CLASSES).assign(id=[f"{name}-{row}" for row in range(ROWS)])
    known = dataset.videos() if dataset.exists else None
    videos = new if known is None else pd.concat([known, new], ignore_index=True)
    write_videos(dataset, videos, CLASSES, "/videos")


def at_once(work) -> None:
    """Have it done by several threads at once."""
    threads = [threading.Thread(target=work, args=(number,)) for number in range(WRITERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def all_ids() -> set[str]:
    names = [f"{number}.{time}" for number in range(WRITERS) for time in range(TIMES)]
    return {f"{name}-{row}" for name in names for row in range(ROWS)}


def test_in_a_bucket_nobody_loses_rows():
    place = Bucket()
    backend = remembered_store(place)

    def work(number: int) -> None:
        for time in range(TIMES):
            told = {"owner": f"machine {number}", "renews": False}
            with turn_by_claim(backend, place, "d", **told) as own:
                append(Dataset(Store(own), "d"), f"{number}.{time}")

    at_once(work)
    dataset = Dataset(Store(backend), "d")
    assert set(dataset.column("id")) == all_ids()
    assert dataset.num_videos == len(all_ids())


def test_without_turns_rows_are_lost():
    """What the turns are for: else the test above shows nothing."""
    backend = remembered_store(Bucket())
    dataset = Dataset(Store(backend), "d")
    append(dataset, "first")
    known = dataset.videos()
    append(dataset, "second")
    late = video_table(ROWS, CLASSES).assign(id=[f"third-{row}" for row in range(ROWS)])
    write_videos(dataset, pd.concat([known, late], ignore_index=True), CLASSES, "/videos")
    assert {name.partition("-")[0] for name in dataset.column("id")} < {"first", "second", "third"}


def test_on_a_disk_nobody_loses_rows(tmp_path):
    store = create_store(tmp_path / "s.zarr")

    def work(number: int) -> None:
        for time in range(TIMES):
            with tables_in_turn(store.new_dataset("d")) as own:
                append(own, f"{number}.{time}")

    at_once(work)
    assert set(store.dataset("d").column("id")) == all_ids()


def test_who_slept_past_its_turn_is_refused_and_takes_no_row_away():
    place = Bucket()
    backend = remembered_store(place)
    clock = StoreClock(lambda: place.seconds)
    options = {"lease_seconds": LEASE, "renews": False, "clock": clock}
    append(Dataset(Store(backend), "d"), "first")
    with turn_by_claim(backend, place, "d", owner="late", **options) as slept:
        late = Dataset(Store(slept), "d")
        known = late.videos()
        place.seconds += LEASE + 1
        with turn_by_claim(backend, place, "d", owner="other", **options) as own:
            append(Dataset(Store(own), "d"), "second")
        new = video_table(ROWS, CLASSES).assign(id=[f"late-{row}" for row in range(ROWS)])
        with pytest.raises(LockedError, match="is now of other"):
            write_videos(late, pd.concat([known, new], ignore_index=True), CLASSES, "/videos")
    names = Dataset(Store(backend), "d").column("id")
    assert [name.partition("-")[0] for name in names] == ["first"] * ROWS + ["second"] * ROWS


def test_a_store_in_a_bucket_is_well_after_it(bucket):
    store = create_store(f"{bucket}/turns.zarr")
    for name in ("one", "two"):
        with tables_in_turn(store.new_dataset("d")) as own:
            append(own, name)
    assert store.dataset("d").num_videos == 2 * ROWS
    assert list(verify_store(store)) == []
    assert store.datasets() == ["d"]


def test_where_a_disk_has_no_locks_nobody_waits(tmp_path, monkeypatch):
    @contextlib.contextmanager
    def locked(path):
        raise OSError(37, "No locks available")
        yield

    monkeypatch.setattr(table_turn, "locked", locked)
    store = create_store(tmp_path / "s.zarr")
    with tables_in_turn(store.new_dataset("d")) as own:
        append(own, "one")
    assert store.dataset("d").num_videos == ROWS
