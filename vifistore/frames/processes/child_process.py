"""A process that the pool started, with the file that it prints to; several may talk to it."""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path

_EXIT_SECONDS = 1.0
# On a busy machine giving memory back takes its time.
_KILLED_SECONDS = 10.0
_LOG_TAIL_BYTES = 4096
# The pool has one worker per core, so none needs threads of its own.
_ENVIRONMENT = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}

# Fields of /proc/PID/stat after the name, which may itself hold blanks: proc(5). Elsewhere than on
# Linux nothing is told, and time limits go by the clock alone.
_STATE, _USER_TICKS, _SYSTEM_TICKS = 0, 11, 12


class Running:
    """One process. The thread that starts it must live longer: Linux ends it with that."""

    def __init__(self, module: str, arguments: Sequence[object], files: Sequence[int]) -> None:
        """Runs `python -m MODULE ARGUMENTS...`, which has the `files` open."""
        # A file, not a pipe: native code that prints much can neither block nor fill memory.
        self._log = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - closed in `stop`
        self.process = _start(module, arguments, files, self._log.fileno())
        self._words = ""
        self._lock = threading.Lock()

    @property
    def is_alive(self) -> bool:
        """Whether the process runs."""
        return self.process.poll() is None

    def stop(self) -> str:
        """End the process, if it runs, and say how it ended and what it printed last."""
        with self._lock:
            if not self._words:
                self._wait()
                self._words = _last_words(self.process.returncode, self._log.fileno())
                self._log.close()
            return self._words

    def _wait(self) -> None:
        try:
            # A worker that crashed is on its way out and should leave its own status.
            self.process.wait(_EXIT_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            with contextlib.suppress(subprocess.TimeoutExpired):
                # A process stuck inside the kernel cannot be waited for; it is left behind.
                self.process.wait(_KILLED_SECONDS)


def _start(
    module: str, arguments: Sequence[object], files: Sequence[int], log: int
) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-P", "-m", module, *map(str, arguments)],
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
