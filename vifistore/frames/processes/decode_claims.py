"""Who decodes a video: of several threads and processes that want its frames, one.

Bytes of one file are locked, which leaves nothing behind: see `locks`. Kernels take
two processes that wait for each other for a deadlock though they are threads, so none waits there.
"""

import contextlib
import errno
import fcntl
import os
import time
import weakref
from collections.abc import Iterator
from pathlib import Path
from threading import Lock

_NUM_THREAD_LOCKS = 256
_POLL_SECONDS = 0.02
# Whoever has it may have been stopped: then decoding it twice is the lesser evil.
_PATIENCE_SECONDS = 300.0


class Claims:
    """Claims of this process on videos, by their content digests."""

    def __init__(self, path: Path) -> None:
        """`path` is the file whose bytes are locked; its folder may not be there yet."""
        self._path = path
        self._locks = [Lock() for _ in range(_NUM_THREAD_LOCKS)]
        self._opening = Lock()
        self._descriptor: int | None = None

    @contextlib.contextmanager
    def hold(self, content_digest: str) -> Iterator[None]:
        """Wait until nobody else holds the video, and hold it.

        Where the folder cannot be written or has no locks, threads of this process alone wait.
        """
        byte = int(content_digest[:8], 16)
        with self._locks[byte % _NUM_THREAD_LOCKS]:
            held = self._lock(byte)
            try:
                yield
            finally:
                if held is not None:
                    fcntl.lockf(held, fcntl.LOCK_UN, 1, byte)

    def _lock(self, byte: int) -> int | None:
        """The open file in which a byte is locked, None if it could not be."""
        end = time.monotonic() + _PATIENCE_SECONDS
        while time.monotonic() < end:
            try:
                descriptor = self._open()
                fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, byte)
                return descriptor
            except OSError as error:
                if error.errno not in (errno.EACCES, errno.EAGAIN) or self._descriptor is None:
                    return None
            time.sleep(_POLL_SECONDS)
        return None

    def _open(self) -> int:
        with self._opening:
            if self._descriptor is None:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
                weakref.finalize(self, os.close, self._descriptor)
            return self._descriptor
