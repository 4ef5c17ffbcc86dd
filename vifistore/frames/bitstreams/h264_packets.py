"""The units that packets of H.264 hold, and where decoding may begin.

In MP4 and Matroska units lie after their lengths (ISO/IEC 14496-15, 5.3), else after start codes
(ITU-T H.264, annex B), as AVI has them. Types of units: ITU-T H.264, 7.4.1.
"""

from collections.abc import Iterator

SLICE, IDR_SLICE, SEQUENCE = 1, 5, 7
"""Types of units: slices of pictures, of those that refer to none before, and what holds for all
pictures of a sequence."""
START = b"\x00\x00\x01"
"""What is before each unit where none has a length."""


def length_bytes(extradata: bytes | None) -> int:
    """Bytes of the length before each unit; 0 where units are not written so."""
    if not extradata or len(extradata) < 5 or extradata[0] != 1:
        return 0
    return (extradata[4] & 3) + 1


def unit_places(packet: bytes, length: int) -> Iterator[int]:
    """Where each unit of a packet begins. `length` is what `length_bytes` gives."""
    place = 0
    while length and place + length < len(packet):
        yield place + length
        place += length + int.from_bytes(packet[place : place + length], "big")
    found = -1 if length else packet.find(START)
    while 0 <= found < len(packet) - len(START):
        yield found + len(START)
        found = packet.find(START, found + len(START))


def is_idr(packet: bytes, length: int) -> bool:
    """Whether a packet's picture is one that refers to none before, nor any after it does."""
    for place in unit_places(packet, length):
        kind = packet[place] & 31
        if kind in (SLICE, IDR_SLICE):
            return kind == IDR_SLICE
    return False
