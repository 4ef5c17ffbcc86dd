"""Commit blocks in the background, as many at a time as have piled up.

A slow encoder has every block on the disk at once; a fast one waits for the disk once for many.
"""

import threading
from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol

import numpy as np

from vifistore.store.writer import BlockData

# A kill loses no more than the group on its way and those that wait for it.
_GROUP_BLOCKS = 32
_PENDING_BYTES = 256 * 2**20


class BlockWriter(Protocol):
    """What blocks are handed to: a FeatureWriter, or what writes more than it does."""

    def write_blocks(self, group: Sequence[BlockData]) -> None:
        """Write a group of blocks; they last when it returns."""
        ...


class BlockCommitter:
    """Hands blocks to a writer, from a thread.

        with BlockCommitter(writer) as committer:
            committer.add(block, rows, data)

    At the end of the `with`, all blocks are on the disk, also where it ends by an error of its own.
    What goes wrong in the thread is raised by the next `add`, or at the end; the blocks of that
    group and those that waited then are not written, and stay to do.
    """

    def __init__(self, writer: BlockWriter) -> None:
        self._writer = writer
        self._thread = ThreadPoolExecutor(1)
        self._changed = threading.Condition()
        self._waiting: deque[BlockData] = deque()
        self._num_bytes = 0
        self._is_draining = False
        self._drained: Future[None] = Future()
        self._drained.set_result(None)

    def __enter__(self) -> "BlockCommitter":
        return self

    def add(
        self,
        block: int,
        rows: list[int],
        data: Mapping[str, np.ndarray],
        readers: Sequence[str] = (),
    ) -> None:
        """Have rows of a block written, arrays [row ...], as `FeatureWriter.write_block` does, a
        little later.

        `data` must stay as it is. Waits while too much waits already.
        """
        part = BlockData(block=block, rows=rows, data=data, readers=readers)
        with self._changed:
            self._changed.wait_for(
                lambda: self._num_bytes < _PENDING_BYTES or not self._is_draining
            )
            if not self._is_draining:
                self._drained.result()
                self._is_draining = True
                self._drained = self._thread.submit(self._drain)
            self._waiting.append(part)
            self._num_bytes += _num_bytes(part)

    def _drain(self) -> None:
        try:
            while group := self._take():
                self._writer.write_blocks(group)
                with self._changed:
                    self._num_bytes -= sum(map(_num_bytes, group))
                    self._changed.notify_all()
        except BaseException:
            with self._changed:
                self._is_draining = False
                self._changed.notify_all()
            raise

    def _take(self) -> list[BlockData]:
        """The blocks to commit next; none, and the thread is done, if none waits."""
        with self._changed:
            group: dict[int, BlockData] = {}
            while self._waiting and len(group) < _GROUP_BLOCKS:
                # Rows of one block that come apart are written one after the other.
                if self._waiting[0].block in group:
                    break
                part = self._waiting.popleft()
                group[part.block] = part
            self._is_draining = bool(group)
            return list(group.values())

    def __exit__(self, *error: object) -> None:
        self._thread.shutdown()
        if error[0] is None:
            self._drained.result()


def _num_bytes(part: BlockData) -> int:
    return sum(array.nbytes for array in part.data.values())
