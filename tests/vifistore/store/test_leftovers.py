"""What a kill left half written is named as that, and gone with the next run that writes."""

import fcntl
import os
import shutil
import signal
import uuid
from pathlib import Path

import numpy as np
import pytest

from tests.vifistore.store.conftest import block_of, write_all
from tests.vifistore.store.processes import end, grow, in_child, kill_at, open_writer, writing
from tests.vifistore.store.test_verify import evaluate, folder_of, problems
from vifi.__main__ import run
from vifistore.errors import StoreError, UsageError
from vifistore.store import open_store
from vifistore.store.info import describe_store
from vifistore.store.key_value import durable
from vifistore.store.leftovers import clear_leftovers
from vifistore.store.names import set_name
from vifistore.store.splits import Split, write_split

# What a run that is killed may leave in a whole store: names of files with their folders.
PLACES = [
    "zarr.json",
    "features/zarr.json",
    "features/d/zarr.json",
    "features/d/0123456789ab/zarr.json",
    "features/d/*/zarr.json",
    "features/d/*/frames/c.0.0.0.0",
    "features/d/*/status/zarr.json",
    "features/d/*/runs/0123456789ab/zarr.json",
    "texts/0123456789ab/embeddings/zarr.json",
    "texts/*/embeddings/c.0.0.0",
    "checkpoints/0123456789ab/zarr.json",
    "checkpoints/*/names/again/zarr.json",
    "names/d/other/zarr.json",
    "names/e/zarr.json",
    "splits/d/val/rows/zarr.json",
    "splits/d/test/rows/c.0",
    "captions/e/text/c.0",
    "videos/d/id/c.0",
    "videos/e/zarr.json",
]


def leave(store: Path, place: str) -> Path:
    """Put there what a killed writer leaves: a file under a temporary name."""
    folder, _, name = place.rpartition("/")
    # A feature set or a text set that is there, or one that was about to be.
    known, star, rest = folder.partition("*")
    path = folder_of(store, known + star) / rest.lstrip("/") if star else store / folder
    path.mkdir(parents=True, exist_ok=True)
    file = path / f"{name}.{uuid.uuid4().hex}.partial"
    file.write_bytes(b"{")
    return file


@pytest.fixture(autouse=True)
def _one_set(whole):
    """Only one feature set, text set and checkpoint, so that patterns name one folder."""
    assert len(list(whole.glob("features/d/*/zarr.json"))) == 1


@pytest.mark.parametrize("place", PLACES)
def test_verify_names_it_and_its_remedy_works_at_once(whole, place, capsys):
    file = leave(whole, place)
    found = problems(whole)
    assert found
    assert all("left over" in problem.what for problem in found), found
    assert all(problem.remedy == f"vifi gc {whole} --delete" for problem in found)
    assert any(str(file).startswith(f"{whole}/{problem.where}") for problem in found)
    assert run(["gc", str(whole), "--delete"]) == 0
    assert "removed" in capsys.readouterr().out
    assert problems(whole) == []
    evaluate(whole)


@pytest.mark.parametrize("place", PLACES)
def test_the_next_run_that_writes_removes_it(whole, place):
    file = leave(whole, place)
    store = open_store(whole, mode="a")
    if place.startswith("features/d/*/") and "/runs/" not in place:
        # Of the chunks of a set that has many, whoever writes that set takes care.
        write_all(store).release()
    assert not file.exists()
    assert problems(whole) == []


def test_what_is_on_its_way_stays(whole):
    file = leave(whole, "names/d/other/zarr.json")
    pid = writing(whole)
    try:
        open_store(whole, mode="a")
        assert file.exists()
        assert run(["gc", str(whole), "--delete"]) == 0
        assert file.exists()
    finally:
        end(pid)
    open_store(whole, mode="a")
    assert not file.exists()


