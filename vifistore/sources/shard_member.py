"""A video in a shard, read where it lies there."""

import contextlib
import errno
import os
import time
from collections.abc import Iterator
from functools import lru_cache

from vifistore.errors import UsageError
from vifistore.files import memory_file, write_all
from vifistore.sources.asking import NetworkError
from vifistore.sources.footage import Footage, LocalFile, Readable, Stamp, opened
from vifistore.sources.pieces import Window
from vifistore.sources.remote_file import RangeFile, RemoteFile, in_memory
from vifistore.sources.shard_index import Member, index_of

_PIECE_BYTES = 2**20
# For so long a shard on a server counts as it was: its members are looked at one after the other.
_STAMP_SECONDS = 30


class ShardMember(Footage):
    """A file of a shard."""

    def __init__(
        self,
        shard: LocalFile | RemoteFile,
        name: str,
        told_bytes: int = 0,
        place: Member | None = None,
    ) -> None:
        """`place` is where it lies, if that is known; else the index of the shard tells."""
        self.shard, self._name = shard, name
        """The tar file."""
        self._told_bytes, self._known = told_bytes, place

    @property
    def address(self) -> str:
        """See Footage."""
        return f"{self.shard}/{self._name}"

    @property
    def told_bytes(self) -> int:
        """See Footage."""
        return self._told_bytes

    def wire(self) -> list[str | int]:
        """See Footage. What cannot be found is looked for again, and told, by who reads it."""
        try:
            place = self._place()
        except OSError:
            place = Member(-1, -1)
        return ["member", self._name, self._told_bytes, *place, *self.shard.wire()]

    def stamp(self) -> Stamp:
        """See Footage. The date is that of the shard."""
        place = self._place()
        return Stamp(size_bytes=place.size_bytes, mtime_ns=_stamp(self.shard).mtime_ns)

    @contextlib.contextmanager
    def at_hand(self, most_bytes: int) -> Iterator[Readable]:
        """See Footage."""
        place = self._known or self._place()
        if isinstance(self.shard, LocalFile):
            with opened(self.shard.path) as file:
                window = Window(file, *place)
                if not 0 < place.size_bytes <= most_bytes:
                    yield window
                    return
                with in_memory(_copied(window)) as path:
                    yield path
        elif 0 < place.size_bytes <= most_bytes:
            end = place.offset + place.size_bytes
            file = self.shard.fetched(most_bytes, place.offset, end)
            assert file is not None, "it is no larger than it may be"
            with in_memory(file) as path:
                if path.stat().st_size < place.size_bytes:
                    raise self._gone()
                yield path
        else:
            ranges = RangeFile(self.shard, place.offset)
            if not ranges.gives_ranges:
                raise NetworkError("its server gives no ranges of the shard; copy it")
            with ranges.told():
                yield Window(ranges, *place)

    def _place(self) -> Member:
        """Where it lies by now. Raises OSError."""
        try:
            found = index_of(self.shard, _stamp(self.shard)).get(self._name)
        except UsageError as error:
            raise FileNotFoundError(errno.ENOENT, str(error)) from error
        if found is None:
            raise self._gone()
        return found

    def _gone(self) -> FileNotFoundError:
        return FileNotFoundError(errno.ENOENT, "the shard does not hold it, or is cut short")


def _stamp(shard: LocalFile | RemoteFile) -> Stamp:
    if isinstance(shard, LocalFile):
        return shard.stamp()
    return _recent_stamp(shard, int(time.monotonic() / _STAMP_SECONDS))


@lru_cache(256)
def _recent_stamp(shard: RemoteFile, moment: int) -> Stamp:
    return shard.stamp()


def _copied(window: Window) -> int:
    """A memory file with the bytes of a part of a file, to be closed."""
    file = memory_file()
    try:
        while piece := window.read(_PIECE_BYTES):
            write_all(file, piece)
    except BaseException:
        os.close(file)
        raise
    return file
