"""Worker processes that make pieces of videos; a video that hangs or crashes one costs no other."""

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import count

from vifistore.errors import DecodeError
from vifistore.frames.previews.previews import Kind
from vifistore.frames.processes.memory_limits import LEAST_WORKER_BYTES
from vifistore.frames.processes.wire import map_anonymous_file
from vifistore.frames.processes.worker_handle import Program, WorkerGoneError
from vifistore.sources.footage import Footage

# Of the processor, or of waiting for a server: a page has long given up by then.
TIMEOUT_SECONDS = 60.0
_START_ATTEMPTS = 3


@dataclass(kw_only=True)
class _Place:
    """One worker, the thread that waits for it, and what it did last."""

    thread: ThreadPoolExecutor
    program: Program | None = None
    stamp: str = ""
    waiting: int = 0
    turn: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)


class PreviewPool:
    """Makes pieces of videos in processes of their own, with limits of time and memory.

    They start at once, and one that died is replaced. Use it as a context manager.
    """

    def __init__(self, num_workers: int = 2, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        self._timeout_seconds = timeout_seconds
        self._places = [
            # Linux ends a worker with the thread that started it, which lives as long as its place.
            _Place(thread=ThreadPoolExecutor(1, thread_name_prefix="preview"))
            for _ in range(num_workers)
        ]
        self._lock = threading.Lock()
        self._turns = count(1)
        for place in self._places:
            place.thread.submit(_program, place)

    def __enter__(self) -> "PreviewPool":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End all workers."""
        for place in self._places:
            with place.lock:
                if place.program is not None:
                    place.program.process.kill()
            place.thread.shutdown(cancel_futures=True)
            if place.program is not None:
                place.program.stop()

    def submit(
        self, footage: Footage, stamp: str, begin: float, end: float, kind: Kind
    ) -> "Future[bytes]":
        """A piece of a video, as `PieceMaker.piece` makes it, by the worker that has it open, or
        else has the least to do.

        `stamp` is a text that changes with the video. The future raises DecodeError.
        """
        job = {"stamp": stamp, "begin": begin, "end": end, "kind": kind}
        with self._lock:
            place = min(self._places, key=lambda one: (one.stamp != stamp, one.waiting, one.turn))
            place.stamp, place.turn = stamp, next(self._turns)
            place.waiting += 1
        return place.thread.submit(self._make, place, footage, job)

    def _make(self, place: _Place, footage: Footage, job: dict) -> bytes:
        try:
            for _ in range(_START_ATTEMPTS):
                try:
                    program = _program(place)
                    program.give({"video": footage.wire(), **job})
                except WorkerGoneError:
                    continue
                found = program.answer(footage, self._timeout_seconds)
                if isinstance(found, DecodeError):
                    raise found
                answer, file = found
                assert file is not None, "a piece comes as a file"
                size = int(answer["size"])
                return map_anonymous_file(file, (size + 1,))[:size].tobytes()
            raise DecodeError("worker crashed", "no worker for previews can be started")
        finally:
            with self._lock:
                place.waiting -= 1


def _program(place: _Place) -> Program:
    """The worker of a place, started where there is none that runs. Raises WorkerGoneError."""
    with place.lock:
        if place.program is not None and not place.program.is_alive:
            place.program.stop()
            place.program = None
        if place.program is None:
            place.program = Program("vifistore.frames.previews.preview_worker", LEAST_WORKER_BYTES)
        else:
            return place.program
    place.program.wait_until_ready()
    return place.program
