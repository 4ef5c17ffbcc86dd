"""How the pool and its workers talk: JSON over a Unix socket, pixels as an open anonymous file.

The file has no name, so nothing can be left behind: when the last process that holds it is gone,
however it went, the memory is free again. It is a memory file where the system has them (Linux),
which does not draw on /dev/shm and so works in containers where that is tiny; where there is none,
or memory is short, it is an unlinked file in the temporary folder.
"""

import json
import mmap
import os
import select
import socket
import struct
import tempfile
import time
from typing import Any

import numpy as np

from vifistore.files import memory_file, write_all

ROOM = "room"
"""Key of the message that asks how many bytes there is room for in the arena."""

PIECE = "piece"
"""Key of the message that comes with some of the frames of a stretch, before those with which its
facts come."""

_LENGTH = struct.Struct(">I")


def send_message(channel: socket.socket, document: dict[str, Any], file: int | None = None) -> None:
    """Send one JSON document, and an open file with it."""
    body = json.dumps(document).encode("ascii")
    header = _LENGTH.pack(len(body))
    if file is None:
        channel.sendall(header)
    else:
        # Four bytes into a drained socket: never sent in part.
        socket.send_fds(channel, [header], [file])
    channel.sendall(body)


def receive_message(
    channel: socket.socket, timeout_seconds: float | None = None
) -> tuple[dict[str, Any], int | None]:
    """One document and the open file that came with it, if any.

    Raises EOFError if the other side is gone and TimeoutError after `timeout_seconds` in all.
    """
    deadline = None if timeout_seconds is None else time.monotonic() + timeout_seconds
    header, files = _receive(channel, _LENGTH.size, deadline, max_files=1)
    file = files[0] if files else None
    try:
        body, _ = _receive(channel, _LENGTH.unpack(header)[0], deadline)
    except (EOFError, TimeoutError, OSError):
        if file is not None:
            os.close(file)
        raise
    return json.loads(body), file


def wait_for_message(channel: socket.socket, timeout_seconds: float) -> bool:
    """Whether the other side has sent something, or is gone, within `timeout_seconds`."""
    poll = select.poll()
    poll.register(channel, select.POLLIN)
    return bool(poll.poll(timeout_seconds * 1000))


def _receive(
    channel: socket.socket, size: int, deadline: float | None, max_files: int = 0
) -> tuple[bytes, list[int]]:
    received, files = bytearray(), []
    while len(received) < size:
        if deadline is not None:
            # A zero timeout would mean "do not wait" and raise another error.
            channel.settimeout(max(deadline - time.monotonic(), 1e-3))
        part, new_files, _, _ = socket.recv_fds(channel, size - len(received), max_files)
        files += new_files
        if not part:
            for file in files:
                os.close(file)
            raise EOFError("the other side has closed the channel")
        received += part
    return bytes(received), files


def write_anonymous_file(array: np.ndarray) -> int:
    """Copy uint8 [...], in C order, into a new anonymous file and return the open file."""
    data = np.ascontiguousarray(array).data.cast("B")
    try:
        return _filled(memory_file(), data)
    except OSError:
        pass  # memory is short, or memory files are forbidden: go on with a file on disk
    with tempfile.TemporaryFile() as file:
        return _filled(os.dup(file.fileno()), data)


def _filled(file: int, data: memoryview) -> int:
    """The open file with the data in it; closed where it does not fit."""
    try:
        write_all(file, data)
    except OSError:
        os.close(file)
        raise
    return file


def map_anonymous_file(file: int, shape: tuple[int, ...]) -> np.ndarray:
    """uint8 [...] of that shape over the bytes of an open file, which is closed.

    The memory, and an open file that stands for it, are given back with the array's last view.
    """
    try:
        memory = mmap.mmap(file, int(np.prod(shape)))
    finally:
        os.close(file)
    return np.frombuffer(memory, np.uint8).reshape(shape)
