"""The pool's side of one worker process."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vifistore.errors import DecodeError, UsageError
from vifistore.frames.arena import Arena
from vifistore.frames.decode_jobs import DecodeJob
from vifistore.frames.decoding import DecodedVideo
from vifistore.frames.wire import (
    ROOM,
    map_anonymous_file,
    receive_message,
    send_message,
    wait_for_message,
)
from vifistore.frames.worker_settings import WorkerSettings
from vifistore.sources.footage import Footage

_START_SECONDS = 120.0
_EXIT_SECONDS = 1.0
# On a busy machine giving memory back takes its time.
_KILLED_SECONDS = 10.0
_LOG_TAIL_BYTES = 4096
# The pool has one worker per core, so none needs threads of its own.
_ENVIRONMENT = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}

GO_ON = {"go_on": True}
"""Has a worker make the next stretch of its job."""

# Reasons for which a worker has ended.
_GONE = ("timeout", "worker crashed")

# Fields of /proc/PID/stat after the name, which may itself hold blanks: proc(5). Elsewhere than on
# Linux nothing is told, and time limits go by the clock alone.
_STATE, _USER_TICKS, _SYSTEM_TICKS = 0, 11, 12


class WorkerGoneError(Exception):
    """The worker ended before it took a video; its last words are the message."""


class Program:
    """One running worker. The thread that starts it must live longer: Linux ends it with that."""

    def __init__(self, module: str, *arguments: object, arena: Arena | None = None) -> None:
        """Runs `python -m MODULE CHANNEL PARENT ARGUMENTS... [ARENA]`, where ARENA is the open file
        of an arena. Frames that find no room in it come as files."""
        self._arena = arena
        # A file, not a pipe: native code that prints much can neither block nor fill memory.
        self._log = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - closed in `stop`
        self._channel, other_end = socket.socketpair()
        with other_end:
            files = (other_end.fileno(), *([arena.file] if arena else []))
            arguments = (*arguments, *files[1:])
            self.process = _start(module, arguments, files, self._log.fileno())
        self._words = ""

    def wait_until_ready(self) -> None:
        """Raise UsageError if the decoder cannot be loaded, WorkerGoneError if the start fails."""
        try:
            answer, _ = receive_message(self._channel, _START_SECONDS)
        except (EOFError, OSError):
            raise WorkerGoneError(self.stop()) from None
        if "failed" in answer:
            self.stop()
            raise UsageError(answer["failed"])

    def give(self, job: dict[str, Any]) -> None:
        """Give out a job; raises WorkerGoneError if it was never taken."""
        try:
            send_message(self._channel, job)
        except OSError:
            raise WorkerGoneError(self.stop()) from None

    def answer(
        self, footage: Footage, timeout_seconds: float, told: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], int | None] | DecodeError:
        """What it says of a video, with the open file that came with it, if any, or why there is
        nothing.

        It is `told` something first. With the reasons "timeout" and "worker crashed" it has ended.
        """
        try:
            if told is not None:
                send_message(self._channel, told)
            self._wait_for_answer(timeout_seconds)
            answer, file = receive_message(self._channel, timeout_seconds)
        except TimeoutError:
            self.process.kill()
            self.stop()
            message = f"{footage}: not decoded within {timeout_seconds:g} seconds"
            return DecodeError("timeout", message)
        except (EOFError, OSError):
            return DecodeError("worker crashed", f"{footage}: {self.stop()}")
        if "reason" in answer:
            return DecodeError(answer["reason"], answer["message"])
        return answer, file

    def frames(
        self, footage: Footage, timeout_seconds: float, told: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], np.ndarray] | DecodeError:
        """As `answer`, of frames: what it says of them, and uint8 [frame height width 3]."""
        found, part = self.answer(footage, timeout_seconds, told), None
        if not isinstance(found, DecodeError) and ROOM in found[0]:
            start, part = self._room(found[0][ROOM])
            found = self.answer(footage, timeout_seconds, {"start": start})
        if isinstance(found, DecodeError):
            if part is not None and self._arena and self.is_alive:
                # It cannot be ended now, and may write yet.
                self._arena.lose(part)
            return found
        answer, file = found
        shape = tuple(answer["shape"])
        if file is not None:
            return answer, map_anonymous_file(file, shape)
        assert part is not None, "frames come as a file where there is no part for them"
        return answer, part.reshape(shape)

    def _room(self, num_bytes: int) -> tuple[int | None, np.ndarray | None]:
        """Where a part of the arena begins, and the part; nothing where there is no room."""
        taken = None if self._arena is None else self._arena.take(num_bytes)
        return taken or (None, None)

    def _wait_for_answer(self, timeout_seconds: float) -> None:
        """Raise TimeoutError once the worker had its time, on the clock and of the processor."""
        start = processor_seconds(self.process.pid)
        while not wait_for_message(self._channel, timeout_seconds):
            # Other processes may have kept it from working; that is no fault of the video.
            if not is_starved(self.process.pid, start + timeout_seconds):
                raise TimeoutError

    @property
    def is_alive(self) -> bool:
        """Whether the process runs."""
        return self.process.poll() is None

    def stop(self) -> str:
        """End the process, if it runs, and say how it ended and what it printed last."""
        if self._words:
            return self._words
        self._channel.close()
        try:
            # A worker that crashed is on its way out and should leave its own status.
            self.process.wait(_EXIT_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            with contextlib.suppress(subprocess.TimeoutExpired):
                # A process stuck inside the kernel cannot be waited for; it is left behind.
                self.process.wait(_KILLED_SECONDS)
        self._words = _last_words(self.process.returncode, self._log.fileno())
        self._log.close()
        return self._words


class WorkerHandle(Program):
    """A worker that decodes videos."""

    def __init__(self, settings: WorkerSettings, arena: Arena | None = None) -> None:
        super().__init__("vifistore.frames.worker", settings.to_json(), arena=arena)

    def decode(
        self, job: DecodeJob, timeout_seconds: float, *, takes_digest: bool = True
    ) -> Iterator[DecodedVideo | DecodeError]:
        """Yield each stretch, or why it has no frames; raises WorkerGoneError if the job was never
        given out.

        With the reasons "timeout" and "worker crashed", which all stretches that are left have, the
        worker has ended, too. Whoever takes no more of them ends it.
        """
        self.give(job.wire(takes_digest=takes_digest))
        limits = job.limits(timeout_seconds)
        for number, limit_seconds in enumerate(limits):
            found = self._decoded(job.footage, limit_seconds, GO_ON if number else None)
            if isinstance(found, DecodeError) and found.reason in _GONE:
                yield from [found] * (len(limits) - number)
                return
            is_taken = False
            try:
                yield found
                is_taken = True
            finally:
                if not is_taken and number < len(limits) - 1:
                    self.process.kill()
                    self.stop()
            # No name for it: it would hold its memory while the next one is waited for.
            del found

    def _decoded(
        self, footage: Footage, timeout_seconds: float, told: dict[str, Any] | None
    ) -> DecodedVideo | DecodeError:
        found = self.frames(footage, timeout_seconds, told)
        if isinstance(found, DecodeError):
            return found
        answer, frames = found
        return DecodedVideo.of_facts(frames, answer["facts"])


def _start(
    module: str, arguments: Sequence[object], files: Sequence[int], log: int
) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-P", "-m", module, *map(str, (files[0], os.getpid(), *arguments))],
        # A new interpreter, not a fork or a spawned copy: the caller's main module, which may
        # import torch, is not imported again. It must find the same packages.
        env=os.environ | _ENVIRONMENT | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        pass_fds=files,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
    )


def _last_words(status: int | None, log: int) -> str:
    size = os.fstat(log).st_size
    tail = os.pread(log, _LOG_TAIL_BYTES, max(size - _LOG_TAIL_BYTES, 0))
    lines = tail.decode(errors="replace").strip().splitlines()
    how = f"exit code {status}"
    if status is not None and status < 0:
        how = f"killed by {signal.Signals(-status).name}"
        how += ", as when memory runs out" if -status == signal.SIGKILL else ""
    return f"the decode worker ended ({how})" + (f": {lines[-1].strip()}" if lines else "")


def processor_seconds(pid: int) -> float:
    """Seconds of the processor that a process has had; 0 where that is not known."""
    fields = _stat(pid)
    if not fields:
        return 0.0
    ticks = int(fields[_USER_TICKS]) + int(fields[_SYSTEM_TICKS])
    return ticks / os.sysconf("SC_CLK_TCK")


def is_starved(pid: int, limit_seconds: float) -> bool:
    """Whether a process could run at this moment and has had less than `limit_seconds` in all.

    One that sleeps, or waits for a disk, is not starved, however little it had.
    """
    fields = _stat(pid)
    return bool(fields) and fields[_STATE] == "R" and processor_seconds(pid) < limit_seconds


def _stat(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []
