"""The order in which pictures of H.264 are shown, where the container does not tell it.

AVI gives packets no times of showing (so NTU RGB+D), but each picture has its own count of the
order (ITU-T H.264, 8.2.1.1). Heads: 7.3.2.1.1 (sequence), E.1.1 (what decoders may count on) and
7.3.3 (slice).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from vifistore.frames.bitstreams.h264_packets import IDR_SLICE, SEQUENCE, SLICE, START, unit_places
from vifistore.frames.bitstreams.head_bits import HeadBits, UnknownOrderError

# Profiles whose heads tell their colours, and those of them that are not read here.
_WITH_COLOURS = {100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135}
_SEPARATE_COLOURS, _OWN_ASPECT = 3, 255
# How the order of showing is counted.
_BY_LOWER_PART, _IN_ORDER = 0, 2
# As many bytes as a head takes at most, with room: of a slice up to the count, of a sequence all.
_SLICE_BYTES, _SEQUENCE_BYTES = 40, 400


@dataclass(frozen=True, kw_only=True)
class _Sequence:
    """What the head of a sequence tells of its pictures."""

    number_bits: int
    """Of the number that pictures count by which others refer to them."""
    order_bits: int
    """Of the count of their order of showing, its lower part; 0 where all are in order."""


@dataclass(frozen=True, kw_only=True)
class _Picture:
    """What the head of a picture's first slice tells."""

    is_start: bool
    is_referred_to: bool
    number: int
    order: int


def numbers_and_starts(packets: Sequence[bytes], extradata: bytes) -> tuple[np.ndarray, np.ndarray]:
    """int64 [packet], the frame that the picture of each gives, and bool [packet], whether decoding
    may begin with it. Units are after start codes.

    Raises UnknownOrderError for what does not tell it, or of which FFmpeg may drop frames: pictures
    of two fields, gaps in the numbers of pictures (also where these begin anew without a start),
    and streams that do not say how far pictures are out of order.
    """
    known = {*_sequence_heads(extradata + packets[0])}
    later = {head for packet in packets for head in _sequence_heads(packet)}
    if len(known) != 1 or not later <= known:
        raise UnknownOrderError
    sequence = _sequence(known.pop())
    pictures = [_picture(packet, sequence) for packet in packets]
    _check_numbers(pictures, 1 << sequence.number_bits)
    shown = [*range(len(pictures))]
    if sequence.order_bits:
        counts = _counts(pictures, 1 << sequence.order_bits)
        if len(set(counts)) < len(counts):
            raise UnknownOrderError
        shown.sort(key=counts.__getitem__)
    return np.argsort(shown), np.array([picture.is_start for picture in pictures])


def _check_numbers(pictures: Sequence[_Picture], count: int) -> None:
    if not pictures[0].is_start:
        raise UnknownOrderError
    previous = 0
    for picture in pictures:
        expected = (0,) if picture.is_start else (previous, (previous + 1) % count)
        if picture.number not in expected:
            raise UnknownOrderError
        previous = picture.number if picture.is_referred_to else previous


def _counts(pictures: Sequence[_Picture], count: int) -> list[tuple[int, int]]:
    """(start, order after it) of each picture, as in 8.2.1.1."""
    found, starts, high, low = [], 0, 0, 0
    for picture in pictures:
        if picture.is_start:
            starts, high, low = starts + 1, 0, 0
        own = high
        if picture.order < low and low - picture.order >= count // 2:
            own += count
        elif picture.order > low and picture.order - low > count // 2:
            own -= count
        found.append((starts, own + picture.order))
        if picture.is_referred_to:
            high, low = own, picture.order
    return found


def _sequence_heads(part: bytes) -> Iterator[bytes]:
    """What the heads of sequences say, so far as it is read here."""
    for place in unit_places(part, 0):
        if part[place] & 31 == SEQUENCE:
            head, _, _ = part[place : place + _SEQUENCE_BYTES].partition(START)
            # Zeros may follow a unit, which ends with a bit that is set.
            yield _plain(head.rstrip(b"\x00"))


def _plain(unit: bytes) -> bytes:
    """A unit without the bytes that keep start codes out of it (7.4.1)."""
    return unit.replace(b"\x00\x00\x03", b"\x00\x00")


def _picture(packet: bytes, sequence: _Sequence) -> _Picture:
    first = None
    for place in unit_places(packet, 0):
        if packet[place] & 31 not in (SLICE, IDR_SLICE):
            continue
        bits = HeadBits(_plain(packet[place : place + _SLICE_BYTES]))
        kind, is_first = bits.take(8), bits.take_code() == 0
        if is_first == (first is not None):
            # A second picture, or one whose beginning is lost.
            raise UnknownOrderError
        first = first or _first_slice(kind, bits, sequence)
    if first is None:
        raise UnknownOrderError
    return first


def _first_slice(kind: int, bits: HeadBits, sequence: _Sequence) -> _Picture:
    is_start = kind & 31 == IDR_SLICE
    # Its kind, and which heads it goes by.
    bits.skip_codes(2)
    number = bits.take(sequence.number_bits)
    if is_start:
        bits.skip_codes(1)
    order = bits.take(sequence.order_bits)
    is_referred_to = kind >> 5 & 3 > 0
    return _Picture(is_start=is_start, is_referred_to=is_referred_to, number=number, order=order)


def _sequence(head: bytes) -> _Sequence:
    bits = HeadBits(head)
    bits.take(8)
    profile = bits.take(8)
    bits.take(16)
    bits.skip_codes(1)
    if profile in _WITH_COLOURS:
        is_unknown = bits.take_code() == _SEPARATE_COLOURS
        bits.skip_codes(2)
        bits.take(1)
        # Scaling lists, rare, are not read.
        if is_unknown or bits.take(1):
            raise UnknownOrderError
    number_bits = bits.take_code() + 4
    how_counted = bits.take_code()
    if how_counted not in (_BY_LOWER_PART, _IN_ORDER):
        raise UnknownOrderError
    order_bits = bits.take_code() + 4 if how_counted == _BY_LOWER_PART else 0
    bits.skip_codes(1)
    has_gaps = bits.take(1)
    bits.skip_codes(2)
    is_whole_frames = bits.take(1)
    if has_gaps or not is_whole_frames or not _tells_order(bits):
        raise UnknownOrderError
    return _Sequence(number_bits=number_bits, order_bits=order_bits)


def _tells_order(bits: HeadBits) -> bool:
    """Whether the head of a sequence says how far pictures are out of order."""
    bits.take(1)
    if bits.take(1):
        bits.skip_codes(4)
    if not bits.take(1):
        return False
    if bits.take(1) and bits.take(8) == _OWN_ASPECT:
        bits.take(32)
    if bits.take(1):
        bits.take(1)
    if bits.take(1):
        bits.take(4)
        if bits.take(1):
            bits.take(24)
    if bits.take(1):
        bits.skip_codes(2)
    if bits.take(1):
        bits.take(32 + 32 + 1)
    # Buffers of a model receiver, rare, are not read.
    if bits.take(1) or bits.take(1):
        raise UnknownOrderError
    bits.take(1)
    return bits.take(1) == 1
