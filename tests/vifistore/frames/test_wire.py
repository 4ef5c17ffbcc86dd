import os
import socket

import numpy as np
import pytest

from vifistore.frames.processes.wire import (
    map_anonymous_file,
    receive_message,
    send_message,
    write_anonymous_file,
)


def num_open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.fixture
def channel():
    first, second = socket.socketpair()
    with first, second:
        yield first, second


def test_a_document_and_an_array_cross_the_channel(channel) -> None:
    before = num_open_files()
    array = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    file = write_anonymous_file(array[:, ::-1])
    send_message(channel[0], {"name": "caf\u00e9 \udcff"}, file)
    os.close(file)
    document, received = receive_message(channel[1], 1.0)
    copy = map_anonymous_file(received, (2, 4, 3))
    assert document == {"name": "caf\u00e9 \udcff"}
    assert copy.tolist() == array[:, ::-1].tolist()
    assert copy.flags.writeable
    assert num_open_files() == before + 1  # the mapping's own
    del copy
    assert num_open_files() == before


def test_a_disk_file_serves_where_memory_files_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> int:
        raise OSError("no space left")

    monkeypatch.setattr(os, "memfd_create", refuse, raising=False)
    array = np.arange(12, dtype=np.uint8)
    assert map_anonymous_file(write_anonymous_file(array), (12,)).tolist() == list(range(12))


def test_a_write_that_fails_halfway_goes_to_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    write, fail = os.write, iter([True])

    def write_once(file: int, data: memoryview) -> int:
        if next(fail, False):
            raise OSError("no memory left")
        return write(file, data)

    monkeypatch.setattr(os, "write", write_once)
    before = num_open_files()
    array = np.arange(12, dtype=np.uint8)
    assert map_anonymous_file(write_anonymous_file(array), (12,)).tolist() == list(range(12))
    assert num_open_files() == before


def test_silence_ends_in_time(channel) -> None:
    with pytest.raises(TimeoutError):
        receive_message(channel[0], 0.05)
    channel[1].sendall(b"\0\0")
    with pytest.raises(TimeoutError):
        receive_message(channel[0], 0.05)


def test_a_side_that_goes_away_midway_is_noticed(channel) -> None:
    before = num_open_files()
    file = write_anonymous_file(np.zeros(4, np.uint8))
    socket.send_fds(channel[0], [b"\0\0\0\x09"], [file])
    os.close(file)
    channel[0].sendall(b"half")
    channel[0].shutdown(socket.SHUT_WR)
    with pytest.raises(EOFError):
        receive_message(channel[1], 1.0)
    assert num_open_files() == before
