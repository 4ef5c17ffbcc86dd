"""Blocks are committed as they come, many at once where they pile up, and errors are told."""

import threading

import pytest

from tests.vifistore.store.conftest import block_of
from tests.vifistore.store.processes import grow, open_writer
from vifistore.errors import StoreError
from vifistore.store import committer as committer_module
from vifistore.store.committer import BlockCommitter
from vifistore.store.schema import TODO

ONE_ROW = block_of([0])


@pytest.fixture
def writer(tmp_path):
    """A writer of five blocks."""
    grow(tmp_path / "s.zarr", 300)
    return open_writer(tmp_path / "s.zarr")


class Slow:
    """A writer whose every group waits to be let through."""

    def __init__(self) -> None:
        self.groups: list[list[int]] = []
        self.begun, self.may_go_on = threading.Semaphore(0), threading.Semaphore(0)

    def write_blocks(self, group) -> None:
        self.begun.release()
        self.may_go_on.acquire()
        self.groups.append([part.block for part in group])


def add(committer: BlockCommitter, *blocks: int) -> None:
    """Add blocks of one row each."""
    for block in blocks:
        committer.add(block, [64 * block], ONE_ROW)


def test_all_blocks_are_there_at_the_end(writer):
    with BlockCommitter(writer) as committer:
        for block in range(5):
            rows = list(writer.block_rows(block))
            committer.add(block, rows, block_of(rows))
    assert (writer.status != TODO).all()
    assert writer.seal()["rows"] == 300


def test_the_first_block_goes_at_once_and_the_rest_together():
    slow = Slow()
    with BlockCommitter(slow) as committer:
        add(committer, 0)
        slow.begun.acquire()
        add(committer, 1, 2, 3)
        for _ in range(2):
            slow.may_go_on.release()
    assert slow.groups == [[0], [1, 2, 3]]


def test_a_group_is_no_larger_than_it_may_be(monkeypatch):
    monkeypatch.setattr(committer_module, "_GROUP_BLOCKS", 2)
    slow = Slow()
    with BlockCommitter(slow) as committer:
        add(committer, 0)
        slow.begun.acquire()
        add(committer, 1, 2, 3)
        for _ in range(3):
            slow.may_go_on.release()
    assert slow.groups == [[0], [1, 2], [3]]


def test_a_block_that_comes_in_two_parts_has_both(writer):
    with BlockCommitter(writer) as committer:
        for rows in (range(0, 10), range(10, 64), range(64, 128), range(10, 20)):
            committer.add(rows[0] // 64, list(rows), block_of(list(rows)))
    assert writer.todo_blocks() == [2, 3, 4]
    slow = Slow()
    with BlockCommitter(slow) as committer:
        add(committer, 0)
        slow.begun.acquire()
        add(committer, 1, 2, 1)
        for _ in range(3):
            slow.may_go_on.release()
    assert slow.groups == [[0], [1, 2], [1]]


def test_too_much_has_to_wait(monkeypatch):
    monkeypatch.setattr(committer_module, "_PENDING_BYTES", 1)
    slow = Slow()
    with BlockCommitter(slow) as committer:
        add(committer, 0)
        slow.begun.acquire()
        adding = threading.Thread(target=add, args=(committer, 1))
        adding.start()
        adding.join(0.1)
        assert adding.is_alive()
        for _ in range(2):
            slow.may_go_on.release()
        adding.join(10)
        assert not adding.is_alive()
    assert slow.groups == [[0], [1]]


class Broken:
    """A writer whose disk is full."""

    def write_blocks(self, group) -> None:
        raise StoreError("the disk is full")


def test_what_goes_wrong_is_raised_at_the_end():
    with pytest.raises(StoreError, match="full"), BlockCommitter(Broken()) as committer:
        add(committer, 0)


def test_what_goes_wrong_is_raised_by_the_next_block():
    committer = BlockCommitter(Broken())
    add(committer, 0)
    committer._thread.shutdown()
    with pytest.raises(StoreError, match="full"):
        add(committer, 1)


def stopped(writer) -> None:
    """A user stops the work once one block is encoded."""
    with BlockCommitter(writer) as committer:
        rows = list(writer.block_rows(0))
        committer.add(0, rows, block_of(rows))
        raise KeyboardInterrupt


def test_what_is_there_is_written_where_the_work_ends_by_an_error(writer):
    with pytest.raises(KeyboardInterrupt):
        stopped(writer)
    assert writer.todo_blocks() == [1, 2, 3, 4]
