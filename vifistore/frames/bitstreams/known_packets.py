"""The packets of files that several jobs read, scanned once by each process.

A long film is read in as many jobs as it has blocks of stretches, and in training in one for every
stretch that is drawn; to scan two hours of it takes a good part of what reading a stretch does.
"""

from collections import OrderedDict
from pathlib import Path
from threading import Lock
from typing import NamedTuple

from vifistore.files import require_regular
from vifistore.frames.bitstreams.packets import PacketTable, scan_packets
from vifistore.sources.footage import Readable

# Of frames: two hours at 25 a second are 180,000, and take 30 bytes each. With more of them the
# memory of a worker grows with the length of films, of which it reads one after the other.
_MOST_FRAMES = 2**18
_MOST_FILES = 32


class _Content(NamedTuple):
    """What tells a file from another one that has its path later."""

    path: Path
    device: int
    number: int
    num_bytes: int
    changed_ns: int
    written_ns: int


class KnownPackets:
    """The tables of the files that were asked for last, at least of one."""

    def __init__(self, most_frames: int = _MOST_FRAMES, most_files: int = _MOST_FILES) -> None:
        self._most_frames, self._most_files = most_frames, most_files
        self._tables: OrderedDict[_Content, PacketTable] = OrderedDict()
        self._lock = Lock()

    def of(self, video: Readable) -> PacketTable:
        """As `scan_packets`; what is no file on this machine is scanned anew."""
        if not isinstance(video, Path):
            return scan_packets(video)
        content = _content_of(video)
        with self._lock:
            known = self._tables.get(content)
            if known is not None:
                self._tables.move_to_end(content)
                return known
        table = scan_packets(video)
        # Of a file that was written to meanwhile nothing is known.
        if content == _content_of(video):
            self._keep(content, table)
        return table

    def _keep(self, content: _Content, table: PacketTable) -> None:
        with self._lock:
            self._tables[content] = table
            held = sum(known.num_frames for known in self._tables.values())
            while len(self._tables) > 1 and (
                held > self._most_frames or len(self._tables) > self._most_files
            ):
                held -= self._tables.popitem(last=False)[1].num_frames


def _content_of(path: Path) -> _Content:
    require_regular(path)
    told = path.stat()
    ids = told.st_dev, told.st_ino
    return _Content(path, *ids, told.st_size, told.st_ctime_ns, told.st_mtime_ns)


_KNOWN = KnownPackets()


def known_packets(video: Readable) -> PacketTable:
    """The packets of a video, from memory where this process has scanned its file. Raises
    DecodeError if it is no video."""
    return _KNOWN.of(video)
