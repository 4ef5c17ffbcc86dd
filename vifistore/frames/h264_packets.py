"""Where decoding of H.264 may begin, in MP4 and Matroska.

Their packets are units after their lengths (ISO/IEC 14496-15, 5.3), whose types tell it (ITU-T
H.264, 7.4.1): a key frame of the container may as well be one from which pictures recover in time.
"""

_SLICE, _IDR_SLICE = 1, 5


def length_bytes(extradata: bytes | None) -> int:
    """Bytes of the length before each unit; 0 where units are not written so."""
    if not extradata or len(extradata) < 5 or extradata[0] != 1:
        return 0
    return (extradata[4] & 3) + 1


def is_idr(packet: bytes, length: int) -> bool:
    """Whether a packet's picture is one that refers to none before, nor any after it does.

    `length` is what `length_bytes` gives.
    """
    place = 0
    while length and place + length < len(packet):
        kind = packet[place + length] & 31
        if kind in (_SLICE, _IDR_SLICE):
            return kind == _IDR_SLICE
        place += length + int.from_bytes(packet[place : place + length], "big")
    return False
