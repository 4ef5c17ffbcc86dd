"""A file of a server: fetched whole into memory, or read by ranges where it is large."""

import contextlib
import os
from abc import abstractmethod
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from io import SEEK_CUR, SEEK_SET
from pathlib import Path
from typing import Any

from vifistore.files import memory_file, write_all
from vifistore.sources.asking import FalteringError, NetworkError, tried
from vifistore.sources.footage import Footage, Readable, Stamp
from vifistore.sources.pieces import FileObject

# Of a file that is not fetched whole: what is read at first, and where reading goes on in order.
_SMALL_RANGE, _LARGE_RANGE = 2**18, 2**23
_KEPT_RANGES = 4
# What is fetched whole of a server that gives no ranges, even where less was allowed.
_MOST_WITHOUT_RANGES = 2**29


@dataclass(frozen=True, kw_only=True)
class ServerAnswer:
    """What a server gives of a file."""

    start: int
    """The first byte that it gives, 0 where it gives no ranges."""
    size_bytes: int
    """Of the whole file; -1 where it is not told."""
    mtime_ns: int
    """Last change in nanoseconds since 1970; 0 where it is not told."""
    version: str
    """Changes with the content; empty where it is not told."""
    pieces: Iterator[bytes]
    """The bytes; raises FalteringError where they end before they should."""
    gives_ranges: bool = True
    """Whether it gave what was asked for, and not the whole file."""


class RemoteFile(Footage):
    """A file of a server, known by its URL."""

    def __init__(self, url: str, told_bytes: int = 0) -> None:
        self._url, self._told_bytes = url, told_bytes

    @abstractmethod
    def ask(self, start: int, stop: int | None) -> contextlib.AbstractContextManager[ServerAnswer]:
        """One request for the bytes [start, stop), of an empty file for none.

        Raises FalteringError, FileNotFoundError where there is none, else NetworkError.
        """

    @property
    def address(self) -> str:
        """See Footage."""
        return self._url

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and other.address == self.address

    def __hash__(self) -> int:
        return hash(self._url)

    def wire(self) -> list[str | int]:
        """See Footage."""
        return ["url", self._url, self._told_bytes]

    @property
    def told_bytes(self) -> int:
        """See Footage."""
        return self._told_bytes

    def stamp(self) -> Stamp:
        """See Footage. Raises NetworkError."""

        def look() -> Stamp:
            with self.ask(0, 1) as answer:
                return Stamp(size_bytes=max(0, answer.size_bytes), mtime_ns=answer.mtime_ns)

        return tried(look)

    @contextlib.contextmanager
    def at_hand(self, most_bytes: int) -> Iterator[Readable]:
        """See Footage. Raises NetworkError."""
        file = self.fetched(most_bytes) if most_bytes else None
        ranges = None if file is not None else RangeFile(self)
        if ranges is not None and not ranges.gives_ranges:
            file = self.fetched(max(most_bytes, _MOST_WITHOUT_RANGES))
            if file is None:
                raise NetworkError("it is large, and its server gives no ranges of it; copy it")
        if file is not None:
            with in_memory(file) as path:
                yield path
        elif ranges is not None:
            with ranges.told():
                yield ranges

    def fetched(self, most_bytes: int, start: int = 0, stop: int | None = None) -> int | None:
        """A memory file with the bytes [start, stop), to be closed; None if they are more than may
        be. Raises NetworkError."""
        file = memory_file()
        version: str | None = None

        def go_on() -> bool:
            nonlocal version
            done = os.lseek(file, 0, SEEK_CUR)
            with self.ask(start + done, stop) as answer:
                end = answer.size_bytes if stop is None else min(stop, answer.size_bytes)
                if answer.size_bytes >= 0 and end - start > most_bytes:
                    return False
                if version not in (None, answer.version) or answer.start != start + done:
                    done = _begin_again(file, start, answer)
                version = answer.version
                return _fill(file, answer, done, most_bytes, end - start)

        try:
            if tried(go_on):
                return file
        except BaseException:
            os.close(file)
            raise
        os.close(file)
        return None

    def piece(self, start: int, stop: int) -> tuple[ServerAnswer, bytes]:
        """The bytes [start, stop), fewer at the end of the file. Raises NetworkError."""

        def read() -> tuple[ServerAnswer, bytes]:
            with self.ask(start, stop) as answer:
                data = bytearray()
                if answer.start != start:
                    return answer, b""
                for part in answer.pieces:
                    data += part
                    if len(data) >= stop - start:
                        break
                end = stop if answer.size_bytes < 0 else min(stop, answer.size_bytes)
                if answer.size_bytes >= 0 and len(data) < end - start:
                    raise FalteringError("the connection was cut")
                return answer, bytes(data[: stop - start])

        return tried(read)


