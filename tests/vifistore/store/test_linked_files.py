"""Conditional writes on a disk that machines share, and a set that is written under them."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support import plain_recipe
from tests.vifistore.store.processes import together
from tests.vifistore.store.test_claimed_set import made, parts, writer_of
from vifistore.errors import LockedError, StoreError, UsageError, shell
from vifistore.store import open_store
from vifistore.store.claims.block_claims import BlockClaims
from vifistore.store.claims.claiming import open_claims
from vifistore.store.claims.claims import claim_bytes, claim_key, read_claim
from vifistore.store.key_value.conditional import ChangedError, require_conditions
from vifistore.store.key_value.linked_files import LinkedFiles
from vifistore.store.removing.garbage import find_garbage
from vifistore.store.schema import TODO
from vifistore.store.verifying.verify import verify_store
from vifistore.store.writer import FeatureWriter, Shape


@pytest.fixture
def place(tmp_path) -> LinkedFiles:
    return LinkedFiles(tmp_path / "s", tmp_path / "s.cache")


def test_a_write_takes_place_if_nobody_else_has_written(place, tmp_path):
    assert place.fetch("a/b") is None
    place.swap("a/b", b"1", None)
    with pytest.raises(ChangedError):
        place.swap("a/b", b"2", None)
    first = place.look("a/b")
    place.swap("a/b", b"2", first)
    with pytest.raises(ChangedError):
        place.swap("a/b", b"3", first)
    assert (tmp_path / "s" / "a" / "b").read_bytes() == b"2"
    # The same bytes as before are another state here.
    place.swap("a/b", b"1", place.look("a/b"))
    with pytest.raises(ChangedError):
        place.swap("a/b", b"3", first)
    require_conditions(place, "s")


def test_old_numbers_go_and_who_took_one_of_them_has_lost(place):
    place.swap("a", b"0", None)
    early = place.look("a")
    for number in range(1, 9):
        place.swap("a", str(number).encode(), place.look("a"))
    assert len(place._all_numbers("a")) <= 2
    with pytest.raises(ChangedError):
        place.swap("a", b"late", early)
    assert place.fetch("a")[0] == b"8"


@pytest.mark.parametrize("odd", ["file", "folder", "link", "no folder"])
def test_an_odd_file_among_the_numbers_is_one_line(place, tmp_path, odd):
    place.swap("a b", b"0", None)
    seen = place.look("a b")
    folder = tmp_path / "s.cache" / "numbers" / "a b"
    if odd == "no folder":
        folder.parent.mkdir()
        folder.write_bytes(b"")
    else:
        folder.mkdir(parents=True)
    if odd == "file":
        (folder / "1").write_bytes(b"")
    elif odd == "folder":
        (folder / "1").mkdir()
    elif odd == "link":
        (folder / "1").symlink_to("..")
    for call in (lambda: place.fetch("a b"), lambda: place.swap("a b", b"1", seen)):
        with pytest.raises(StoreError, match=r"/numbers/a b.* is (no|a) (link|folder)") as told:
            call()
        assert shell("remove", tmp_path / "s.cache" / "numbers") in str(told.value)
        assert len(str(told.value)) < 400
    assert (tmp_path / "s" / "a b").read_bytes() == b"0"


def test_other_names_among_the_numbers_are_left_alone(place, tmp_path):
    place.swap("a", b"0", None)
    folder = tmp_path / "s.cache" / "numbers" / "a"
    folder.mkdir(parents=True)
    for name in ("readme", "0", "-1", "\u0663", "1" * 30):
        (folder / name).write_bytes(b"")
    place.swap("a", b"1", place.look("a"))
    assert place.fetch("a")[0] == b"1"
    assert (folder / "readme").exists()


@pytest.mark.parametrize("how", ["killed", "asleep"])
def test_what_waits_is_given_its_place_by_the_next(place, monkeypatch, tmp_path, how):
    place.swap("a", b"1", None)
    seen, rename = place.look("a"), os.rename

    def stopped(source, target):
        monkeypatch.undo()
        other = LinkedFiles(tmp_path / "s", tmp_path / "s.cache")
        assert other.fetch("a")[0] == b"2"
        other.swap("a", b"3", other.look("a"))
        if how == "killed":
            raise KeyboardInterrupt
        rename(source, target)

    monkeypatch.setattr("os.rename", stopped)
    if how == "killed":
        with pytest.raises(KeyboardInterrupt):
            place.swap("a", b"2", seen)
    else:
        place.swap("a", b"2", seen)
    assert place.fetch("a")[0] == b"3"


def test_of_many_processes_each_write_counts_once(place, tmp_path):
    place.swap("count", b"0", None)

    def add() -> None:
        for _ in range(25):
            while True:
                data, seen = place.fetch("count")
                try:
                    place.swap("count", str(int(data) + 1).encode(), seen)
                    break
                except ChangedError:
                    continue

    assert together(*[add] * 4) == [0] * 4
    assert place.fetch("count")[0] == b"100"
    assert not list((tmp_path / "s.cache" / "waiting").iterdir())


def claimed(path: Path, num_videos: int = 200) -> FeatureWriter:
    dataset = open_store(path, mode="a").dataset("d")
    shape = Shape(video=num_videos, view=1, frame=4, dim=8)
    recipe = plain_recipe().as_dict()
    return FeatureWriter(dataset, recipe, shape, {"host": "test"}, by_claims=True)


def another(path: Path, feature_path: str) -> BlockClaims:
    place = LinkedFiles(path, path.with_name(path.name + ".cache") / "claims")
    return BlockClaims(place, feature_path, owner="another machine", renews=False)


def test_a_set_on_a_disk_is_written_under_claims(tmp_path):
    plain = writer_of(made(tmp_path / "plain.zarr"))
    plain.write_blocks(parts(plain, range(4)))
    store = made(tmp_path / "s.zarr")
    writer = claimed(tmp_path / "s.zarr")
    other = another(tmp_path / "s.zarr", writer.path)
    other.acquire([1])
    assert writer.claim_free(range(4)) == [0, 2, 3]
    writer.write_blocks(parts(writer, [0, 2, 3]))
    writer.release()
    # The claim of who was killed ends.
    claim, key = read_claim(store.backend, writer.path, 1), claim_key(writer.path, 1)
    place = LinkedFiles(tmp_path / "s.zarr", tmp_path / "s.zarr.cache" / "claims")
    place.swap(key, claim_bytes(replace(claim, expires=0.0)), place.look(key))
    # It is known of the set: nobody has to say so again.
    again = writer_of(open_store(tmp_path / "s.zarr", mode="a"))
    again.write_blocks(parts(again, again.todo_blocks()))
    with pytest.raises(LockedError, match="is now of process"):
        other.write(1, {f"{writer.path}/frames/c.1.0.0.0": b"late"})
    assert again.seal() == plain.seal()
    assert not list(verify_store(store))
    assert [garbage.where for garbage in find_garbage(store)] == [writer.path]
    assert store.schema == 2


def test_locks_and_claims_are_not_mixed(tmp_path):
    store = made(tmp_path / "s.zarr")
    writer = writer_of(store)
    writer.write_blocks(parts(writer, [0]))
    with pytest.raises(UsageError, match="was begun without --claims"):
        claimed(tmp_path / "s.zarr")
    # Claims of another place would be wrong after the next block.
    store.backend.make_group(f"{writer.path}/claims/0", {})
    assert (writer_of(store).status[:64] != TODO).all()
    assert not store.backend.place.folders(f"{writer.path}/claims")


def test_who_is_overtaken_while_the_set_is_made_is_told(tmp_path):
    store = made(tmp_path / "s.zarr")
    claims = open_claims(store.backend, "d", plain_recipe().id, by_claims=True)
    writer = writer_of(store)
    with pytest.raises(UsageError, match="was begun without --claims by another process"):
        claims.begin(store.backend)
    attributes = store.backend.attributes(writer.path)
    store.backend.make_group(writer.path, {**attributes, "claims": True})
    with pytest.raises(UsageError, match="was begun with --claims by another process"):
        writer.claims.begin(store.backend)
