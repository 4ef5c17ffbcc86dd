"""Pieces that are given come once, as far as their rows are to do, and are told once written."""

import numpy as np
import pytest

from tests.support import video_table
from tests.vifistore.store.conftest import block_of
from tests.vifistore.store.processes import end, extract, held, in_child, open_writer
from vifistore.extract.given_rows import GivenRows, Piece
from vifistore.extract.row_sources import NotedWriter
from vifistore.store.dataset import write_videos
from vifistore.store.store import create_store
from vifistore.store.writer import BlockData


@pytest.fixture
def path(tmp_path):
    """A store of three blocks, the last of 22 videos."""
    path = tmp_path / "s.zarr"
    write_videos(create_store(path).new_dataset("d"), video_table(150, ["a"]), ["a"], "/videos")
    return path


def piece(block: int, rows=range(64)) -> Piece:
    return Piece(block=block, rows=tuple(64 * block + row for row in rows))


def write(writer, source, rows) -> None:
    part = BlockData(block=rows[0] // 64, rows=rows, data=block_of(rows))
    NotedWriter(writer, source).write_blocks([part])


def test_pieces_come_in_turn_and_are_told_when_they_are_written(path):
    writer = open_writer(path)
    source = GivenRows(writer, range(150))
    assert list(source) == []
    source.give([piece(1), piece(2, range(22))])
    assert (source.num_waiting, source.total) == (2, 86)
    rows = list(source)
    assert rows == source.taken == list(range(64, 150))
    assert source.pending == {1: 64, 2: 22}
    write(writer, source, rows[:64])
    assert source.settled() == [piece(1)]
    assert source.settled() == []
    # A block that is written can be had by others, one that is not cannot.
    assert in_child(lambda: open_writer(path).claim([1])) == 0
    assert in_child(lambda: open_writer(path).claim([2])) != 0


def test_halves_of_a_block_keep_each_other(path):
    writer = open_writer(path)
    source = GivenRows(writer, range(150))
    halves = [piece(0, range(32)), piece(0, range(32, 64))]
    for half in halves:
        source.give([half])
        write(writer, source, list(source))
        assert source.settled() == [half]
    found = writer.status[:64]
    np.testing.assert_array_equal(found, block_of(list(range(64)))["status"])
    assert not np.isin(0, open_writer(path).status[:64])


def test_what_is_done_is_settled_and_what_others_have_is_elsewhere(path):
    source = GivenRows(open_writer(path), range(150))
    assert in_child(lambda: extract(path, [0])) == 0
    pid, _ = held(path, range(1, 2))
    try:
        source.give([piece(0), piece(1), piece(2, range(22))])
        assert list(source) == list(range(128, 150))
        assert (source.found_done(), source.elsewhere()) == ([piece(0)], [piece(1)])
        assert (source.found_done(), source.settled()) == ([], [])
        assert source.elsewhere() == []
    finally:
        end(pid)


def test_what_has_not_begun_is_taken_back(path):
    source = GivenRows(open_writer(path), range(150))
    source.give([piece(0), piece(1)])
    rows = iter(source)
    assert next(rows) == 0
    assert source.take_back() == [piece(1)]
    assert list(rows) == list(range(1, 64))
