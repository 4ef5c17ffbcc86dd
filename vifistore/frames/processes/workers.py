"""The worker processes of a pool: each decodes one job at a time, and is replaced when it dies."""

import threading
from collections.abc import Iterator

from vifistore.errors import UsageError
from vifistore.frames.decoders.decoding import Decoded
from vifistore.frames.processes.arena import Arena
from vifistore.frames.processes.decode_jobs import DecodeJob
from vifistore.frames.processes.worker_handle import WorkerGoneError, WorkerHandle
from vifistore.frames.processes.worker_settings import WorkerSettings

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
        num_kept: int = 0,
    ) -> None:
        """They start with their first job, or by `warm_up`.

        Beside `num_workers` there are `num_kept`, one of which a job of a single stretch always
        finds free in the end: none waits for its results to be taken.
        """
        self._settings, self._timeout_seconds = settings, timeout_seconds
        self._arena = arena
        self._lock = threading.Lock()
        self._running: set[WorkerHandle] = set()
        self._closed = False
        # None is to be started.
        self._places: list[WorkerHandle | None] = [None] * (num_workers + num_kept)
        self._num_kept, self._freed = num_kept, threading.Condition()

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
        worker = self._take(0)
        try:
            worker = worker or self._start(None)
        finally:
            self._give_back(worker)

    def _take(self, num_kept: int) -> WorkerHandle | None:
        """Wait until more than so many places are free, and take one: those to be started first."""
        with self._freed:
            self._freed.wait_for(lambda: len(self._places) > num_kept)
            return self._places.pop(0)

    def _give_back(self, worker: WorkerHandle | None) -> None:
        with self._freed:
            self._places.append(worker)
            self._freed.notify_all()

    def decode(self, job: DecodeJob, *, takes_digest: bool) -> Iterator[Decoded]:
        """Yield what there is of each stretch of a job; waits for a worker that is free.

        Raises UsageError if none can be started.
        """
        worker = self._take(0 if job.is_one else self._num_kept)
        try:
            while True:
                worker = worker if worker and worker.is_alive else self._start(worker)
                try:
                    yield from worker.decode(job, self._timeout_seconds, takes_digest=takes_digest)
                    return
                except WorkerGoneError:
                    continue
        finally:
            self._give_back(worker)

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
