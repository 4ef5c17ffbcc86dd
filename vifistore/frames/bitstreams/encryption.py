"""Whether the video of an MP4 or QuickTime file is encrypted, read from its boxes.

FFmpeg replaces the sample entry of an encrypted track by the original one, so every decoder sees
ordinary video and gives noise or an error. ISO/IEC 14496-12 (boxes) and 23001-7 (encryption).
"""

import struct
from collections.abc import Iterator
from io import BufferedIOBase
from itertools import islice

from vifistore.sources.footage import Readable, opened

_PARENTS = {b"moov", b"trak", b"mdia", b"minf", b"stbl"}
_TOP_LEVEL = {b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"styp", b"moof", b"pnot"}
_MAX_BOXES = 10_000


def is_encrypted(video: Readable) -> bool:
    """True if the first video track has an encrypted sample entry; False for other containers."""
    with opened(video) as file:
        if file.read(8)[4:] not in _TOP_LEVEL:
            return False
        handler = b""
        for kind, payload in islice(_walk(file, 0, file.seek(0, 2)), _MAX_BOXES):
            if kind == b"trak":
                handler = b""
            elif kind == b"hdlr" and not handler:
                # The first one tells the kind of track; QuickTime adds another inside minf.
                handler = payload[8:12]
            elif kind == b"stsd" and handler == b"vide":
                return payload[12:16] == b"encv"
        return False


def _walk(file: BufferedIOBase, start: int, end: int) -> Iterator[tuple[bytes, bytes]]:
    """Type and first 16 payload bytes of every box on the way down to the sample tables."""
    while start + 8 <= end:
        file.seek(start)
        head = file.read(16)
        size, kind = struct.unpack(">I4s", head[:8])
        offset = 8
        if size == 1 and len(head) == 16:
            size, offset = struct.unpack(">Q", head[8:])[0], 16
        elif size == 0:
            size = end - start
        if size < offset:
            return
        file.seek(start + offset)
        yield kind, file.read(min(16, size - offset))
        if kind in _PARENTS:
            yield from _walk(file, start + offset, min(start + size, end))
        start += size
