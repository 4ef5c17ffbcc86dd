"""The worker processes of a pool: each decodes one job at a time, and is replaced when it dies."""

import queue
import threading
from collections.abc import Iterator

from vifistore.errors import DecodeError, UsageError
from vifistore.frames.arena import Arena
from vifistore.frames.decode_jobs import DecodeJob
from vifistore.frames.decoding import DecodedVideo
from vifistore.frames.worker_handle import WorkerGoneError, WorkerHandle
from vifistore.frames.worker_settings import WorkerSettings

# A worker may be killed while it starts; if it never starts, the installation is broken.
_START_ATTEMPTS = 10


class Workers:
    """Workers for the threads of a pool."""

    def __init__(
        self,
        settings: WorkerSettings,
        num_workers: int,
        timeout_seconds: float,
        arena: Arena | None,
    ) -> None:
        """They start with their first job, or by `warm_up`; at best there are as many threads."""
        self._settings, self._timeout_seconds = settings, timeout_seconds
        self._arena = arena
        self._lock = threading.Lock()
        self._running: set[WorkerHandle] = set()
        self._closed = False
        # None is to be started.
        self._places: queue.SimpleQueue[WorkerHandle | None] = queue.SimpleQueue()
        for _ in range(num_workers):
            self._places.put(None)

    @property
    def pids(self) -> list[int]:
        """Process ids of those that are running or starting."""
        with self._lock:
            return [worker.process.pid for worker in self._running if worker.is_alive]

    def check_open(self) -> None:
        """Raise UsageError once they were killed."""
        if self._closed:
            raise UsageError("the decode pool is closed; open another one")

    def kill(self) -> None:
        """Kill all, whatever they do, and start no more."""
        with self._lock:
            self._closed = True
            for worker in self._running:
                worker.process.kill()

    def stop(self) -> None:
        """Wait for those that were killed, once no thread needs one any more."""
        for worker in self._running:
            worker.stop()
        self._running.clear()

    def warm_up(self) -> None:
        """Start one, if there is one to be started."""
        worker = self._places.get()
        try:
            worker = worker or self._start(None)
        finally:
            self._places.put(worker)

    def decode(self, job: DecodeJob, *, takes_digest: bool) -> Iterator[DecodedVideo | DecodeError]:
        """Yield each stretch of a job, or why it has no frames; waits for a worker that is free.

        Raises UsageError if none can be started.
        """
        worker = self._places.get()
        try:
            while True:
                worker = worker if worker and worker.is_alive else self._start(worker)
                try:
                    yield from worker.decode(job, self._timeout_seconds, takes_digest=takes_digest)
                    return
                except WorkerGoneError:
                    continue
        finally:
            self._places.put(worker)

    def _start(self, dead: WorkerHandle | None) -> WorkerHandle:
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
            self.check_open()
            if dead is not None:
                dead.stop()
                self._running.discard(dead)
            worker = WorkerHandle(self._settings, self._arena)
            self._running.add(worker)
            return worker
