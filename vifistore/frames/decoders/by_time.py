"""Stretches of a video read from the key frame before each, where the container can be trusted to
find it: what lies before, and between, is not decoded.

A frame is known by its time, so that one which does not come is noticed; the stretches that are
left are then read in order, from the start of the file.
"""

from collections.abc import Container, Iterator, Sequence
from functools import partial
from typing import Any

from vifistore.frames.bitstreams.known_packets import known_packets
from vifistore.frames.bitstreams.packets import (
    PacketTable,
    Seeking,
    demux,
    open_video,
    scan_packets,
)
from vifistore.frames.decoders.kept import WHOLE, Keep
from vifistore.frames.decoders.pyav_decoder import Conversion, read_in_order
from vifistore.frames.decoders.wanted_only import KEEPS_NONE
from vifistore.frames.plans import FrameTimes, Plan
from vifistore.frames.raw_frames import Gathering, Read, ReadRGB
from vifistore.sources.footage import Readable

BY_TIME = "by-time"
"""The way of reading that is this one."""


class _MissedError(Exception):
    """A frame is not where its time says."""


def decode_pyav(video: Readable, plans: Sequence[Plan], keep: Keep = WHOLE) -> Iterator[Read]:
    """The frames of each plan, or why it has none; raises DecodeError."""
    return read_forward(video, plans, table_for(video, plans), keep)


def read_forward(
    video: Readable, plans: Sequence[Plan], table: PacketTable, keep: Keep = WHOLE
) -> Iterator[Read]:
    """As `decode_pyav`, of a file whose packets are known."""
    if table.seeking and not wants_all(plans):
        times = FrameTimes(table.seeking.seconds, table.lost)
        about = {"declared_frames": table.declared_frames, "decoder": "pyav", "way": BY_TIME}
        gathering = Gathering(plans, times, keep, **about)
        yield from _read_by_time(video, gathering, table.seeking)
        plans = gathering.plans
    if plans:
        yield from read_in_order(video, plans, table, keep)


def table_for(video: Readable, plans: Sequence[Plan]) -> PacketTable:
    """The packets of a video; of one that is read in parts, as other jobs may, from memory."""
    return scan_packets(video) if wants_all(plans) else known_packets(video)


def wants_all(plans: Sequence[Plan]) -> bool:
    """Whether plans go by the number of all frames that can be decoded."""
    return all(plan.span.is_whole and not plan.sampling.has_rate for plan in plans)


def _read_by_time(video: Readable, gathering: Gathering, seeking: Seeking) -> Iterator[Read]:
    """Yield what is whole, up to the first frame that cannot be found by its time."""
    yield from gathering.take()
    try:
        for number, read_rgb in _frames(video, gathering.wanted.tolist(), seeking):
            gathering.add(number, read_rgb()[None])
            yield from gathering.take()
    except _MissedError:
        return


def _frames(
    video: Readable, wanted: Sequence[int], seeking: Seeking
) -> Iterator[tuple[int, ReadRGB]]:
    """The wanted frames, whose numbers are sorted. Raises _MissedError."""
    conversion, size = Conversion(), None
    container, stream = open_video(video)
    with container:
        # One thread: the pool already keeps every core busy.
        stream.codec_context.thread_count = 1
        frames: Iterator[tuple[int, Any]] = iter(())
        position, frame, shown = -2, None, set(wanted)
        for number in wanted:
            key = seeking.key_before(number)
            if key > position + 1:
                found = _from_key(container, stream, key, seeking, shown)
                frames, position = _in_order(found), key - 1
            while position < number:
                position, frame = next(frames, (number + 1, None))
            if position != number or frame is None:
                raise _MissedError
            size = size or (frame.width, frame.height)
            yield number, partial(conversion.to_rgb, frame, *size)


def _from_key(
    container: Any, stream: Any, key: int, seeking: Seeking, wanted: Container[int]
) -> Iterator[tuple[int, Any]]:
    """(number, frame) from a key frame on. Those that are shown before it may refer to what was not
    read; of those that are not wanted, the ones that no other refers to need not come. Raises
    _MissedError where the container does not find it."""
    from av.error import FFmpegError

    codec = stream.codec_context
    try:
        container.seek(int(seeking.times[key]), stream=stream, backward=True)
        for is_first, packet in _marked(demux(container, stream)):
            if is_first and seeking.number_of(packet.pts) > key:
                raise _MissedError
            if packet.size and codec.name in KEEPS_NONE:
                is_wanted = seeking.number_of(packet.pts) in wanted
                codec.skip_frame = "DEFAULT" if is_wanted else "NONREF"
            for frame in codec.decode(packet):
                yield seeking.number_of(frame.pts), frame
    except (FFmpegError, LookupError) as error:
        raise _MissedError from error


def _in_order(frames: Iterator[tuple[int, Any]]) -> Iterator[tuple[int, Any]]:
    """(number, frame), as long as each is shown after the one before. Raises _MissedError where
    times are those of decoding, as in an MP4 that was made of an AVI by copying its packets."""
    last = -1
    for number, frame in frames:
        if number <= last:
            raise _MissedError
        yield number, frame
        last = number


def _marked(packets: Iterator[Any]) -> Iterator[tuple[bool, Any]]:
    """Packets, and whether each is the first that holds anything."""
    is_first = True
    for packet in packets:
        yield is_first and bool(packet.size), packet
        is_first &= not packet.size
