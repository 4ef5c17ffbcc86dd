"""Which coded picture of a video gives which frame, so that no more is decoded than is wanted.

Pictures are in order of decoding, frames in order of showing.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from vifistore.frames.bitstreams.h264_packets import is_idr, length_bytes
from vifistore.frames.bitstreams.h264_pictures import numbers_and_starts
from vifistore.frames.bitstreams.head_bits import UnknownOrderError
from vifistore.frames.bitstreams.mpeg4_pictures import BOTH_WAYS, INTRA, coded_pictures
from vifistore.frames.bitstreams.packets import INDEXED_FORMATS, Scan
from vifistore.frames.raw_frames import clean_seconds

# Codecs of which each packet gives one frame, as tests hold them to.
_BY_TIMES = {"h264", "mpeg4", "vp8", "vp9", "libdav1d", "av1"}


@dataclass(frozen=True, kw_only=True)
class PictureOrder:
    """The pictures of a video, each of which gives one frame."""

    packets: Sequence[Any]
    """[picture], of PyAV, or the bytes of one that shares its packet with another: see `packet`."""
    numbers: np.ndarray
    """int64 [picture], the frame that each gives."""
    starts: np.ndarray
    """bool [picture], whether neither it nor any after it needs one before it; so is the first."""
    seconds: np.ndarray
    """float64 [frame] after the first, from which each is shown."""

    def packet(self, place: int) -> Any:
        """PyAV packet of the picture at a place."""
        kept = self.packets[place]
        return _packet(kept) if isinstance(kept, bytes) else kept

    def giving(self, wanted: np.ndarray) -> np.ndarray:
        """int64 [wanted], the picture that gives each frame."""
        return np.argsort(self.numbers)[wanted]

    def leading_to(self, places: np.ndarray) -> np.ndarray:
        """bool [picture], those that the ones at some places may need: all from the start on."""
        starts = np.flatnonzero(self.starts)
        first = starts[np.searchsorted(starts, places, side="right") - 1]
        # One more where a stretch begins, one less behind its end.
        steps = np.zeros(len(self.numbers) + 1, np.int64)
        np.add.at(steps, first, 1)
        np.add.at(steps, places + 1, -1)
        return np.cumsum(steps)[:-1] > 0


def order_of(scan: Scan) -> PictureOrder | None:
    """The pictures of a file; None where its packets do not tell which frame each gives."""
    codec = scan.stream.codec_context.name
    if not scan.packets:
        return None
    if scan.format in INDEXED_FORMATS and codec in _BY_TIMES:
        return _by_times(scan)
    if scan.format != "avi" or codec not in _BY_HEADS:
        return None
    try:
        return _BY_HEADS[codec](scan)
    except UnknownOrderError:
        return None


def _by_times(scan: Scan) -> PictureOrder | None:
    """Of packets that have times of showing."""
    if any(packet.pts is None for packet in scan.packets):
        return None
    times = np.array([packet.pts for packet in scan.packets])
    ordered = np.sort(times)
    is_key = np.array([packet.is_keyframe for packet in scan.packets])
    if (np.diff(ordered) == 0).any() or times[0] != ordered[0] or not is_key[0]:
        return None
    return PictureOrder(
        packets=scan.packets,
        numbers=np.searchsorted(ordered, times),
        starts=_starts(scan, is_key, is_key & (times == ordered)),
        seconds=(ordered - ordered[0]) * float(scan.stream.time_base),
    )


def _starts(scan: Scan, is_key: np.ndarray, in_order: np.ndarray) -> np.ndarray:
    """bool [picture]: of H.264 those that say so, of others the key frames if all are in order."""
    starts, codec = in_order.copy(), scan.stream.codec_context
    if codec.name == "h264":
        length = length_bytes(codec.extradata)
        for place in np.flatnonzero(starts).tolist():
            starts[place] = is_idr(bytes(scan.packets[place]), length)
    elif not (in_order == is_key).all():
        starts[:] = False
    starts[0] = True
    return starts


def _by_counts(scan: Scan) -> PictureOrder:
    """Of packets of H.264, whose pictures tell their order. Raises UnknownOrderError."""
    extradata = scan.stream.codec_context.extradata or b""
    contents = [bytes(packet) for packet in scan.packets]
    numbers, starts = numbers_and_starts(contents, extradata)
    return PictureOrder(
        packets=scan.packets,
        numbers=numbers,
        starts=starts,
        seconds=_seconds(scan, np.argsort(numbers)),
    )


def _by_kinds(scan: Scan) -> PictureOrder:
    """Of packets of MPEG-4 Part 2, whose pictures tell what refers to what. Raises
    UnknownOrderError."""
    contents = [bytes(packet) for packet in scan.packets]
    found = coded_pictures(contents)
    kinds = [picture.kind for picture in found]
    numbers = _numbers(kinds)
    # Those that refer both ways right after it refer to what is before it.
    is_open = np.array([kind == BOTH_WAYS for kind in kinds[1:]] + [False])
    packets = np.array([picture.packet for picture in found])
    return PictureOrder(
        packets=[
            scan.packets[one.packet] if one.data is contents[one.packet] else one.data
            for one in found
        ],
        numbers=numbers,
        starts=(np.array(kinds) == INTRA) & ~is_open,
        seconds=_seconds(scan, packets[np.argsort(numbers)]),
    )


def _numbers(kinds: Sequence[int]) -> np.ndarray:
    """int64 [picture], the frame that each gives: one that refers both ways is shown at once, any
    other when the next of these comes. Raises UnknownOrderError where one refers to none.
    """
    if not kinds or kinds[0] != INTRA or kinds[1:2] == [BOTH_WAYS]:
        raise UnknownOrderError
    order, waiting = [], 0
    for place, kind in enumerate(kinds[1:], 1):
        order.append(place if kind == BOTH_WAYS else waiting)
        waiting = waiting if kind == BOTH_WAYS else place
    return np.argsort([*order, waiting])


def _seconds(scan: Scan, shown: np.ndarray) -> np.ndarray:
    """float64 [frame] after the first, of frames that get the times of packets int64 [frame],
    rounded as those of PyAV's frames are."""
    above, below = scan.stream.time_base.numerator, scan.stream.time_base.denominator
    times = [scan.packets[place].pts for place in shown.tolist()]
    given = [None if time is None else float(time) * above / below for time in times]
    return clean_seconds(given, scan.table.fps)


def _packet(data: bytes) -> Any:
    """PyAV packet of a copy: decoders read on behind the end, where only a copy has zeros."""
    from av import Packet

    packet = Packet(len(data))
    packet.update(data)
    return packet


# Codecs whose pictures tell in their heads what AVI does not.
_BY_HEADS: dict[str, Callable[[Scan], PictureOrder]] = {"h264": _by_counts, "mpeg4": _by_kinds}
