"""Shards are listed once: the next scan reads those alone that are others by then."""

import json
import os
import tarfile

import pytest

from tests.vifistore.sources.test_shards import add, alone  # noqa: F401 - a fixture
from vifistore.sources import kept_shards
from vifistore.sources.kept_shards import told_index
from vifistore.sources.roots import footage_at, root_of
from vifistore.sources.shard_index import is_told, read_index


def pack(path, label: bytes = b"running") -> None:
    """A shard of two videos, one with a label and a caption, and of a name that is left out."""
    path.parent.mkdir(exist_ok=True)
    with tarfile.open(path, "w") as tar:
        add(tar, "a.mp4", b"1" * 3000)
        add(tar, "a.cls", label)
        add(tar, "a.txt", "eine Katze ä".encode())
        add(tar, "b.mp4", b"2" * 3000)
        add(tar, "../c.mp4", b"3")


@pytest.fixture
def shard(web):
    pack(web.folder / "shards" / "0000.tar")
    return footage_at(root_of(f"{web.url}/shards"), "0000.tar")


def kept_files(tmp_path):
    return list((tmp_path / "user-cache/vifistore/told-shards").iterdir())


def reads(web) -> int:
    """Ranges that were asked for behind the first bytes, since it was asked last."""
    asked = [span for _, span in web.asked if not span.endswith("=0-0")]
    web.asked.clear()
    return len(asked)


def test_a_shard_is_read_again_once_it_has_changed(web, shard, tmp_path):
    first = told_index(shard)
    assert (list(first.members), first.texts["a.cls"]) == (
        ["a.mp4", "a.cls", "a.txt", "b.mp4"],
        b"running",
    )
    assert first.left_out == {"names that leave the shard": ["../c.mp4"]}
    needed = reads(web)
    assert told_index(shard) == first
    assert reads(web) < needed
    pack(web.folder / "shards" / "0000.tar", b"jumping")
    os.utime(web.folder / "shards" / "0000.tar", (10**9, 10**9))
    assert told_index(shard).texts["a.cls"] == b"jumping"
    assert len(kept_files(tmp_path)) == 2


@pytest.mark.parametrize(
    "change",
    [
        {"members": {"a.mp4": [5, 10**12]}},
        {"members": []},
        {"texts": {"a.cls": "no base64!"}},
        {"texts": {"z.cls": ""}},
        {"left_out": {"names": [3]}},
        None,
    ],
)
def test_what_was_kept_wrongly_is_read_again(shard, tmp_path, change):
    first = told_index(shard)
    (path,) = kept_files(tmp_path)
    kept = json.loads(path.read_text())
    path.write_text("[" if change is None else json.dumps({**kept, **change}))
    assert told_index(shard) == first
    assert json.loads(path.read_text()) == kept


def test_a_shard_on_this_machine_is_read_once(tmp_path, monkeypatch):
    path = tmp_path / "here" / "0000.tar"
    pack(path)
    os.utime(path, (10**9, 10**9))
    local = footage_at(root_of(tmp_path / "here"), "0000.tar")
    read, opened = [], kept_shards.read_index
    monkeypatch.setattr(kept_shards, "read_index", lambda *a: read.append(1) or opened(*a))
    first = told_index(local)
    assert first == read_index(local, is_told)
    assert told_index(local) == first
    assert len(read) == 1
    # Another file of its size, with its date, moved over it.
    pack(tmp_path / "here" / "new.tar", b"jumping")
    assert (tmp_path / "here" / "new.tar").stat().st_size == path.stat().st_size
    os.utime(tmp_path / "here" / "new.tar", (10**9, 10**9))
    (tmp_path / "here" / "new.tar").replace(path)
    assert told_index(local).texts["a.cls"] == b"jumping"
    assert len(read) == 2


def test_a_shard_that_is_just_written_is_not_kept(tmp_path):
    pack(tmp_path / "here" / "0000.tar")
    local = footage_at(root_of(tmp_path / "here"), "0000.tar")
    assert told_index(local) == read_index(local, is_told)
    assert not (tmp_path / "user-cache").exists()
