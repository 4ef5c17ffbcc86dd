"""Frames through PyAV, of which only those are decoded that the wanted ones need.

What is passed over cannot change a wanted frame: pictures before the one where decoding may begin,
and those that the decoder itself keeps for no other, which are most of H.264's and all of MPEG-4's
that refer both ways.
"""

import errno
from collections import deque
from collections.abc import Iterator
from typing import Any

import numpy as np

from vifistore.errors import DecodeError
from vifistore.frames.bitstreams.packets import Scan
from vifistore.frames.bitstreams.pictures import PictureOrder
from vifistore.frames.decoders.pyav_decoder import Conversion

# Codecs whose decoder keeps no picture for others that is said to be for none: were that not true
# of a file, its frames would still be the same. HEVC's keeps them, and takes a file at its word.
KEEPS_NONE = {"h264", "mpeg4"}
# Colours that PyAV turns to the same levels as decord; others it rounds or spreads in another way.
_SAME_LEVELS = {"yuv420p", "yuvj420p"}


def has_same_levels(scan: Scan) -> bool:
    """Whether the frames of a file come out of PyAV as they do of decord."""
    codec = scan.stream.codec_context
    return codec.pix_fmt in _SAME_LEVELS and not (codec.width % 2 or codec.height % 2)


def read_wanted(scan: Scan, order: PictureOrder, wanted: np.ndarray) -> Iterator[np.ndarray | None]:
    """uint8 [height width 3] of each wanted frame (sorted numbers int64), upright; None, and no
    more, where one does not come as it should. Raises DecodeError where memory does not do."""
    from av.error import FFmpegError

    conversion, left = Conversion(), len(wanted)
    try:
        for frame in _as_planned(decode_needed(scan, order, wanted), order, wanted):
            yield conversion.to_rgb(frame, frame.width, frame.height)
            left -= 1
    except FFmpegError as error:
        if error.errno == errno.ENOMEM:
            raise DecodeError("memory", f"FFmpeg: {error.strerror}") from error
    if left:
        yield None


def _as_planned(frames: Iterator[Any], order: PictureOrder, wanted: np.ndarray) -> Iterator[Any]:
    """The wanted ones of PyAV frames, as long as all are sound, of one kind, and in order.

    A frame waits until those that it may refer to, of which some are shown after it, are seen.
    """
    latest = np.maximum.accumulate(order.numbers)
    due, last, kind = deque(wanted.tolist()), -1, None
    waiting: deque[tuple[int, Any]] = deque()
    for frame in frames:
        number = -1 if frame.pts is None else int(order.numbers[frame.pts])
        own_kind = (frame.width, frame.height, frame.format.name)
        kind = kind or own_kind
        is_late = bool(due) and number > due[0]
        if frame.is_corrupt or own_kind != kind or number <= last or is_late:
            return
        last = number
        if due and number == due[0]:
            waiting.append((int(latest[frame.pts]), frame))
            due.popleft()
        while waiting and waiting[0][0] <= number:
            yield waiting.popleft()[1]
        if not due and not waiting:
            return


def decode_needed(scan: Scan, order: PictureOrder, wanted: np.ndarray) -> Iterator[Any]:
    """PyAV frames, all wanted ones among them; `pts` is the place of the picture of each."""
    codec, places = scan.stream.codec_context, order.giving(wanted)
    # One thread: the pool already keeps every core busy.
    codec.thread_count = 1
    shown, previous = set(places.tolist()), None
    for place in np.flatnonzero(order.leading_to(places)).tolist():
        if previous is not None and place != previous + 1:
            yield from codec.decode(None)
            codec.flush_buffers()
        if codec.name in KEEPS_NONE:
            codec.skip_frame = "DEFAULT" if place in shown else "NONREF"
        packet = order.packet(place)
        packet.pts = place
        yield from codec.decode(packet)
        previous = place
    yield from codec.decode(None)
