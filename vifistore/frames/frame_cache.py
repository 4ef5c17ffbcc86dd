"""Decoded frames on disk, so that a video is decoded once for all epochs and all checkpoints.

An entry is one file: a header, then the frames as raw uint8, each with a checksum of its own. Raw
was chosen by measuring (`benchmarks/frame_formats.py` and its rows): real frames of 224 x 224
packed by Zstandard take two thirds of the space, by PNG less than half, but are read less than half
and less than a tenth as fast, and written slower still. JPEG takes a tenth of the space and gives
other pixels, so that embeddings with and without the cache would differ.

An extraction keeps the levels that normalising takes: resized and cropped, 8 bits deep, under a key
that names the resizing. That is exact, smaller than frames as they come out of the decoder, and
leaves nothing to do but to normalise: see `cached_pool`. Towers of one input size
share it; another size is another entry.

The folder is safe to delete at any time, in whole or in part. Processes may share it: an entry
appears by rename, and a damaged one is removed and decoded again. Nothing is synced to the disk,
since the checksums notice what a power failure tears.
"""

import contextlib
import json
import logging
import math
import os
import struct
import zlib
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import Lock

import numpy as np

from vifistore.errors import DamagedError, UsageError
from vifistore.files import open_unbuffered, parse_json_object, write_all
from vifistore.frames.decoders.decoding import DecodedVideo
from vifistore.frames.processes.decode_claims import Claims
from vifistore.store.recipe import digest_of
from vifistore.temporaries import atomic_path, clear_temporaries

_MAGIC = b"vififrm1"
# Magic, length and checksum of the header, which is JSON.
_PREFIX = struct.Struct("<8sII")
_SUFFIX = ".frames"
_CLAIMS = ".claims"
# How decoding went this time, and what it cost, which reading an entry does not tell, and what its
# key does.
_NOT_KEPT = ("was_retried", "decode_seconds", "cut_seconds", "are_squares")
# Other processes fill the folder, too: it is measured again when this one added so much of it.
_MEASURE_SHARE = 0.05
# Made free at once, so that not every new entry measures the folder.
_ROOM_SHARE = 0.1

logger = logging.getLogger("vifi")


@dataclass(frozen=True, kw_only=True)
class FrameKey:
    """All that decides the bytes of an entry."""

    content_digest: str
    """Of the file or folder of frames, as `decoding.content_digest` takes it."""
    decoder: str
    """Decoder asked for."""
    decoder_version: str
    """Its version, as recipes record it."""
    sampling: dict
    """Which frames: rule, frames and clips."""
    geometry: dict
    """What was done to them: sizes, filter, crops."""
    stream: str = "best"
    """Which video stream of a file that has several; entries of before may hold another's."""

    @property
    def digest(self) -> str:
        """Name of the entry."""
        return digest_of(asdict(self))


class FrameCache:
    """Entries in a folder, the least recently used of which go when it grows over its limit."""

    def __init__(self, folder: Path, max_bytes: int) -> None:
        """What stopped processes left half written goes.

        Raises UsageError if `max_bytes` is not positive or `folder` is a file.
        """
        if max_bytes < 1:
            raise UsageError(f"the frame cache's limit is {max_bytes} bytes; give a positive size")
        if folder.exists() and not folder.is_dir():
            raise UsageError(f"{folder} is a file; give a folder for --frame-cache")
        clear_temporaries(folder, "*/*")
        self.folder = folder
        self._max_bytes = max_bytes
        self._lock = Lock()
        self._claims = Claims(folder / _CLAIMS)
        self._room: int | None = None
        self._warned = False

    def get(
        self, key: FrameKey, choose: Callable[[int], Sequence[int]] | None = None
    ) -> DecodedVideo | None:
        """Return the video of a key, or None if it is not here or damaged.

        `choose` is given the number of frames of the entry, and says which of them to read, all by
        default. `index` and `timestamps` of the video are those of the whole entry.
        """
        path = self._path(key)
        try:
            with open_unbuffered(path) as file:
                video = _read_entry(file.fileno(), key, choose)
        except FileNotFoundError:
            return None
        except DamagedError as error:
            logger.warning("%s: %s; the video is decoded again", path, error)
            path.unlink(missing_ok=True)
            return None
        except OSError as error:
            self._warn(error)
            return None
        # Entries of others may be read and not touched, or be gone by now.
        with contextlib.suppress(OSError):
            os.utime(path)
        return video

    def has(self, key: FrameKey) -> bool:
        """Whether there is an entry of a key, damaged or not."""
        return self._path(key).exists()

    def claim(self, content_digest: str) -> AbstractContextManager[None]:
        """Hold a video while it is decoded: who else claims it waits, and finds it here then."""
        return self._claims.hold(content_digest)

    def put(self, key: FrameKey, video: DecodedVideo) -> None:
        """Keep a video; `frames` is uint8 [frame height width 3].

        A disk that is full or cannot be written costs a warning, and no more: a cache is no store.
        """
        header = _header(key, video)
        frames = np.ascontiguousarray(video.frames).data.cast("B")
        num_bytes = _PREFIX.size + len(header) + len(frames)
        if num_bytes > self._max_bytes:
            return
        path = self._path(key)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with atomic_path(path) as partial, partial.open("wb", buffering=0) as file:
                write_all(file.fileno(), header)
                write_all(file.fileno(), frames)
            self._make_room(num_bytes)
        except OSError as error:
            self._warn(error)

    def _path(self, key: FrameKey) -> Path:
        name = key.digest
        return self.folder / name[:2] / f"{name[2:]}{_SUFFIX}"

    def _warn(self, error: OSError) -> None:
        if not self._warned:
            logger.warning("the frame cache cannot be used: %s; videos are decoded", error)
        self._warned = True

    def _make_room(self, num_bytes: int) -> None:
        """Count what was added; remove the entries used longest ago when there is no room left."""
        with self._lock:
            if self._room is not None and num_bytes <= self._room:
                self._room -= num_bytes
                return
            entries = _entries(self.folder)
            total = sum(size for _, size, _ in entries)
            if total > self._max_bytes:
                wanted = self._max_bytes * (1 - _ROOM_SHARE)
                for _, size, path in sorted(entries):
                    if total <= wanted:
                        break
                    path.unlink(missing_ok=True)
                    total -= size
            share = int(self._max_bytes * _MEASURE_SHARE)
            self._room = min(share, max(0, self._max_bytes - total))


