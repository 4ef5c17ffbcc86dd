"""The pool's side of the process that decodes on a GPU: it is shared by several threads, started
anew when it dies, and done without once it has died often."""

import contextlib
import json
import logging
import os
import socket
import threading
from collections.abc import Iterator

import torch

from vifistore.errors import DecodeError, UsageError
from vifistore.frames.decoders.decoding import DecodedVideo
from vifistore.frames.gpu.gpu_arena import GpuArena, open_gpu_arena, told
from vifistore.frames.gpu.gpu_decoding import suits
from vifistore.frames.plans import Sampling
from vifistore.frames.processes.arena import Arena
from vifistore.frames.processes.child_process import Running
from vifistore.frames.processes.decode_jobs import DecodeJob
from vifistore.frames.processes.worker_handle import GONE, WorkerGoneError, WorkerLine

# An H100 has seven engines, and a video is on its way to one while others are decoded.
NUM_LINES = 8
# A process may be killed while it starts, or by a video; if it never starts, something is broken.
_START_ATTEMPTS, _MOST_DEATHS = 3, 10

logger = logging.getLogger("vifi")


@contextlib.contextmanager
def open_gpu_decoders(
    device: torch.device, sampling: Sampling, timeout_seconds: float
) -> Iterator["GpuDecoders"]:
    """Decoders of a device for a pool, which ends before this does. Raises UsageError if the GPU
    has no memory for it."""
    arena = open_gpu_arena(device)
    try:
        yield GpuDecoders(arena, str(device), sampling, timeout_seconds)
    finally:
        arena.close()


class GpuDecoders:
    """Decodes videos on a GPU, as many at a time as there are lines to its process.

    A video that it dies of, or cannot decode, is for the CPU: there it costs only itself. The
    thread that finds no process starts one, and must live on: Linux ends it with that.
    """

    def __init__(
        self,
        arena: Arena | GpuArena,
        device: str,
        sampling: Sampling,
        timeout_seconds: float,
        num_lines: int = NUM_LINES,
    ) -> None:
        """`device` is that of the arena, as torch calls it."""
        self.num_lines = num_lines
        self._arena, self._timeout_seconds = arena, timeout_seconds
        self._settings = {"device": device, "sampling": sampling, "arena": told(arena)}
        self._lock = threading.Lock()
        self._running: Running | None = None
        self._free: list[WorkerLine] = []
        self._is_starting = self._is_closed = self._is_proven = False
        self._failure: UsageError | None = None
        self._deaths = 0

    @property
    def pid(self) -> int | None:
        """Process id of the process, if it runs or starts."""
        with self._lock:
            is_alive = self._running is not None and self._running.is_alive
            return self._running.process.pid if is_alive and self._running else None

    def warm_up(self) -> None:
        """Start the process; a failure is told to whoever wants something of it."""
        with contextlib.suppress(UsageError):
            if line := self._line():
                self._give_back(line)

    def decode(self, job: DecodeJob, *, takes_digest: bool) -> DecodedVideo | None:
        """A video decoded on the GPU; None if it is for the CPU: because of what it is, or since
        no line is free. Raises UsageError if the process cannot be started at all."""
        line = self._line() if suits(job) else None
        if line is None:
            return None
        try:
            line.give(job.wire(takes_digest=takes_digest))
            (limit_seconds,) = job.limits(self._timeout_seconds)
            found = line.frames(job.footage, limit_seconds)
        except WorkerGoneError as error:
            self._note_death(line, str(error))
            return None
        if isinstance(found, DecodeError):
            if found.reason in GONE:
                self._note_death(line, str(found))
            else:
                self._give_back(line)
            return None
        self._give_back(line)
        answer, frames = found
        return DecodedVideo.of_facts(frames, answer["facts"])

    def _line(self) -> WorkerLine | None:
        """A line that is free; None if there is none, or the process is being started."""
        with self._lock:
            if self._failure is not None:
                raise self._failure
            if self._free:
                return self._free.pop()
            is_wanted = self._running is None and self._deaths < _MOST_DEATHS
            if self._is_starting or self._is_closed or not is_wanted:
                return None
            self._is_starting = True
        try:
            return self._started()
        finally:
            self._is_starting = False

    def _started(self) -> WorkerLine | None:
        lines = self._start()
        if not lines:
            return None
        try:
            for line in lines:
                line.wait_until_ready()
        except (WorkerGoneError, UsageError) as error:
            for line in lines:
                line.close()
            if isinstance(error, UsageError):
                self._failure = error
                raise
            self._note_death(lines[0], str(error))
            return None
        with self._lock:
            self._is_proven = True
            self._free = lines[1:]
        return lines[0]

    def _start(self) -> list[WorkerLine]:
        """The lines to a new process; none once no more are wanted."""
        own, others = zip(*(socket.socketpair() for _ in range(self.num_lines)), strict=True)
        with contextlib.ExitStack() as passing, self._lock:
            files = [passing.enter_context(other).fileno() for other in others]
            if self._is_closed:
                for channel in own:
                    channel.close()
                return []
            arguments = (",".join(map(str, files)), os.getpid(), json.dumps(self._settings))
            files += [self._arena.file] if isinstance(self._arena, Arena) else []
            self._running = Running("vifistore.frames.gpu.gpu_worker", arguments, files)
            return [WorkerLine(channel, self._running, self._arena) for channel in own]

    def _give_back(self, line: WorkerLine) -> None:
        with self._lock:
            if line.running is self._running:
                self._free.append(line)
                return
        line.close()

    def _note_death(self, line: WorkerLine, words: str) -> None:
        """Take the process for dead, once, whichever of its lines noticed."""
        with self._lock:
            if line.running is not self._running:
                return
            for free in self._free:
                free.close()
            self._running, self._free = None, []
            if self._is_closed:
                return
            self._deaths += 1
            is_last = self._deaths >= (_MOST_DEATHS if self._is_proven else _START_ATTEMPTS)
        if is_last and not self._is_proven:
            self._failure = UsageError(f"no decoder on the GPU can be started: {words}")
            raise self._failure
        end = "CPU cores decode all that is left" if is_last else "it is started anew"
        logger.warning("the process that decodes on the GPU is gone, and %s: %s", end, words)

    def kill(self) -> None:
        """Kill the process, and start none any more."""
        with self._lock:
            self._is_closed = True
            if self._running is not None:
                self._running.process.kill()

    def stop(self) -> None:
        """Wait for the process that was killed, once no thread needs it any more."""
        for line in self._free:
            line.stop()
        if self._running is not None:
            self._running.stop()
