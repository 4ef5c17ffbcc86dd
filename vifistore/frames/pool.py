"""Decode workers: one process each, replaced when it dies, results in the order of the jobs."""

import queue
import threading
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any, Self, TypeVar

from vifistore.errors import DecodeError, UsageError
from vifistore.frames.decoding import DecodedVideo, check_decoder
from vifistore.frames.kept import Keep
from vifistore.frames.memory_limits import worker_bytes as share_of_memory
from vifistore.frames.plans import Sampling
from vifistore.frames.squares import Squares
from vifistore.frames.worker_handle import WorkerGoneError, WorkerHandle
from vifistore.frames.worker_settings import WorkerSettings
from vifistore.sources.footage import Footage
from vifistore.sources.roots import footage_of

Key = TypeVar("Key", bound=Hashable)
Decoded = TypeVar("Decoded")

DEFAULT_TIMEOUT_SECONDS = 120.0
# A worker may be killed while it starts; if it never starts, the installation is broken.
_START_ATTEMPTS = 10
# A core reads 5 to 20 MB of H.264 a second: two hours of a film are minutes, where its container
# has no index to be trusted.
_BYTES_PER_TIMEOUT = 100e6
# Squares decoded ahead keep the tower busy where a few videos take long, and workers while the
# tower is not ready; each video is an open file, too.
_AHEAD_BYTES, _MOST_AHEAD = 64 * 2**20, 16


