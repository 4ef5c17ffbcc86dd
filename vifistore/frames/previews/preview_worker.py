"""The program that makes pieces of videos for a page: takes a moment, answers with bytes.

`PreviewPool` starts it by `python -m` with CHANNEL PARENT MAX_BYTES. The
video it made a piece of last stays open, so that the next piece costs no seeking.
"""

import os
import signal
import socket
import sys

import numpy as np

from vifistore.errors import DecodeError, UsageError
from vifistore.frames.previews.previews import PieceMaker, kinds_made_here
from vifistore.frames.processes.memory_limits import limit_memory
from vifistore.frames.processes.wire import receive_message, send_message, write_anonymous_file
from vifistore.frames.processes.worker import die_with_parent
from vifistore.sources.roots import footage_of_wire

# Whoever waits for a page comes first.
_NICENESS = 5


def main() -> None:
    """Serve the pool until it closes the channel."""
    channel_number, parent, max_bytes = (int(argument) for argument in sys.argv[1:4])
    # Both may reach all processes of a terminal; the pool ends its workers itself.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    die_with_parent(parent)
    os.nice(_NICENESS)
    channel = socket.socket(fileno=channel_number)
    # PyAV is loaded now, so that its loading counts as no video's time or memory.
    kinds_made_here()
    send_message(channel, {"ready": True})
    limit_memory(max_bytes)
    pieces = _Pieces()
    try:
        while True:
            job, _ = receive_message(channel)
            _answer(channel, job, pieces)
    except (EOFError, ConnectionError):
        return


class _Pieces:
    """The video that is open."""

    def __init__(self) -> None:
        self._stamp = ""
        self._maker: PieceMaker | None = None

    def make(self, job: dict) -> bytes:
        if self._maker is None or self._stamp != job["stamp"]:
            if self._maker is not None:
                self._maker.close()
            self._maker = PieceMaker(footage_of_wire(job["video"]))
            self._stamp = job["stamp"]
        return self._maker.piece(begin=job["begin"], end=job["end"], kind=job["kind"])


def _answer(channel: socket.socket, job: dict, pieces: _Pieces) -> None:
    try:
        data = pieces.make(job)
    except (DecodeError, UsageError) as error:
        send_message(channel, {"reason": getattr(error, "reason", ""), "message": str(error)})
        return
    except MemoryError:
        words = "it needs more memory than a page's picture may take"
        send_message(channel, {"reason": "memory", "message": words})
        return
    # Its own bytes and one more: of nothing no file can be mapped.
    file = write_anonymous_file(np.frombuffer(data + b"\0", np.uint8))
    try:
        send_message(channel, {"size": len(data)}, file)
    finally:
        os.close(file)


if __name__ == "__main__":
    main()