def _begin_again(file: int, start: int, answer: ServerAnswer) -> int:
    """Empty the memory file of what changed meanwhile, or comes from its start again."""
    os.ftruncate(file, 0)
    os.lseek(file, 0, SEEK_SET)
    if answer.start != start:
        raise FalteringError("it changed while it was read, or its server gives no ranges of it")
    return 0


def _fill(file: int, answer: ServerAnswer, done: int, most_bytes: int, wanted: int) -> bool:
    """Write what an answer gives; whether it was not too much."""
    begun = done
    try:
        for part in answer.pieces:
            write_all(file, part)
            done += len(part)
            if done > most_bytes:
                return False
    except FalteringError as error:
        raise FalteringError(error, num_bytes=done - begun) from error
    if answer.size_bytes >= 0 and done < wanted:
        raise FalteringError("the connection was cut", num_bytes=done - begun)
    return True


@contextlib.contextmanager
def in_memory(file: int) -> Iterator[Path]:
    """A memory file as a path that this process may open, until the end, when it is closed."""
    try:
        yield Path(f"/proc/self/fd/{file}")
    finally:
        os.close(file)


class RangeFile(FileObject):
    """A file object that fetches what is read, by ranges, and keeps the last ones."""

    def __init__(self, file: RemoteFile, first: int = 0) -> None:
        """`first` is where reading begins. Raises OSError as `RemoteFile.piece` does."""
        answer, data = file.piece(first, first + _SMALL_RANGE)
        self.gives_ranges = answer.gives_ranges and answer.size_bytes >= 0
        """Else it cannot be read so."""
        self.stamp = Stamp(size_bytes=max(0, answer.size_bytes), mtime_ns=answer.mtime_ns)
        super().__init__(answer.size_bytes)
        self._file, self._version = file, answer.version
        self._ranges: OrderedDict[int, bytes] = OrderedDict({first: data})
        self._next_range = _SMALL_RANGE
        self._failure: OSError | None = None

    @contextlib.contextmanager
    def told(self) -> Iterator[None]:
        """Raise at the end what reading failed with: decoders take it for the end of the file."""
        try:
            yield
        finally:
            if self._failure is not None:
                raise self._failure

    def read(self, size: Any = -1, /) -> bytes:
        """So many bytes, fewer only at the end. Raises OSError once, then gives none: PyAV asks on
        after a failure, and prints every further one."""
        if self._failure:
            return b""
        left = self._left(size)
        parts = []
        while left and (part := self._some(left)):
            parts.append(part)
            self._position += len(part)
            left -= len(part)
        return b"".join(parts)

    def _some(self, most: int) -> bytes:
        """Bytes from the position on, one at least unless it is the end."""
        for start, data in self._ranges.items():
            if start <= self._position < start + len(data):
                self._ranges.move_to_end(start)
                offset = self._position - start
                return data[offset : offset + most]
        self._fetch(self._position)
        return self._ranges[self._position][:most]

    def _fetch(self, start: int) -> None:
        goes_on = any(start == first + len(data) for first, data in self._ranges.items())
        self._next_range = min(2 * self._next_range, _LARGE_RANGE) if goes_on else _SMALL_RANGE
        try:
            answer, data = self._file.piece(start, min(start + self._next_range, self._size))
            if answer.version != self._version or not data:
                raise NetworkError("it changed while it was read")
        except OSError as error:
            self._failure = error
            raise
        self._ranges[start] = data
        if len(self._ranges) > _KEPT_RANGES:
            self._ranges.popitem(last=False)