def _entries(folder: Path) -> list[tuple[float, int, Path]]:
    """(seconds of the last use, bytes, path) of every entry."""
    found = []
    for path in folder.glob(f"*/*{_SUFFIX}"):
        with contextlib.suppress(FileNotFoundError):
            status = path.stat()
            found.append((status.st_mtime, status.st_size, path))
    return found


def _header(key: FrameKey, video: DecodedVideo) -> bytes:
    facts = {name: value for name, value in video.facts().items() if name not in _NOT_KEPT}
    facts["frames"] = list(video.frames.shape)
    facts["checksums"] = [zlib.crc32(np.ascontiguousarray(frame).data) for frame in video.frames]
    text = json.dumps({"key": asdict(key), "video": facts}).encode("ascii")
    return _PREFIX.pack(_MAGIC, len(text), zlib.crc32(text)) + text


def _read_entry(
    descriptor: int, key: FrameKey, choose: Callable[[int], Sequence[int]] | None
) -> DecodedVideo:
    """Raises DamagedError if what is read is not what was written."""
    prefix = os.pread(descriptor, _PREFIX.size, 0)
    if len(prefix) < _PREFIX.size:
        raise DamagedError("it is cut off")
    magic, length, checksum = _PREFIX.unpack(prefix)
    # Memory for as much as is asked for is taken before it is read.
    is_possible = magic == _MAGIC and length <= os.fstat(descriptor).st_size
    text = os.pread(descriptor, length, _PREFIX.size) if is_possible else b""
    if not is_possible or zlib.crc32(text) != checksum:
        raise DamagedError("its header is damaged")
    try:
        return _read_video(descriptor, _PREFIX.size + length, parse_json_object(text), key, choose)
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        raise DamagedError(f"another version of this program wrote it ({error})") from error


def _read_video(
    descriptor: int,
    start: int,
    header: dict,
    key: FrameKey,
    choose: Callable[[int], Sequence[int]] | None,
) -> DecodedVideo:
    """The video whose frames begin at byte `start`."""
    if header["key"] != json.loads(json.dumps(asdict(key))):
        raise DamagedError("it is of another video")
    facts = header["video"]
    checksums = facts.pop("checksums")
    count, *shape = facts["frames"]
    # Memory is taken by these, and numbers are easily written.
    if start + count * math.prod(shape) != os.fstat(descriptor).st_size or min(shape) < 1:
        raise DamagedError("it does not have the length that it says")
    rows = np.arange(count) if choose is None else np.asarray(choose(count))
    frames = np.empty((len(rows), *shape), np.uint8)
    _read_frames(descriptor, start, frames, rows, checksums)
    return DecodedVideo.of_facts(frames, facts)


def _read_frames(
    descriptor: int, start: int, frames: np.ndarray, rows: np.ndarray, checksums: list[int]
) -> None:
    """Fill `frames` with those of `rows`."""
    for frame, row in zip(frames, rows.tolist(), strict=True):
        data = memoryview(frame).cast("B")
        num_read = os.preadv(descriptor, [data], start + row * len(data))
        if num_read < len(data) or zlib.crc32(data) != checksums[row]:
            raise DamagedError(f"frame {row} is damaged")
