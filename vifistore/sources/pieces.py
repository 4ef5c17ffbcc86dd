"""File objects over something else: a part of another one, or what is fetched."""

from io import SEEK_CUR, SEEK_END, SEEK_SET, BufferedIOBase
from typing import Any


class FileObject(BufferedIOBase):
    """Something that is read from any position on."""

    def __init__(self, size: int) -> None:
        self._size, self._position = size, 0

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def tell(self) -> int:
        """Position in bytes."""
        return self._position

    def seek(self, offset: int, whence: int = SEEK_SET) -> int:
        """Go to a position in bytes; nothing is read."""
        base = {SEEK_SET: 0, SEEK_CUR: self._position, SEEK_END: self._size}[whence]
        self._position = max(0, base + offset)
        return self._position

    def _left(self, size: int | None) -> int:
        """How many bytes of those that are asked for there are."""
        left = max(0, self._size - self._position)
        return left if size is None or size < 0 else min(left, size)


class Window(FileObject):
    """The bytes [start, start + size) of a file object that seeks."""

    def __init__(self, file: BufferedIOBase, start: int, size: int, most_bytes: int = 0) -> None:
        """`most_bytes` are read at once, where more was not meant; 0 for any."""
        super().__init__(size)
        self._file, self._start, self._most_bytes = file, start, most_bytes

    def read(self, size: Any = -1, /) -> bytes:
        """So many bytes, fewer only at the end. Raises ValueError for more than may be."""
        left = self._left(size)
        if self._most_bytes and left > self._most_bytes:
            raise ValueError(f"it asks for {left:,} bytes at once")
        self._file.seek(self._start + self._position)
        data = self._file.read(left)
        self._position += len(data)
        return data
