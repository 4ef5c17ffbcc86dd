"""One writer per thing: byte-range locks on a file beside it.

Byte b of a feature set's lock file stands for block b. Such a lock ends with its process, however
that ends, so nothing is left to clean up after a kill. The file's content says who holds a block;
locks are about ranges, whatever the content, so both fit one file.
"""

import contextlib
import errno
import fcntl
import os
import socket
import time
import weakref
from collections.abc import Iterable, Iterator
from pathlib import Path

from vifistore.errors import LockedError, StoreError
from vifistore.store.key_value.disk import clear_disk_errors

# What holds a block, padded: host and process id.
_RECORD_BYTES = 128
# How often, and how many seconds apart, it is asked who holds a block: the lock is there a moment
# before the record.
_RECORD_TRIES, _RECORD_PAUSE = 25, 0.02

# Byte behind that of any block: planning and sealing, which take turns and are over at once.
_TURN_BYTE = 1 << 40

_HELD_ELSEWHERE = (errno.EACCES, errno.EAGAIN)


class ByteLocks:
    """Locks on the bytes of a file, held by this process until `release`.

    They are POSIX locks: two objects of one process do not exclude each other.
    """

    def __init__(self, path: Path, what: str, remedy: str, place: str) -> None:
        """`what` is written; `remedy` is what a process is told that may not have it, `place` what
        has to lie where there are locks."""
        self._path, self._what, self._remedy, self._place = path, what, remedy, place
        self._held: set[int] = set()
        with clear_disk_errors(path.parent):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o666)
        self._close = weakref.finalize(self, os.close, self._descriptor)

    def acquire(self, blocks: Iterable[int]) -> list[int]:
        """Lock blocks, a byte each; return those that were not held before.

        Raises LockedError if another process holds one of them, StoreError where the disk is full
        or has no locks; then nothing more is locked.
        """
        wanted = sorted(set(blocks) - self._held)
        taken: list[int] = []
        try:
            for block in wanted:
                self._take(block)
                taken.append(block)
        except BaseException:
            self._unlock(taken)
            raise
        self._held.update(wanted)
        return wanted

    def take_free(self, blocks: Iterable[int]) -> list[int]:
        """Lock those of some blocks that no process holds, this one neither; return them.

        Raises StoreError where the disk is full or has no locks; what was locked stays so.
        """
        taken = []
        for block in sorted(set(blocks) - self._held):
            if self._lock(block):
                self._held.add(block)
                taken.append(block)
        return taken

    def _take(self, block: int) -> None:
        if not self._lock(block):
            raise LockedError(
                f"{self._name(block)} is being written by {self._holder(block)}; {self._remedy}"
            )

    def _name(self, block: int) -> str:
        """What the byte of a block stands for."""
        return self._what

    def _lock(self, block: int) -> bool:
        """Lock a block and say who holds it; return whether that was possible."""
        try:
            fcntl.lockf(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, block)
        except OSError as error:
            if error.errno in _HELD_ELSEWHERE:
                return False
            raise self._unusable(error) from error
        record = f"{socket.gethostname()}\n{os.getpid()}\n".encode()[:_RECORD_BYTES]
        try:
            with clear_disk_errors(self._path.parent):
                place = block * _RECORD_BYTES
                os.pwrite(self._descriptor, record.ljust(_RECORD_BYTES, b"\0"), place)
        except BaseException:
            self._unlock([block])
            raise
        return True

    def _unlock(self, blocks: Iterable[int]) -> None:
        for block in blocks:
            fcntl.lockf(self._descriptor, fcntl.LOCK_UN, 1, block)

    def _holder(self, block: int) -> str:
        """Who holds a block. One that has just locked it is about to write so."""
        for _ in range(_RECORD_TRIES):
            record = os.pread(self._descriptor, _RECORD_BYTES, block * _RECORD_BYTES)
            host, _, pid = record.rstrip(b"\0\n").decode(errors="replace").partition("\n")
            if pid:
                return f"process {pid} on {host}"
            time.sleep(_RECORD_PAUSE)
        return "another process"

    def _unusable(self, error: OSError) -> StoreError:
        return StoreError(
            f"{self._path} cannot be locked ({error.strerror}); put {self._place} on a file system "
            "with locks, so that two runs cannot write the same"
        )

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        """Wait for this process's turn to plan or seal the feature set, and hold it.

        Raises StoreError where there are no locks.
        """
        try:
            fcntl.lockf(self._descriptor, fcntl.LOCK_EX, 1, _TURN_BYTE)
        except OSError as error:
            raise self._unusable(error) from error
        try:
            yield
        finally:
            fcntl.lockf(self._descriptor, fcntl.LOCK_UN, 1, _TURN_BYTE)

    def release(self, blocks: Iterable[int] | None = None) -> None:
        """Unlock these blocks, or every one; they can be locked again afterwards."""
        released = set(self._held) if blocks is None else self._held.intersection(blocks)
        self._unlock(released)
        # In place: one thread may lock while another releases.
        self._held.difference_update(released)


class BlockLocks(ByteLocks):
    """Locks on blocks of one feature set."""

    def __init__(self, cache_folder: Path, dataset: str, feature_id: str) -> None:
        super().__init__(
            cache_folder / "locks" / f"{dataset}.{feature_id}",
            f"feature set {feature_id} of {dataset}",
            "wait for it, or give --blocks that do not overlap with its own",
            "the store",
        )

    def _name(self, block: int) -> str:
        return f"block {block} of {self._what}"
