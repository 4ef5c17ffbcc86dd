"""The pictures of an AVI of MPEG-4 Part 2 (Xvid, DivX; so UCF101 and HMDB51), in order of decoding.

AVI gives no times of showing, and a packet may hold two pictures or none, so a frame's number is
not that of a packet. But the head of each picture tells its kind, from which the order follows.
Heads: ISO/IEC 14496-2, 6.2.3 (layer) and 6.2.5 (picture).
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

from vifistore.frames.bitstreams.head_bits import HeadBits, UnknownOrderError

_HEAD = b"\x00\x00\x01\xb6"
_PICTURE = re.compile(rb"\x00\x00\x01\xb6(.)", re.DOTALL)
_LAYER = re.compile(rb"\x00\x00\x01[\x20-\x2f]")
# DivX and Xvid say so where a packet may hold a second picture, which is decoded with the packet
# that follows; that one holds a picture "not coded", of at most so many bytes in FFmpeg.
_PACKED = re.compile(rb"DivX\d+(?:b|Build)\d+p")
_NOT_CODED_BYTES = 19
_LAYER_BYTES = 32
_OWN_ASPECT, _GREY_SHAPE, _BUFFER_BITS = 15, 3, 79
INTRA, FORWARD, BOTH_WAYS = 0, 1, 2
"""Kinds of pictures: that refer to none, to the one before, or both ways and are never referred to.
Sprites, kind 3, are as those that refer to the one before."""


class CodedPicture(NamedTuple):
    """A picture that gives a frame."""

    data: bytes
    packet: int
    """Number of the packet with which FFmpeg decodes it, whose time its frame gets."""
    kind: int
    """One of the kinds above."""


def coded_pictures(packets: Sequence[bytes]) -> list[CodedPicture]:
    """The pictures of a stream in order of decoding, each as FFmpeg takes it from the packets.

    Raises UnknownOrderError, also for what an encoder would not write.
    """
    is_packed, clock_bits = bool(_PACKED.search(packets[0])), _clock_bits(packets[0])
    found, held = [], b""
    for number, packet in enumerate(packets):
        parts = _parts(packet)
        if len(parts) > 1 + is_packed or (not parts and len(packet) > _NOT_CODED_BYTES):
            raise UnknownOrderError
        now, held = (parts[0], b"") if not held and len(parts) == 1 else _taken(held, parts)
        if now and _is_coded(now, clock_bits):
            found.append(CodedPicture(now, number, _kind(now)))
    if not found or found[-1].packet != len(packets) - 1:
        # FFmpeg shows the last picture again where nothing follows that is coded.
        raise UnknownOrderError
    return found


def _parts(packet: bytes) -> list[bytes]:
    """The pictures of a packet, the first with the heads before it."""
    first = packet.find(_HEAD)
    if 0 <= first < len(packet) - len(_HEAD) and packet.find(_HEAD, first + 1) < 0:
        return [packet]
    starts = [match.start() for match in _PICTURE.finditer(packet)]
    borders = [0, *starts[1:], len(packet)]
    return [packet[borders[n] : borders[n + 1]] for n in range(len(starts))]


def _taken(held: bytes, parts: list[bytes]) -> tuple[bytes, bytes]:
    """The picture that is decoded now, and the one that is held for the next packet."""
    now, *further = [held, *parts] if held else parts or [b""]
    if not further:
        return now, b""
    if _kind(further[0]) in (INTRA, BOTH_WAYS) and len(further) == 1:
        return now, further[0]
    if not held or len(further) > 1 or len(further[0]) > _NOT_CODED_BYTES:
        raise UnknownOrderError
    # The picture that is not coded, in whose place another is shown.
    return now, b""


def _kind(picture: bytes) -> int:
    return picture[picture.index(_HEAD) + len(_HEAD)] >> 6


def _is_coded(picture: bytes, clock_bits: int) -> bool:
    if len(picture) > _NOT_CODED_BYTES:
        return True
    match = _PICTURE.search(picture)
    assert match is not None, "pictures were found by their heads"
    bits = HeadBits(picture[match.start(1) :])
    bits.take(2)
    while bits.take(1):
        pass
    if not bits.take(1) or bits.take(clock_bits) < 0 or not bits.take(1):
        raise UnknownOrderError
    return bool(bits.take(1))


def _clock_bits(packet: bytes) -> int:
    """Bits of a time within its second, as the head of the layer has it."""
    match = _LAYER.search(packet)
    if match is None:
        raise UnknownOrderError
    bits = HeadBits(packet[match.end() : match.end() + _LAYER_BYTES])
    bits.take(1 + 8)
    version = bits.take(4 + 3) >> 3 if bits.take(1) else 1
    if bits.take(4) == _OWN_ASPECT:
        bits.take(16)
    if bits.take(1):
        bits.take(2 + 1)
        if bits.take(1):
            bits.take(_BUFFER_BITS)
    if bits.take(2) == _GREY_SHAPE and version != 1:
        bits.take(4)
    if not bits.take(1):
        raise UnknownOrderError
    return max(1, (bits.take(16) - 1).bit_length())