def test_what_was_finished_since_it_was_seen_stays(whole, monkeypatch):
    """A writer may give its file its name between the look and the lock."""
    backend = open_store(whole, mode="a").backend
    file = leave(whole, "names/d/other/zarr.json")
    alone = backend.place.alone

    def finish_first():
        os.replace(file, file.with_name("zarr.json"))
        return alone()

    monkeypatch.setattr(backend.place, "alone", finish_first)
    clear_leftovers(backend)
    assert (whole / "names" / "d" / "other" / "zarr.json").exists()


def test_an_empty_folder_of_others_stays(whole):
    (whole / "notes").mkdir()
    open_store(whole, mode="a")
    assert (whole / "notes").is_dir()


def test_a_folder_held_by_somebody_else_stops_nothing(whole):
    """As by `flock S.zarr vifi ...`, which holds it for as long as we run."""
    descriptor = os.open(whole, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        store = open_store(whole, mode="a")
        set_name(store.dataset("d"), "other", "x", "", force=False)
    finally:
        os.close(descriptor)
    assert (whole / "names" / "d" / "other" / "zarr.json").is_file()


def plan_a_set(path: Path) -> None:
    open_writer(path).release()


def add_a_split(path: Path) -> None:
    split = Split(
        name="val",
        rows=np.arange(5),
        labels=np.zeros(5, np.int32),
        class_names=["run"],
        source="",
        digest="",
    )
    write_split(open_store(path, mode="a").dataset("d"), split)


def add_texts(path: Path) -> None:
    fields = {"text_digest": "u", "logit_scale": 1.0, "class_names": ["a"], "templates": ["{}"]}
    fields |= {"context_length": 77, "precision": "fp32"}
    open_store(path, mode="a").add_texts(fields, np.ones((1, 1, 8)))


def add_a_name(path: Path) -> None:
    set_name(open_store(path, mode="a").dataset("d"), "other", "x", "", force=False)


@pytest.mark.parametrize("work", [plan_a_set, add_a_split, add_texts, add_a_name])
@pytest.mark.parametrize("step", ["write", "written", "name", "named"])
@pytest.mark.parametrize("count", [1, 2])
def test_a_kill_anywhere_is_mended_by_the_same_command(tmp_path, work, step, count):
    store = tmp_path / "s.zarr"
    grow(store, 10)

    def killed() -> None:
        kill_at(step, count, lambda path: True)
        work(store)

    assert in_child(killed) in (0, signal.SIGKILL)
    # Whatever is there by now can be described.
    describe_store(open_store(store))
    work(store)
    found = [problem for problem in problems(store) if not problem.where.startswith("names/")]
    assert found == []


def test_a_store_that_was_removed_is_not_begun_anew(whole):
    store = open_store(whole, mode="a")
    writer = write_all(store, 75)
    shutil.rmtree(whole)
    for write in (
        lambda: writer.write_block(1, list(writer.block_rows(1)), block_of([*range(64, 75)])),
        lambda: set_name(store.dataset("d"), "other", "x", "", force=True),
        lambda: write_all(store, 75),
    ):
        with pytest.raises((StoreError, UsageError)):
            write()
    assert not whole.exists()


def test_a_set_that_was_removed_is_not_begun_anew(whole):
    store = open_store(whole, mode="a")
    writer = write_all(store, 75)
    writer.claim([0])
    shutil.rmtree(whole / writer.path)
    rows = list(writer.block_rows(0))
    with pytest.raises(StoreError, match="removed while it was written; run the same command"):
        writer.write_block(0, rows, block_of(rows))
    assert not (whole / writer.path).exists()


def test_what_fails_leaves_no_folder(whole, monkeypatch):
    write = durable._write

    def full(item) -> None:
        if "runs" in item[0].parts:
            raise OSError(27, "File too large")
        write(item)

    monkeypatch.setattr(durable, "_write", full)
    with pytest.raises(OSError, match="too large"):
        write_all(open_store(whole, mode="a"), 75)
    assert problems(whole) == []
