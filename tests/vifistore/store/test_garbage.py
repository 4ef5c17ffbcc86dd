"""What can go is listed and goes; what has a name, or is being written, stays."""

import errno
import json
import os
import shutil

import pytest

from tests.support import plain_recipe
from tests.vifistore.store.conftest import SHAPE, block_of, write_all
from tests.vifistore.store.processes import end, grow, held, writing
from tests.vifistore.store.test_verify import evaluate, folder_of
from vifi.__main__ import run
from vifistore.errors import DamagedError, StoreError
from vifistore.store import open_store
from vifistore.store.key_value import durable
from vifistore.store.key_value.disk import clear_disk_errors
from vifistore.store.removing.garbage import Garbage, delete_garbage, find_garbage
from vifistore.store.verifying.verify import verify_store
from vifistore.store.writer import FeatureWriter


def other_set(path, *, sealed: bool) -> str:
    """Write a feature set without a name; return its path in the store."""
    store = open_store(path, mode="a")
    recipe = plain_recipe("1" * 64).as_dict()
    writer = FeatureWriter(store.dataset("d"), recipe, SHAPE, {})
    for block in (0, 1) if sealed else (0,):
        rows = writer.todo_rows(block)
        writer.write_block(block, rows, block_of(rows))
    if sealed:
        writer.seal()
    writer.release()
    return writer.path


def old(path) -> None:
    """Make a file look as if nobody had touched it for days."""
    os.utime(path, (1e9, 1e9))


def test_a_set_that_a_run_has_just_planned_stays(whole):
    store = open_store(whole, mode="a")
    writer = FeatureWriter(store.dataset("d"), plain_recipe("1" * 64).as_dict(), SHAPE, {})
    (garbage,) = find_garbage(store)
    assert garbage.where == writer.path
    assert not delete_garbage(store, garbage)
    assert store.backend.exists(writer.path)
    for path in (whole / writer.path).rglob("*"):
        old(path)
    assert delete_garbage(store, garbage)
    assert not store.backend.exists(writer.path)


def test_nothing_of_a_whole_store_can_go(whole, capsys):
    assert find_garbage(open_store(whole)) == []
    assert run(["gc", str(whole)]) == 0
    assert capsys.readouterr().out == "nothing can go\n"


@pytest.mark.parametrize("sealed", [True, False])
def test_unnamed_sets_and_leftovers_go_and_named_ones_stay(whole, capsys, sealed):
    unnamed = other_set(whole, sealed=sealed)
    named = whole / open_store(whole).features("d", "start").path
    partials = [named / "frames" / "c.0.abc.partial", whole / "videos" / "d" / "zarr.abc.partial"]
    for path in partials:
        path.write_bytes(b"half")
        old(path)
    shutil.copytree(named / "frames", whole / "texts" / "half" / "embeddings")
    for path in (whole / "texts" / "half").rglob("*"):
        old(path)
    assert run(["gc", str(whole), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    wanted = {unnamed, "texts/half", *(path.relative_to(whole).as_posix() for path in partials)}
    assert {garbage["where"] for garbage in document["garbage"]} == wanted
    assert not any(garbage["deleted"] for garbage in document["garbage"])
    assert (whole / unnamed).is_dir()
    assert run(["gc", str(whole), "--delete"]) == 0
    assert not (whole / unnamed).exists()
    assert list(verify_store(open_store(whole))) == []
    evaluate(whole)


def test_a_set_that_is_not_sealed_stays_while_it_has_a_name(whole):
    path = folder_of(whole, "features/d/*") / "zarr.json"
    document = json.loads(path.read_text())
    document["attributes"]["sealed"] = None
    path.write_text(json.dumps(document))
    assert find_garbage(open_store(whole)) == []


def test_what_is_being_written_stays(whole):
    shutil.rmtree(whole / "names")
    (garbage,) = find_garbage(open_store(whole))
    pid, _ = held(whole, range(1, 2))
    try:
        assert not delete_garbage(open_store(whole, mode="a"), garbage)
    finally:
        end(pid)
    assert delete_garbage(open_store(whole, mode="a"), garbage)


def test_what_got_a_name_since_it_was_listed_stays(whole):
    shutil.move(names := whole / "names", aside := whole.with_name("aside"))
    (garbage,) = find_garbage(open_store(whole))
    shutil.move(aside, names)
    assert not delete_garbage(open_store(whole, mode="a"), garbage)
    assert list(verify_store(open_store(whole))) == []


def test_a_text_set_that_was_finished_since_it_was_listed_stays(whole):
    text = folder_of(whole, "texts/*")
    garbage = Garbage(where=f"texts/{text.name}", what="text set cut short", size_bytes=0)
    for path in text.rglob("*"):
        old(path)
    assert not delete_garbage(open_store(whole, mode="a"), garbage)


def test_a_half_written_file_stays_while_somebody_writes(whole):
    path = whole / "videos" / "d" / "zarr.abc.partial"
    path.write_bytes(b"half")
    (garbage,) = find_garbage(open_store(whole))
    pid = writing(whole)
    try:
        assert not delete_garbage(open_store(whole, mode="a"), garbage)
        assert path.exists()
    finally:
        end(pid)
    assert delete_garbage(open_store(whole), garbage)
    assert not path.exists()


def test_a_name_that_cannot_be_read_stops_everything(whole):
    (whole / "names" / "d" / "start" / "zarr.json").write_text("{")
    with pytest.raises(DamagedError):
        find_garbage(open_store(whole))


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EDQUOT])
@pytest.mark.parametrize("file", ["c.1.0.0.0", "c.1", "zarr.json"])
def test_a_full_or_read_only_disk_is_one_line_and_the_sealed_set_stays(
    whole, monkeypatch, code, file
):
    grow(whole, 75)
    store = open_store(whole, mode="a")
    write = durable._write

    def full(item):
        if item[0].name.startswith(f"{file}."):
            raise OSError(code, os.strerror(code), str(item[0]))
        write(item)

    monkeypatch.setattr(durable, "_write", full)
    with pytest.raises(StoreError, match=f"{os.strerror(code)}. What was finished is kept; ") as e:
        write_all(store, 75).seal()
    assert "\n" not in str(e.value)
    monkeypatch.undo()
    evaluate(whole)
    assert list(verify_store(open_store(whole))) == []
    write_all(store, 75).seal()
    assert list(verify_store(open_store(whole))) == []


def test_other_errors_of_the_system_pass_through(tmp_path):
    with pytest.raises(IsADirectoryError), clear_disk_errors(tmp_path):
        tmp_path.read_bytes()
    with pytest.raises(StoreError, match="mine"), clear_disk_errors(tmp_path):
        raise StoreError("mine")
