"""One writer per block, and nothing lost where two write at once: with real processes."""

import errno
import os
import re
import select
import threading
import time

import pytest

from tests.vifistore.store.conftest import RECORD, block_of
from tests.vifistore.store.processes import (
    NUM_TRIES,
    SET_ID,
    encoded_rows,
    end,
    extract,
    grow,
    held,
    in_child,
    open_writer,
    start,
    together,
    writing,
)
from vifistore.errors import LockedError, StoreError
from vifistore.store import open_store
from vifistore.store.checkpoints import register_checkpoint
from vifistore.store.key_value.locks import BlockLocks
from vifistore.store.schema import TODO
from vifistore.store.verifying.verify import verify_store


def test_a_second_writer_stops_and_says_who_is_first(tmp_path):
    grow(tmp_path / "s.zarr", 200)
    pid, ready = held(tmp_path / "s.zarr", range(0, 2))
    assert ready
    try:
        with pytest.raises(LockedError, match=f"block 0 of .* process {pid} on {os.uname()[1]}"):
            open_writer(tmp_path / "s.zarr").claim(range(4))
        with pytest.raises(LockedError, match="block 1 of "):
            open_writer(tmp_path / "s.zarr").write_block(1, [64], block_of([64]))
        extract(tmp_path / "s.zarr", range(2, 4))
    finally:
        end(pid)
    # A lock ends with its process, even a killed one.
    extract(tmp_path / "s.zarr")
    assert (open_writer(tmp_path / "s.zarr").status != TODO).all()


def test_a_failed_claim_holds_nothing(tmp_path):
    grow(tmp_path / "s.zarr", 200)
    pid, _ = held(tmp_path / "s.zarr", range(3, 4))
    try:
        writer = open_writer(tmp_path / "s.zarr")
        with pytest.raises(LockedError):
            writer.claim(range(4))
        assert in_child(lambda: extract(tmp_path / "s.zarr", range(3))) == 0
    finally:
        end(pid)


def test_what_was_released_is_locked_again(tmp_path):
    locks = BlockLocks(tmp_path, "d", "id")
    for _ in range(2):
        assert locks.acquire([0, 1]) == [0, 1]
        assert in_child(lambda: BlockLocks(tmp_path, "d", "id").acquire([0])) != 0
        locks.release([0])
        assert in_child(lambda: BlockLocks(tmp_path, "d", "id").acquire([0])) == 0
        locks.release()
        assert in_child(lambda: BlockLocks(tmp_path, "d", "id").acquire([1])) == 0


def test_a_writer_takes_what_nobody_has(tmp_path):
    grow(tmp_path / "s.zarr", 200)
    pid, _ = held(tmp_path / "s.zarr", range(1, 2))
    try:
        writer = open_writer(tmp_path / "s.zarr")
        assert writer.claim_free(range(3)) == [0, 2]
        assert writer.claim_free(range(4)) == [3]
        # What it has is kept from others, and what it gave up is not.
        writer.release([2])
        assert in_child(lambda: extract(tmp_path / "s.zarr", range(3, 4))) != 0
        assert in_child(lambda: extract(tmp_path / "s.zarr", range(2, 3))) == 0
        # What others have written meanwhile is learnt.
        assert writer.claim_free([2]) == [2]
        assert (writer.status[128:192] != TODO).all()
    finally:
        end(pid)


def test_one_plans_or_seals_at_a_time(tmp_path):
    here = BlockLocks(tmp_path, "d", "i")
    reader, writer = os.pipe()

    def plan() -> None:
        with BlockLocks(tmp_path, "d", "i").turn():
            os.write(writer, b"y")

    with here.turn():
        pid = start(plan)
        is_through, _, _ = select.select([reader], [], [], 0.3)
        assert not is_through
    assert os.read(reader, 1) == b"y"
    assert os.waitpid(pid, 0)[1] == 0
    os.close(reader)
    os.close(writer)


def test_a_file_system_without_locks_is_named(tmp_path, monkeypatch):
    def no_locks(*_: object) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr("vifistore.store.key_value.locks.fcntl.lockf", no_locks)
    with pytest.raises(StoreError, match="put the store on a file system with locks"):
        BlockLocks(tmp_path, "d", "id").acquire([0])


def test_a_claim_that_the_disk_refuses_holds_nothing(tmp_path, monkeypatch):
    locks, write = BlockLocks(tmp_path, "d", "id"), os.pwrite

    def full(descriptor: int, record: bytes, place: int) -> int:
        if place:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(descriptor, record, place)

    monkeypatch.setattr("vifistore.store.key_value.locks.os.pwrite", full)
    with pytest.raises(StoreError, match="No space left"):
        locks.acquire([0, 1])
    monkeypatch.undo()
    assert in_child(lambda: BlockLocks(tmp_path, "d", "id").acquire([0, 1])) == 0


