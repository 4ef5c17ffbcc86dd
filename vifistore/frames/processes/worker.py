"""The program of one decode worker: takes a video, answers with the frames of each stretch of it
that is wanted, or with the reason why not, as soon as they are there; goes on once it is told to.

The pool starts it by `python -m` with CHANNEL PARENT SETTINGS [ARENA]: SETTINGS
is the JSON of `WorkerSettings`, ARENA the open file of the pool's `Arena`. It imports no torch
unless the decoder is torchcodec, so that it starts quickly. Errors that are not about the video end
the process: the pool counts that as a crash and shows the last line.
"""

import contextlib
import ctypes
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from vifistore.errors import DecodeError, UsageError
from vifistore.frames.decoders.decoding import DecodedVideo, decode_stretches, load_decoder
from vifistore.frames.decoders.kept import FramePiece
from vifistore.frames.processes.arena import place_frames
from vifistore.frames.processes.decode_jobs import footage_and_plans
from vifistore.frames.processes.memory_limits import limit_memory
from vifistore.frames.processes.wire import PIECE, receive_message, send_message
from vifistore.frames.processes.worker_settings import WorkerSettings
from vifistore.sources.footage import Footage

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Serve the pool until it closes the channel."""
    channel_number, parent = (int(argument) for argument in sys.argv[1:3])
    settings = WorkerSettings.from_json(sys.argv[3])
    arena = int(sys.argv[4]) if len(sys.argv) > 4 else None
    # Both may reach all processes of a terminal or a batch job; the pool ends its workers itself.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    die_with_parent(parent)
    os.nice(settings.niceness)
    channel = socket.socket(fileno=channel_number)
    try:
        _announce(channel, settings.decoder)
        limit_memory(settings.max_bytes)
        while True:
            job, _ = receive_message(channel)
            _forget_log()
            _answer(channel, job, settings, arena)
    except (EOFError, ConnectionError):
        return


def die_with_parent(parent: int) -> None:
    """Have Linux kill this process when the pool's goes, even inside a native call that hangs."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit()


def _announce(channel: socket.socket, decoder: str) -> None:
    """Load the decoder now, so that its loading never counts as a video's time."""
    try:
        load_decoder(decoder)
    except UsageError as error:
        send_message(channel, {"failed": str(error)})
        sys.exit()
    send_message(channel, {"ready": True})


def _forget_log() -> None:
    """Empty the file that standard error goes to: it need hold only this video's messages."""
    log = sys.stderr.fileno()
    os.ftruncate(log, 0)
    os.lseek(log, 0, os.SEEK_SET)


def _answer(
    channel: socket.socket, job: dict[str, Any], settings: WorkerSettings, arena: int | None
) -> None:
    """An answer for each stretch, or for each piece of it. All but the last are waited for to be
    taken, so that memory does not grow with the length of a video."""
    footage, plans = footage_and_plans(job, settings.sampling)
    keep = replace(settings.keep, piece_bytes=job["piece_bytes"])
    how = {"decoder": settings.decoder, "keep": keep, "digest": job["digest"]}
    found = decode_stretches(footage, plans, **how)
    left, spent, is_first = len(plans), _Spent(), True
    while left:
        if not is_first:
            receive_message(channel)
        is_first = False
        try:
            with spent.decoding():
                video = next(found)
            if isinstance(video, DecodeError):
                is_memory = video.reason == "memory"
                _send_error(channel, _too_large(footage, settings) if is_memory else video)
            else:
                _hand_over(channel, video, spent, arena)
            if not isinstance(video, FramePiece):
                left, spent = left - 1, _Spent()
            # No name for it: it would be held while the next one is read.
            del video
        except MemoryError:
            error = _too_large(footage, settings)
            _send_error(channel, error)
            # Whatever was being read is gone.
            left -= 1
            found = iter([error] * left)


class _Spent:
    """What a stretch took of the processor, and not of the clock: what the video costs, not what
    others made it wait."""

    def __init__(self) -> None:
        self.decoded = self.handed_over = 0.0

    @contextlib.contextmanager
    def decoding(self) -> Iterator[None]:
        start = time.process_time()
        yield
        self.decoded += time.process_time() - start

    @contextlib.contextmanager
    def handing_over(self) -> Iterator[None]:
        start = time.process_time()
        yield
        self.handed_over += time.process_time() - start


def _hand_over(
    channel: socket.socket, video: DecodedVideo | FramePiece, spent: _Spent, arena: int | None
) -> None:
    with spent.handing_over():
        file = place_frames(channel, video.frames, arena)
    if isinstance(video, FramePiece):
        told = {PIECE: {"first": video.first, "are_squares": video.are_squares}}
    else:
        facts = video.facts()
        facts["decode_seconds"] = spent.decoded - video.cut_seconds
        facts["cut_seconds"] += spent.handed_over
        told = {"facts": facts}
    try:
        send_message(channel, {"shape": video.frames.shape, **told}, file)
    finally:
        if file is not None:
            os.close(file)


def _send_error(channel: socket.socket, error: DecodeError) -> None:
    send_message(channel, {"reason": error.reason, "message": str(error)})


def _too_large(footage: Footage, settings: WorkerSettings) -> DecodeError:
    allowed = "there is"
    if settings.max_bytes:
        allowed = f"the {settings.max_bytes / 2**30:.1f} GB that a worker may take"
    words = f"it needs more memory than {allowed}; raise --worker-memory-gb"
    return DecodeError("memory", f"{footage}: {words}")


if __name__ == "__main__":
    main()
