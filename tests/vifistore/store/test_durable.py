"""Files are on the disk before they have names, and a stage before the next, whatever the disk."""

import errno
import itertools
import os
from pathlib import Path

import pytest

from tests.vifistore.store.conftest import block_of
from tests.vifistore.store.processes import grow, open_writer
from vifistore.errors import StoreError
from vifistore.store.key_value import durable
from vifistore.store.key_value.durable import fsync_all, parallel, put_stages
from vifistore.store.writer import BlockData


class Disk:
    """What a power cut would leave: contents and names that were forced to the disk."""

    def __init__(self, monkeypatch, *, has_syncfs: bool) -> None:
        self.contents: set[Path] = set()
        self.names: set[Path] = set()
        self.given: list[Path] = []
        self.missing: list[str] = []
        self.num_syncs = 0
        rename = durable._rename

        def forced(path: Path) -> None:
            self.num_syncs += 1
            if path.is_dir():
                self.names |= {name for name in self.given if name.parent == path}
            self.contents.add(path)

        def all_forced(_: int) -> int:
            self.num_syncs += 1
            self.contents |= set(self.root.rglob("*.partial"))
            self.names |= set(self.given)
            return 0

        def renamed(temporary: Path, path: Path) -> None:
            if temporary not in self.contents:
                self.missing.append(f"{path.name} was named before it was on the disk")
            if "status" in path.parts:
                late = [name for name in self.given if "status" not in name.parts]
                self.missing += [f"{name} is not safe" for name in late if name not in self.names]
            rename(temporary, path)
            self.given.append(path)

        monkeypatch.setattr(durable, "_fsync", forced)
        monkeypatch.setattr(durable, "_syncfs", lambda: all_forced if has_syncfs else None)
        monkeypatch.setattr(durable, "_rename", renamed)


@pytest.mark.parametrize("has_syncfs", [True, False])
@pytest.mark.parametrize("num_blocks", [1, 5])
def test_a_status_is_named_when_all_else_is_safe(tmp_path, monkeypatch, num_blocks, has_syncfs):
    grow(tmp_path / "s.zarr", 300)
    writer = open_writer(tmp_path / "s.zarr")
    writer.claim(range(num_blocks))
    parts = [
        BlockData(block=block, rows=(rows := writer.todo_rows(block)), data=block_of(rows))
        for block in range(num_blocks)
    ]
    disk = Disk(monkeypatch, has_syncfs=has_syncfs)
    disk.root = tmp_path / "s.zarr"
    writer.write_blocks(parts)
    assert disk.missing == []
    assert len([path for path in disk.given if "status" in path.parts]) == num_blocks
    assert set(disk.given) <= disk.names
    # The disk is waited for a few times, however many files there are.
    if has_syncfs and num_blocks == 5:
        assert disk.num_syncs == 3


def test_the_order_is_looked_at(tmp_path, monkeypatch):
    """What the test above guards against: both stages named at once."""
    disk = Disk(monkeypatch, has_syncfs=False)
    stages = [{tmp_path / "a" / "c.0": [b"x"]}, {tmp_path / "status" / "c.0": [b"y"]}]
    put_stages([stages[0] | stages[1]])
    assert any("is not safe" in what for what in disk.missing)


@pytest.mark.parametrize("count", [1, 40])
def test_files_are_written_and_replaced(tmp_path, count):
    for content in (b"first", b"second one"):
        files = {tmp_path / f"f{i % 3}" / f"{i}": [content, b"", bytes([i])] for i in range(count)}
        put_stages([files, {tmp_path / "last": [content]}])
        assert all(path.read_bytes() == content + path_number(path) for path in files)
        assert (tmp_path / "last").read_bytes() == content
    assert not list(tmp_path.rglob("*.partial"))


def path_number(path: Path) -> bytes:
    """The byte that ends the file of that number."""
    return bytes([int(path.name)])


@pytest.mark.parametrize("count", [2, 40])
def test_what_fails_leaves_no_trace(tmp_path, monkeypatch, count):
    put_stages([{tmp_path / "0": [b"old"]}])
    write = durable._write

    def full(item) -> None:
        if item[0].name.startswith("1."):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write(item)

    monkeypatch.setattr(durable, "_write", full)
    with pytest.raises(OSError, match="No space left"):
        put_stages([{tmp_path / f"{i}": [b"new"] for i in range(count)}])
    assert [path.name for path in tmp_path.iterdir()] == ["0"]
    assert (tmp_path / "0").read_bytes() == b"old"


def test_a_disk_that_fails_is_told_of(tmp_path, monkeypatch):
    def broken(_: int) -> int:
        durable.ctypes.set_errno(errno.EIO)
        return -1

    monkeypatch.setattr(durable, "_syncfs", lambda: broken)
    with pytest.raises(OSError, match="Input/output error"):
        put_stages([{tmp_path / f"{i}": [b"x"] for i in range(40)}])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("system", "release", "is_used"),
    [
        ("Linux", "6.1.0-9-generic", True),
        ("Linux", "5.8", True),
        ("Linux", "5.4.0-generic", False),
        ("Linux", "unknown", False),
        ("Darwin", "23.1.0", False),
    ],
)
def test_syncfs_is_used_where_it_tells_of_errors(monkeypatch, system, release, is_used):
    monkeypatch.setattr(durable.platform, "system", lambda: system)
    monkeypatch.setattr(durable.platform, "release", lambda: release)
    assert (durable._syncfs() is not None) == is_used


def test_a_file_that_vanished(tmp_path):
    with pytest.raises(StoreError, match="vanished while it was written"):
        fsync_all([tmp_path / "gone"])


def test_parallel_keeps_the_order():
    assert parallel(lambda n: n * n, range(50), 8) == [n * n for n in range(50)]
    assert parallel(str, [], 8) == []


def test_results_that_nobody_takes_are_not_made_ahead_without_bound():
    made = []

    def make(number: int) -> int:
        made.append(number)
        return number

    results = durable.ahead(make, itertools.count(), 3)
    assert [next(results) for _ in range(5)] == [0, 1, 2, 3, 4]
    results.close()
    assert len(made) <= 5 + 3
    assert list(durable.ahead(make, range(4), 1)) == list(durable.ahead(make, range(4), 9))