def test_who_holds_a_block_is_read_once_it_is_written(tmp_path):
    """Another process has the lock a moment before it has written who it is."""
    locks = BlockLocks(tmp_path, "d", "id")
    path = tmp_path / "locks" / "d.id"

    def write_late() -> None:
        time.sleep(0.1)
        path.write_bytes(b"host\n77\n")

    writer = threading.Thread(target=write_late)
    writer.start()
    assert locks._holder(0) == "process 77 on host"
    writer.join()


def test_two_told_to_write_the_same_set(tmp_path):
    """One works, the other stops at once and says who works."""
    for number in range(NUM_TRIES):
        path = tmp_path / str(number) / "s.zarr"
        grow(path, 150)
        refused = path.with_name("refused.txt")

        def work(path=path, refused=refused) -> None:
            try:
                extract(path)
            except LockedError as error:
                refused.write_text(str(error))
                os._exit(3)

        codes = sorted(os.waitstatus_to_exitcode(code) for code in together(work, work))
        # Where the first ends before the second begins, the second finds nothing to do.
        assert codes in ([0, 0], [0, 3])
        if codes == [0, 3]:
            words = f"of feature set .* of d is being written by process .* on {os.uname()[1]}"
            assert re.search(words, refused.read_text())
        assert sorted(encoded_rows(path)) == list(range(150))
        assert open_store(path).features("d", SET_ID).sealed["rows"] == 150
        assert list(verify_store(open_store(path))) == []


def test_the_second_stops_at_once_while_the_first_works(tmp_path):
    grow(tmp_path / "s.zarr", 200)
    for _ in range(NUM_TRIES):
        pid, ready = held(tmp_path / "s.zarr", range(4))
        assert ready
        begun = time.monotonic()
        with pytest.raises(LockedError, match=f"process {pid} on"):
            extract(tmp_path / "s.zarr")
        assert time.monotonic() - begun < 5
        end(pid)
    assert encoded_rows(tmp_path / "s.zarr") == []


def test_disjoint_blocks_by_two_processes_make_one_sealed_set(tmp_path):
    for number in range(NUM_TRIES):
        path = tmp_path / str(number) / "s.zarr"
        grow(path, 200)
        works = [lambda path=path, b=blocks: extract(path, b) for blocks in ((0, 2), (1, 3))]
        assert together(*works) == [0, 0]
        features = open_store(path).features("d", SET_ID)
        assert features.sealed["rows"] == 200
        assert sorted(encoded_rows(path)) == list(range(200))
        assert len(features.provenance) == 2
        assert list(verify_store(open_store(path))) == []


def test_trainer_and_extractor_register_checkpoints_at_once(tmp_path):
    """Some the same, under names of their own, and some of one of them alone."""
    for number in range(NUM_TRIES):
        path = tmp_path / str(number) / "s.zarr"
        grow(path, 3)

        def register(who: str, own: float, path=path) -> None:
            backend = open_store(path, mode="a").backend
            for step in range(5):
                both = {**RECORD, "logit_scale": 1.0 + step, "name": f"{who}-{step}"}
                alone = {**RECORD, "logit_scale": own + step, "name": f"{who}-alone-{step}"}
                for record in (both, alone):
                    register_checkpoint(backend, record)

        works = [lambda: register("trainer", 20.0), lambda: register("extractor", 40.0)]
        assert together(*works) == [0, 0]
        store = open_store(path)
        found = {c["logit_scale"]: set(c["names"]) for c in store.checkpoints()}
        for step in range(5):
            assert found.pop(1.0 + step) == {f"trainer-{step}", f"extractor-{step}"}
            assert found.pop(20.0 + step) == {f"trainer-alone-{step}"}
            assert found.pop(40.0 + step) == {f"extractor-alone-{step}"}
        assert found == {}
        assert list(verify_store(store)) == []


@pytest.mark.parametrize("others_write", [False, True])
def test_sealing_removes_what_a_kill_left_unless_it_may_be_on_its_way(tmp_path, others_write):
    grow(tmp_path / "s.zarr", 130)
    writer = open_writer(tmp_path / "s.zarr")
    for block in range(3):
        rows = list(writer.block_rows(block))
        writer.write_block(block, rows, block_of(rows))
    writer.release()
    left = [
        tmp_path / "s.zarr" / writer.path / "frames" / "c.1.0.0.0.abc.partial",
        tmp_path / "s.zarr" / writer.path / "runs" / "123456789abc" / "zarr.json.abc.partial",
    ]
    left[1].parent.mkdir()
    for path in left:
        path.write_bytes(b"half")
    pid = writing(tmp_path / "s.zarr") if others_write else None
    try:
        writer.seal()
    finally:
        if pid:
            end(pid)
    assert [path.exists() for path in left] == [others_write, others_write]
    assert bool(list(verify_store(open_store(tmp_path / "s.zarr")))) == others_write
    # The writer keeps no lock that it took only to look.
    assert in_child(lambda: open_writer(tmp_path / "s.zarr").claim(range(3))) == 0
