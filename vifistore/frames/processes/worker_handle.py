"""The pool's side of a worker process."""

import os
import socket
from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from vifistore.errors import DecodeError, UsageError
from vifistore.frames.decoders.decoding import Decoded, DecodedVideo
from vifistore.frames.decoders.kept import FramePiece
from vifistore.frames.processes.arena import Arena
from vifistore.frames.processes.child_process import Running, is_starved, processor_seconds
from vifistore.frames.processes.decode_jobs import DecodeJob
from vifistore.frames.processes.wire import (
    PIECE,
    ROOM,
    map_anonymous_file,
    receive_message,
    send_message,
    wait_for_message,
)
from vifistore.frames.processes.worker_settings import WorkerSettings
from vifistore.sources.footage import Footage

if TYPE_CHECKING:
    from vifistore.frames.gpu.gpu_arena import GpuArena

_START_SECONDS = 120.0

GO_ON = {"go_on": True}
"""Has a worker make the next stretch of its job."""

GONE = ("timeout", "worker crashed")
"""Reasons for which a worker has ended."""


class WorkerGoneError(Exception):
    """The worker ended before it took a video; its last words are the message."""


class WorkerLine:
    """What is said over one socket to a process that runs."""

    def __init__(
        self, channel: socket.socket, running: Running, arena: "Arena | GpuArena | None" = None
    ) -> None:
        """Frames that find no room in the `arena` come as files."""
        self.running, self.process = running, running.process
        self._channel, self._arena = channel, arena

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
    ) -> tuple[dict[str, Any], Any] | DecodeError:
        """As `answer`, of frames: what it says of them, and uint8 [frame height width 3], an array
        or what the arena gives."""
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

    def _room(self, num_bytes: int) -> tuple[int | None, Any]:
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
        return self.running.is_alive

    def close(self) -> None:
        """Say and hear no more."""
        self._channel.close()

    def stop(self) -> str:
        """End the process, if it runs, and say how it ended and what it printed last."""
        self.close()
        return self.running.stop()


class Program(WorkerLine):
    """A process with one line to it."""

    def __init__(self, module: str, *arguments: object, arena: Arena | None = None) -> None:
        """Runs `python -m MODULE CHANNEL PARENT ARGUMENTS... [ARENA]`, where ARENA is the open file
        of an arena."""
        channel, other_end = socket.socketpair()
        with other_end:
            files = (other_end.fileno(), *([arena.file] if arena else []))
            told = (files[0], os.getpid(), *arguments, *files[1:])
            running = Running(module, told, files)
        super().__init__(channel, running, arena)


class WorkerHandle(Program):
    """A worker that decodes videos."""

    def __init__(self, settings: WorkerSettings, arena: Arena | None = None) -> None:
        super().__init__("vifistore.frames.processes.worker", settings.to_json(), arena=arena)

    def decode(
        self, job: DecodeJob, timeout_seconds: float, *, takes_digest: bool = True
    ) -> Iterator[Decoded]:
        """Yield each stretch, or why it has no frames, and before it its pieces, if the job is in
        such; raises WorkerGoneError if the job was never given out.

        With the reasons "timeout" and "worker crashed", which all stretches that are left have, the
        worker has ended, too. Whoever takes no more of them ends it.
        """
        self.give(job.wire(takes_digest=takes_digest))
        limits, told = deque(job.limits(timeout_seconds)), None
        while limits:
            found, told = self._decoded(job.footage, limits[0], told), GO_ON
            if isinstance(found, DecodeError) and found.reason in GONE:
                yield from [found] * len(limits)
                return
            if not isinstance(found, FramePiece):
                limits.popleft()
            is_taken = False
            try:
                yield found
                is_taken = True
            finally:
                if not is_taken and limits:
                    self.process.kill()
                    self.stop()
            # No name for it: it would hold its memory while the next one is waited for.
            del found

    def _decoded(
        self, footage: Footage, timeout_seconds: float, told: dict[str, Any] | None
    ) -> Decoded:
        found = self.frames(footage, timeout_seconds, told)
        if isinstance(found, DecodeError):
            return found
        answer, frames = found
        if PIECE in answer:
            return FramePiece(frames=frames, **answer[PIECE])
        return DecodedVideo.of_facts(frames, answer["facts"])
