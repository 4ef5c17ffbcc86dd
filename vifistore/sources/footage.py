"""The bytes of one video, wherever they lie: the one type that whoever reads a video is given."""

import contextlib
import os
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from io import BufferedIOBase
from pathlib import Path

from vifistore.errors import DecodeError
from vifistore.files import open_regular, require_regular
from vifistore.sources.asking import NetworkError
from vifistore.sources.extensions import frames_in

NETWORK = "network"
"""The reason that a video is quarantined for which a server did not give, after all tries."""

Readable = Path | BufferedIOBase
"""What decoders read: a file on this machine, or a file object that seeks."""


@dataclass(frozen=True, kw_only=True)
class Stamp:
    """What tells, without reading it, whether a file may have changed."""

    size_bytes: int
    """Of the file, or of all images of a folder; 0 where it is not told."""
    mtime_ns: int
    """Last change in nanoseconds since 1970; 0 where it is not told."""


class Footage(ABC):
    """The bytes of a video. Reading what is not there raises FileNotFoundError."""

    @property
    @abstractmethod
    def address(self) -> str:
        """Where it lies, as messages tell it."""

    @abstractmethod
    def wire(self) -> list[str | int]:
        """What opens it in another process, as plain JSON values."""

    @abstractmethod
    def stamp(self) -> Stamp:
        """Size and date as they are now. Raises OSError."""

    @abstractmethod
    def at_hand(self, most_bytes: int) -> AbstractContextManager[Readable]:
        """Its bytes for a decoder: whole up to `most_bytes`, else read as they are asked for.

        Raises OSError.
        """

    def __str__(self) -> str:
        return self.address

    @property
    def name(self) -> str:
        """The last part of its address."""
        return self.address.rpartition("/")[2]

    @property
    def folder(self) -> Path | None:
        """The folder of frames that it is; None where it is a file."""
        return None

    @property
    def told_bytes(self) -> int:
        """Its size as far as that is known without asking anybody else; 0 where it is not."""
        return 0

    def exists(self) -> bool:
        """Whether it is there. Raises OSError where that cannot be said."""
        try:
            self.stamp()
        except FileNotFoundError:
            return False
        return True


@dataclass(frozen=True)
class LocalFile(Footage):
    """A file on this machine, or a folder of frames."""

    path: Path

    @property
    def address(self) -> str:
        """See Footage."""
        return str(self.path)

    def wire(self) -> list[str | int]:
        """See Footage."""
        return ["file", str(self.path)]

    def stamp(self) -> Stamp:
        """See Footage."""
        if not self.path.is_dir():
            status = os.stat(self.path)
            return Stamp(size_bytes=status.st_size, mtime_ns=status.st_mtime_ns)
        frames = frames_in(self.path).values()
        return Stamp(
            size_bytes=sum(status.st_size for status in frames),
            mtime_ns=max((status.st_mtime_ns for status in frames), default=0),
        )

    @contextlib.contextmanager
    def at_hand(self, most_bytes: int) -> Iterator[Readable]:
        """See Footage. A file is read where it lies, whatever its size."""
        # Reading a pipe or a device could wait for ever.
        require_regular(self.path)
        yield self.path

    @property
    def folder(self) -> Path | None:
        """See Footage."""
        return self.path if self.path.is_dir() else None

    @property
    def told_bytes(self) -> int:
        """See Footage."""
        try:
            return os.stat(self.path).st_size
        except OSError:
            return 0

    def exists(self) -> bool:
        """See Footage."""
        return os.path.exists(self.path)


@contextlib.contextmanager
def read_or_told(footage: Footage) -> Iterator[None]:
    """Raise DecodeError where what lies within cannot read a video."""
    try:
        yield
    except NetworkError as error:
        raise DecodeError(NETWORK, f"{footage}: {error}") from error
    except OSError as error:
        raise DecodeError("missing", f"{footage}: cannot be read: {error.strerror}") from None


def opened(readable: Readable) -> AbstractContextManager[BufferedIOBase]:
    """A file object at the start of what a decoder reads; closed at the end if it was opened here.

    Raises OSError for what is no regular file.
    """
    if isinstance(readable, Path):
        return open_regular(readable)
    readable.seek(0)
    return contextlib.nullcontext(readable)
