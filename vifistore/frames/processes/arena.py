"""Memory that a pool and its workers share for frames, so that a video's need not be made anew.

A new file for each video costs several times what copying its frames does: pages are looked for,
mapped and given back. Workers write into the part that they are given, as into a file, and map
nothing: a decoder that goes wild in its memory cannot reach the frames of another video.
"""

import contextlib
import mmap
import os
import socket
import weakref

import numpy as np

from vifistore.files import memory_file
from vifistore.frames.processes.parts import Parts
from vifistore.frames.processes.wire import (
    ROOM,
    receive_message,
    send_message,
    write_anonymous_file,
)


class Arena:
    """The pool's side: one memory file, of which each video in flight has a part."""

    def __init__(self, num_bytes: int) -> None:
        """Its pages are taken from the system as they are first used. Raises OSError."""
        self.num_bytes = num_bytes
        self.file = memory_file()
        """The open file, for workers."""
        try:
            os.ftruncate(self.file, num_bytes)
            self._memory: mmap.mmap | None = mmap.mmap(self.file, num_bytes)
        except OSError:
            os.close(self.file)
            raise
        self._parts = Parts(num_bytes)
        self._lost: list[np.ndarray] = []

    def take(self, num_bytes: int) -> tuple[int, np.ndarray] | None:
        """Where a part begins, and uint8 [byte] of it; None if there is no room.

        It is given back with the last view of the array.
        """
        memory = self._memory
        if memory is None or (start := self._parts.take(num_bytes)) is None:
            return None
        # Not a slice of an array: the views of such a one would hold all of the memory, not it.
        part = np.frombuffer(memory, np.uint8, num_bytes, start)
        ending = weakref.finalize(part, self._parts.give_back, start, num_bytes)
        # At the end of the process all is given back at once.
        ending.atexit = False
        return start, part

    def lose(self, part: np.ndarray) -> None:
        """Never give a part out again: somebody may still write into it."""
        self._lost.append(part)

    @property
    def whole(self) -> np.ndarray:
        """uint8 [byte], all of it, of one that is open."""
        assert self._memory is not None, "it is closed"
        return np.frombuffer(self._memory, np.uint8)

    def close(self) -> None:
        """Want no more parts. Those that were given out stay valid."""
        self._memory = None
        self._lost.clear()
        os.close(self.file)


def open_arena(num_bytes: int) -> Arena | None:
    """An arena; None of no bytes, and where the system has no memory files."""
    if not num_bytes or not hasattr(os, "memfd_create"):
        return None
    try:
        return Arena(num_bytes)
    except OSError:
        return None


def place_frames(channel: socket.socket, frames: np.ndarray, arena: int | None) -> int | None:
    """A worker's side: ask for a part of the arena, an open file, and write frames there.

    Returns nothing once they are in it, else the open anonymous file in which they are.
    """
    frames = np.ascontiguousarray(frames)
    if arena is not None:
        send_message(channel, {ROOM: frames.nbytes})
        start = receive_message(channel)[0]["start"]
        # Memory may be short: then a file, which may lie on a disk, is tried.
        with contextlib.suppress(OSError):
            if start is not None:
                write_part(arena, start, frames)
                return None
    return write_anonymous_file(frames)


def write_part(file: int, start: int, array: np.ndarray) -> None:
    """Copy uint8 [...], in C order, into the part of an arena's file that begins there.

    Raises OSError where memory is short.
    """
    rest = np.ascontiguousarray(array).data.cast("B")
    while len(rest):
        written = os.pwrite(file, rest, start)
        rest, start = rest[written:], start + written