class DecodePool:
    """Decodes many videos at once; a video that hangs or crashes its decoder costs only itself.

    Each worker process has a thread here that waits for it, so time limits hold and workers stay
    busy while the caller computes. Use it as a context manager.
    """

    def __init__(
        self,
        num_workers: int,
        *,
        frames: int,
        clips: int,
        decoder: str = "decord",
        stride: int = 0,
        timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS,
        squares: Squares | None = None,
        only_large: bool = False,
        niceness: int = 0,
        worker_bytes: int = 0,
    ) -> None:
        """Raises UsageError if the decoder is not installed.

        `timeout_seconds` is per video, and as often for every further 100 MB of its file, since
        some files can only be read in order. `squares` are cut by the workers, of frames of more
        than twice their size alone if `only_large`. `niceness` (0 to 19) is by how much workers
        give way to other processes, `worker_bytes` how much memory each may take; 0 is its share
        of the machine's.
        """
        if num_workers < 1:
            raise UsageError(f"num_workers is {num_workers}; it must be at least 1")
        check_decoder(decoder)
        self._settings = WorkerSettings(
            frames=frames,
            clips=clips,
            decoder=decoder,
            stride=stride,
            keep=Keep(squares=squares, only_large=only_large),
            niceness=niceness,
            max_bytes=worker_bytes or share_of_memory(num_workers),
        )
        self._timeout_seconds = timeout_seconds
        self._num_workers = num_workers
        self._threads = ThreadPoolExecutor(num_workers, thread_name_prefix="decode")
        self._lock = threading.Lock()
        self._running: set[WorkerHandle] = set()
        self._closed = False
        # As many places as threads, so that a thread always finds one; None is to be started.
        self._places: queue.SimpleQueue[WorkerHandle | None] = queue.SimpleQueue()
        for _ in range(num_workers):
            self._places.put(None)

    def __enter__(self) -> Self:
        for _ in range(self._num_workers):
            self._threads.submit(self._warm_up)
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def worker_pids(self) -> list[int]:
        """Process ids of the workers that are running or starting."""
        with self._lock:
            return [worker.process.pid for worker in self._running if worker.is_alive]

    def close(self) -> None:
        """End all workers. Frames that were handed out stay valid."""
        with self._lock:
            self._closed = True
            for worker in self._running:
                worker.process.kill()
        self._threads.shutdown(cancel_futures=True)
        for worker in self._running:
            worker.stop()
        self._running.clear()

    def decode(
        self,
        jobs: Iterable[tuple[Key, str | Path | Footage]],
    ) -> Iterator[tuple[Key, DecodedVideo | DecodeError]]:
        """Yield (key, video or the error that stopped it) in the order of (key, video) jobs.

        Decoding begins at once, and goes ahead of the caller by 2 x num_workers videos, or by more
        where they are small squares. No more jobs are drawn from the iterable, which may be endless
        and is used in the calling thread only. `frames` is shared memory and an open file, both
        given back with its last view: copy what is to be kept of many videos. Raises UsageError if
        no worker can be started.
        """
        self._check_open()
        return submit_ahead(iter(jobs), self.submit, self._num_ahead())

    def _num_ahead(self) -> int:
        """How many videos are decoded ahead of the caller."""
        squares, few = self._settings.keep.squares, 2 * self._num_workers
        if squares is None or self._settings.keep.only_large:
            return few
        num_squares = self._settings.frames * self._settings.clips * squares.crops
        many = _AHEAD_BYTES // (num_squares * 3 * squares.size**2)
        return max(few, min(many, _MOST_AHEAD * self._num_workers))

    def submit(
        self,
        video: str | Path | Footage,
        draw: Sequence[int] | None = None,
        also: Sequence[Sampling] = (),
    ) -> Future[DecodedVideo | DecodeError]:
        """Decode one video, which may have to wait for a worker; see `decode`, and for `also`
        `decode_video`."""
        self._check_open()
        return self._threads.submit(self._decode, footage_of(video), draw, also)

    def _decode(
        self, footage: Footage, draw: Sequence[int] | None, also: Sequence[Sampling]
    ) -> DecodedVideo | DecodeError:
        limit_seconds = self._timeout_seconds * max(1.0, footage.told_bytes / _BYTES_PER_TIMEOUT)
        worker = self._places.get()
        try:
            while True:
                worker = worker if worker and worker.is_alive else self._start_worker(worker)
                try:
                    return worker.decode(footage, limit_seconds, draw, also)
                except WorkerGoneError:
                    continue
        except DecodeError as error:
            return error
        finally:
            self._places.put(worker)

    def _warm_up(self) -> None:
        worker = self._places.get()
        try:
            worker = worker or self._start_worker(None)
        finally:
            self._places.put(worker)

    def _start_worker(self, dead: WorkerHandle | None) -> WorkerHandle:
        failure: WorkerGoneError | None = None
        for _ in range(_START_ATTEMPTS):
            worker = self._replace(dead)
            try:
                worker.wait_until_ready()
                return worker
            except WorkerGoneError as error:
                dead, failure = worker, error
        raise UsageError(f"no decode worker can be started: {failure}")

    def _replace(self, dead: WorkerHandle | None) -> WorkerHandle:
        with self._lock:
            self._check_open()
            if dead is not None:
                dead.stop()
                self._running.discard(dead)
            worker = WorkerHandle(self._settings)
            self._running.add(worker)
            return worker

    def _check_open(self) -> None:
        if self._closed:
            raise UsageError("the decode pool is closed; open another one")


def submit_ahead(
    jobs: Iterator[tuple], submit: Callable[..., Future[Decoded]], most: int
) -> Iterator[tuple[Any, Decoded]]:
    """Yield (key, what came of it) in the order of jobs, of which `submit` takes all but the key.

    At most `most` are under way, the first of them when this returns.
    """
    ahead: deque[tuple[Any, Future[Decoded]]] = deque()

    def fill() -> None:
        for key, *job in islice(jobs, most - len(ahead)):
            ahead.append((key, submit(*job)))

    fill()
    return _in_order(ahead, fill)


def _in_order(
    ahead: deque[tuple[Any, Future[Decoded]]], fill: Callable[[], None]
) -> Iterator[tuple[Any, Decoded]]:
    try:
        while ahead:
            # No name for the result here: it would keep the memory of a video that the caller has
            # done with.
            yield _first_result(ahead)
            fill()
    finally:
        for _, future in ahead:
            future.cancel()


def _first_result(ahead: deque[tuple[Any, Future[Decoded]]]) -> tuple[Any, Decoded]:
    key, future = ahead.popleft()
    return key, future.result()
