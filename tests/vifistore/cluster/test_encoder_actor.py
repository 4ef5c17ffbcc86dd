"""What one encoder does with pieces, without Ray and without videos: all of it in one thread."""

import signal
import threading
import time
from types import SimpleNamespace

import pytest

from tests.support import video_table
from tests.vifistore.store.conftest import block_of
from tests.vifistore.store.processes import open_writer
from vifistore.cluster import encoder_actor
from vifistore.cluster.encoder_actor import EncoderActor, EncoderStart, Pulse
from vifistore.extract.given_rows import Piece
from vifistore.extract.row_sources import NotedWriter
from vifistore.store.dataset import write_videos
from vifistore.store.store import create_store
from vifistore.store.writer import BlockData

BLOCKS = 4


@pytest.fixture
def encodings(monkeypatch) -> list[tuple[threading.Thread, list[int]]]:
    """Of each time that rows were encoded, the thread and its rows."""
    found = []

    def encode_rows(job, writer, source, *more) -> None:
        rows: list[int] = []
        found.append((threading.current_thread(), rows))
        for row in source:
            rows.append(row)
            if row % 64 == 63:
                block = list(range(row - 63, row + 1))
                part = BlockData(block=row // 64, rows=block, data=block_of(block))
                NotedWriter(writer, source).write_blocks([part])

    monkeypatch.setattr(encoder_actor, "encode_rows", encode_rows)
    return found


@pytest.fixture
def actor(tmp_path, monkeypatch):
    """An encoder that has begun, of a store of four blocks."""
    table = video_table(64 * BLOCKS, ["a"])
    write_videos(create_store(tmp_path / "s.zarr").new_dataset("d"), table, ["a"], "/videos")
    writer = open_writer(tmp_path / "s.zarr")
    monkeypatch.setattr(encoder_actor, "new_writer", lambda job, purpose: writer)
    monkeypatch.setattr(
        encoder_actor, "replace", lambda job, num_videos: SimpleNamespace(**vars(job))
    )
    before = signal.getsignal(signal.SIGTERM)
    actor = EncoderActor(SimpleNamespace())
    actor._job = SimpleNamespace(num_videos=64 * BLOCKS, loaded=SimpleNamespace(video_texts=None))
    actor.begin(EncoderStart(num_videos=64 * BLOCKS))
    yield actor
    signal.signal(signal.SIGTERM, before)


def piece(block: int) -> Piece:
    return Piece(block=block, rows=range(64 * block, 64 * block + 64))


def pulse_when(actor: EncoderActor, is_so) -> Pulse:
    """The first pulse of which something is so."""
    deadline = time.monotonic() + 30
    while not is_so(pulse := actor.pulse([])):
        assert time.monotonic() < deadline
        time.sleep(0.005)
    return pulse


def test_all_that_is_given_is_encoded_by_one_thread(actor, encodings):
    first = actor.pulse([piece(0), piece(1)])
    assert not first.given_back
    settled = list(first.settled)
    while len(settled) < 2:
        settled += pulse_when(actor, lambda pulse: pulse.settled).settled
    assert settled == [piece(0), piece(1)]
    # It has nothing to do now, and goes on when there is more, not before.
    time.sleep(0.05)
    assert [row for _, rows in encodings for row in rows] == list(range(128))
    for block in (3, 2):
        told = actor.pulse([piece(block)]).settled or pulse_when(actor, lambda p: p.settled).settled
        assert told == [piece(block)]
    found = [row for _, rows in encodings for row in rows]
    assert found == [*range(128), *piece(3).rows, *piece(2).rows]
    assert all(rows for _, rows in encodings)
    assert len({thread for thread, _ in encodings}) == 1
    assert threading.current_thread() not in {thread for thread, _ in encodings}


def test_nothing_is_encoded_after_a_failure(actor, monkeypatch):
    calls = []

    def fail(*args) -> None:
        calls.append(args)
        raise MemoryError("too much")

    monkeypatch.setattr(encoder_actor, "encode_rows", fail)
    actor.pulse([piece(0)])
    pulse = pulse_when(actor, lambda pulse: pulse.failure)
    assert pulse.failure == "MemoryError: too much"
    given_back = pulse.given_back + actor.pulse([piece(1)]).given_back
    assert given_back == [piece(0), piece(1)]
    assert len(calls) == 1


def test_who_leaves_gives_back_what_has_not_begun(actor, encodings):
    pulse = actor.pulse([piece(0)], leave=True)
    assert (pulse.given_back, pulse.num_waiting, pulse.is_leaving) == ([piece(0)], 0, True)
    assert encodings == []
