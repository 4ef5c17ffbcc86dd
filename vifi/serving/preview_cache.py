"""Previews of what browsers do not play: pieces of two seconds, made when they are asked for.

A piece is made once, however many ask for it at a time, and kept beside the store's cache until
others need the room: the one that was watched longest ago goes first.
"""

import logging
import os
import re
from concurrent.futures import Future
from pathlib import Path
from threading import Lock

from vifi.serving.footage_names import footage_name
from vifistore.errors import DecodeError, UsageError
from vifistore.files import read_regular
from vifistore.frames.previews.preview_pool import PreviewPool
from vifistore.frames.previews.previews import Kind
from vifistore.sources.footage import Footage
from vifistore.store.key_value.durable import put_file

logger = logging.getLogger("vifi")

PIECE_SECONDS = 2.0
MOST_PIECES = 43_200
"""Of a day: videos that are longer have no preview behind it."""

# A piece of two seconds has a megabyte at most.
_MOST_BYTES = 64 << 20
_PIECE = re.compile(r"[0-9a-f]{16}-\d{1,5}\.(mp4|webm)")


class PreviewCache:
    """Files of pieces in a folder, up to so many bytes in all."""

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        self._lock = Lock()
        # Until the folder is looked at, it may be full.
        self._bytes = max_bytes

    def get(self, name: str) -> bytes | None:
        """A piece that is kept."""
        path = self._folder / name
        try:
            data = read_regular(path, _MOST_BYTES)
            os.utime(path)
        except OSError:
            return None
        return data

    def put(self, name: str, data: bytes) -> None:
        """Keep a piece, where it fits and anything can be written."""
        if len(data) > self._max_bytes:
            return
        try:
            with self._lock:
                self._bytes += len(data)
                if self._bytes > self._max_bytes:
                    self._bytes = len(data) + self._make_room(len(data))
                put_file(self._folder / name, data)
        except OSError as error:
            logger.debug("the preview is not kept: %s", error)

    def _make_room(self, wanted: int) -> int:
        """Delete the pieces that were watched longest ago until `wanted` bytes fit; the bytes that
        are left. What has another name is none of ours."""
        if not self._folder.is_dir():
            return 0
        with os.scandir(self._folder) as entries:
            found = [
                (status.st_mtime_ns, status.st_size, entry.path)
                for entry in entries
                if _PIECE.fullmatch(entry.name)
                and (status := entry.stat(follow_symlinks=False)) is not None
            ]
        left = sum(size for _, size, _ in found)
        for _, size, path in sorted(found):
            if left + wanted <= self._max_bytes:
                break
            Path(path).unlink(missing_ok=True)
            left -= size
        return left


class Previews:
    """Pieces of videos, from the cache or made now."""

    def __init__(self, cache: PreviewCache, pool: PreviewPool) -> None:
        self._cache, self._pool = cache, pool
        self._lock = Lock()
        self._made: dict[str, Future[bytes]] = {}

    def piece(self, footage: Footage, number: int, kind: Kind) -> bytes:
        """The piece that begins at `number` times two seconds; empty behind the end of the video.

        Raises UsageError for a video that cannot be read.
        """
        stamp = footage_name(footage)
        name = f"{stamp}-{number}.{kind}"
        if (kept := self._cache.get(name)) is not None:
            return kept
        with self._lock:
            future = self._made.get(name)
            is_first = future is None
            if future is None:
                begin = number * PIECE_SECONDS
                future = self._pool.submit(footage, stamp, begin, begin + PIECE_SECONDS, kind)
                self._made[name] = future
        try:
            data = future.result()
            if is_first:
                self._cache.put(name, data)
        except DecodeError as error:
            raise UsageError(f"{footage.name} has no preview: {error}") from error
        finally:
            if is_first:
                with self._lock:
                    self._made.pop(name, None)
        return data
