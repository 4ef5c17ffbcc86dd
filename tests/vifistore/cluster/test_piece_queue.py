"""Blocks that actors die of are halved until one video is left; all others are done."""

import numpy as np
import pytest

from vifistore.cluster.on_ray import pieces_of
from vifistore.cluster.piece_queue import PieceQueue
from vifistore.extract.given_rows import Piece
from vifistore.extract.row_sources import Wanted


def block(number: int) -> Piece:
    return Piece(block=number, rows=tuple(range(64 * number, 64 * number + 64)))


def work(queue: PieceQueue, poison: set[int], ahead: int = 3) -> tuple[list[int], int]:
    """Rows done, and deaths, by one actor that dies whenever it has a poisonous row."""
    done, deaths, own = [], 0, []
    while queue or own:
        own += queue.take(ahead - len(own), is_idle=not own)
        if any(poison.intersection(piece.rows) for piece in own):
            deaths += 1
            queue.blame(own)
            own = []
        else:
            done += own.pop(0).rows
    return done, deaths


def test_pieces_come_in_order_and_those_put_back_come_first():
    queue = PieceQueue(map(block, range(4)))
    first = queue.take(3, is_idle=True)
    assert [piece.block for piece in first] == [0, 1, 2]
    queue.put_back(first[1:2])
    assert [piece.block for piece in queue.take(9, is_idle=False)] == [1, 3]
    assert not queue
    assert queue.num_lost == 0


def test_suspects_are_done_alone_by_an_idle_actor():
    queue = PieceQueue(map(block, range(2)))
    queue.blame(queue.take(2, is_idle=True))
    assert queue.take(3, is_idle=False) == []
    assert queue.take(3, is_idle=True) == [block(0)]
    assert queue.is_suspect(block(1))
    assert not queue.is_suspect(block(2))


@pytest.mark.parametrize("poison", [set(), {0}, {63}, {70, 71}, {5, 200}])
def test_culprits_are_found_and_all_others_done(poison):
    queue = PieceQueue(map(block, range(4)))
    done, deaths = work(queue, poison)
    assert sorted(done) == sorted(set(range(256)) - poison)
    assert {row for piece in queue.culprits for row in piece.rows} == poison
    # The first one may take innocent neighbours along; a block is halved six times.
    assert deaths <= len(poison) * (3 + 2 * 6)


def test_a_machine_that_goes_is_no_fault_of_its_blocks():
    queue = PieceQueue([block(0)])
    for _ in range(5):
        queue.put_back(queue.take(1, is_idle=True))
    assert not queue.is_suspect(block(0))
    assert work(queue, set())[0] == list(block(0).rows)


def test_pieces_are_the_rows_to_do_of_each_block():
    status = np.zeros(200, np.uint8)
    status[[0, 130]] = 1
    pieces = pieces_of(status, Wanted())
    assert [piece.block for piece in pieces] == [0, 1, 2, 3]
    assert pieces[0].rows == range(1, 64)
    assert pieces[2].rows == (128, 129, *range(131, 192))
    assert pieces[3].rows == range(192, 200)
    assert pieces_of(status, Wanted(blocks=range(1, 2)))[0].rows == range(64, 128)
    limited = pieces_of(status, Wanted(blocks=range(1, 4), limit=65))
    assert [len(piece.rows) for piece in limited] == [64, 1]
    assert pieces_of(np.ones(70, np.uint8), Wanted()) == []
