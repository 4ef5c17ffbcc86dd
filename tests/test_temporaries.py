"""Files under temporary names go when nobody writes them any more, and never before."""

import fcntl
import os
import time
from pathlib import Path

import numpy as np
import pytest

from harness.results import made_folder
from harness.results.whole_files import write_text
from tests.vifistore.store.processes import end, holding
from vifistore import temporaries
from vifistore.store.exporting.fresh import fresh_path
from vifistore.store.key_value.durable import put_file, put_stages
from vifistore.temporaries import (
    alone_in,
    atomic_path,
    clear_temporaries,
    is_temporary,
    temporary_name,
)
from vifistore.temporaries import writing_in as writing


def leave(path: Path) -> Path:
    """What a killed process leaves of a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    left = temporary_name(path)
    left.write_bytes(b"half")
    return left


def test_a_name_is_known_and_others_are_not(tmp_path):
    assert is_temporary(temporary_name(tmp_path / "a.csv").name)
    # As zarr calls them.
    assert is_temporary("zarr.637f5c8c16a4421d8666a658db9a7494.partial")
    for name in ("a.partial", "a.csv", "a.0123.partial", f"{'0' * 32}.partial.csv", ".partial"):
        assert not is_temporary(name)


def test_it_stays_while_its_process_lives_and_goes_then(tmp_path):
    left, other = leave(tmp_path / "a"), tmp_path / "a.partial"
    other.touch()
    pid, is_writing = holding(lambda: writing(tmp_path))
    assert is_writing
    clear_temporaries(tmp_path)
    assert left.exists()
    end(pid)
    clear_temporaries(tmp_path)
    assert not left.exists()
    assert other.exists()


def test_two_may_write_and_none_is_alone_then(tmp_path):
    with writing(tmp_path), writing(tmp_path), alone_in(tmp_path) as is_alone:
        assert not is_alone
    with alone_in(tmp_path) as is_alone:
        assert is_alone
        with alone_in(tmp_path) as again:
            assert not again
    with alone_in(tmp_path / "none") as is_alone:
        assert not is_alone


def test_nobody_waits_for_ever(tmp_path, monkeypatch):
    monkeypatch.setattr(temporaries, "_PATIENCE_SECONDS", 0.05)
    descriptor = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    begun = time.monotonic()
    with writing(tmp_path):
        assert 0.04 < time.monotonic() - begun < 5
    os.close(descriptor)


def test_a_file_system_without_locks(tmp_path, monkeypatch):
    def none(*_):
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(temporaries.fcntl, "flock", none)
    left = leave(tmp_path / "a")
    with writing(tmp_path), alone_in(tmp_path) as is_alone:
        assert not is_alone
    clear_temporaries(tmp_path)
    assert left.exists()


def test_a_folder_appears_whole_or_not_at_all(tmp_path):
    def write(name: str, fails: bool) -> None:
        with atomic_path(tmp_path / name) as temporary:
            temporary.mkdir()
            (temporary / "x").write_text("x")
            assert not (tmp_path / name).exists()
            assert not fails

    write("whole", fails=False)
    with pytest.raises(AssertionError):
        write("half", fails=True)
    assert [path.name for path in tmp_path.iterdir()] == ["whole"]
    assert (tmp_path / "whole" / "x").read_text() == "x"


WRITERS = {
    "put_file": lambda path: put_file(path, b"new"),
    "results folder": lambda path: made_folder(path.parent),
    "export": lambda path: _export(path),
}


def _export(path: Path) -> None:
    with fresh_path(path) as written:
        written.write_bytes(b"new")


@pytest.mark.parametrize("name", WRITERS)
def test_the_next_of_its_kind_removes_it(tmp_path, name):
    path = tmp_path / "out" / "x"
    left, other = leave(path), leave(tmp_path / "out" / "other")
    WRITERS[name](path)
    assert not left.exists()
    # Beside what a user names lie other files; a results folder is all ours.
    assert other.exists() == (name != "results folder")


def test_those_deeper_in_a_results_folder_go_as_well(tmp_path):
    deep = leave(tmp_path / "artefacts" / "per_class" / "a.csv")
    beside = leave(tmp_path / "S.zarr" / "features" / "d" / "0123" / "frames" / "c.0")
    made_folder(tmp_path)
    assert not deep.exists()
    assert beside.exists()


@pytest.mark.parametrize(
    "write",
    [
        lambda path: write_text(path, "new"),
        lambda path: put_stages([{path: [b"new"]}]),
        lambda path: _export(path),
    ],
)
def test_writers_hold_the_folder(tmp_path, write, monkeypatch):
    """Else what they are writing would be taken for a leftover."""
    seen = []
    replace = os.replace

    def replaced(*names) -> None:
        with alone_in(tmp_path) as is_alone:
            seen.append(is_alone)
        replace(*names)

    monkeypatch.setattr(os, "replace", replaced)
    write(tmp_path / "x")
    assert seen == [False]
    assert [path.name for path in tmp_path.iterdir()] == ["x"]
    assert np.frombuffer((tmp_path / "x").read_bytes(), "S3")[0] == b"new"
