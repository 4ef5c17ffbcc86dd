"""The packets of a video file, read through PyAV without decoding: a few milliseconds."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from vifistore.containers import open_container
from vifistore.errors import DecodeError
from vifistore.files import require_regular
from vifistore.frames.bitstreams.lost_time import NEAR_PACKETS, NO_LOSS, lost_packets
from vifistore.frames.bitstreams.packet_heads import NO_TIME, PacketHeads
from vifistore.frames.complaints import Complaints
from vifistore.frames.plans import FrameTimes
from vifistore.frames.raw_frames import clean_seconds
from vifistore.sources.footage import Readable

# The containers whose seeks go by an index of times. In AVI (thus HMDB51 and UCF101) packets have
# times of decoding or none, and some give no frame; MPEG streams have no index.
INDEXED_FORMATS = {"mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm"}
# Those that find a key frame by its time, if packets have times: decoders give these on to frames.
_SEEKING_FORMATS = {*INDEXED_FORMATS, "avi"}
# Codecs whose packets have in AVI times of decoding alone: of others FFmpeg works out when they are
# shown (`onein_oneout` in libavformat/demux.c).
_TIMED_AS_DECODED = {"h264", "hevc", "vvc"}

# Those whose headers, or whose last packets, tell how long they are.
_LONG_AS_TOLD = {*INDEXED_FORMATS, "flv", "mpegts", "mpeg"}
# Codecs of one frame rate throughout: a gap is a loss.
_ONE_RATE = {"mpeg1video", "mpeg2video"}
# What is read of a file on opening it: so far a complaint may be about any packet.
_READ_AHEAD = 256

# Files of more are read a second time, where their packets are wanted.
_KEPT_BYTES = 64 * 2**20


@dataclass(frozen=True, kw_only=True)
class PacketTable:
    """What the packets of a file's video stream tell about its frames."""

    num_frames: int
    """Frames that come out if every packet decodes."""
    declared_frames: int
    """Frames that the header or the packets promise, whichever says more."""
    fps: float | None
    """Average frame rate, where it is known."""
    seconds: np.ndarray | None
    """float64 [frame], seconds after the first frame, if frames can be found by their number:
    then every packet has a time of its own and no key frame is out of order. None otherwise."""
    expected: FrameTimes | None = None
    """When its frames are shown if every packet gives one; None if there is none."""
    seeking: "Seeking | None" = None
    """Where reading can begin, if frames can be found by their time."""
    has_times: bool = False
    """Whether the packets tell these times; else they come of the frame rate."""
    is_plain: bool = False
    """Whether all packets that are promised are there and to be shown, of the only video stream."""
    frame_bytes: int = 0
    """Of a frame in RGB, as far as the header tells its size."""
    lost: np.ndarray = field(default_factory=lambda: NO_LOSS)
    """float64 [stretch 2], seconds after the first frame whose packets a damaged file lost."""


@dataclass(frozen=True, kw_only=True)
class Seeking:
    """Where the reading of a file can begin: at its key frames."""

    times: np.ndarray
    """int64 [frame]: when each is shown, in units of the stream; sorted, and no two are equal."""
    keys: np.ndarray
    """int64 [key], sorted numbers of the key frames."""
    time_base: float
    """Seconds of a unit."""

    @property
    def seconds(self) -> np.ndarray:
        """float64 [frame], after the first frame."""
        return (self.times - self.times[0]) * self.time_base

    def key_before(self, number: int) -> int:
        """The last key frame at a frame or before it; -1 for none."""
        found = int(np.searchsorted(self.keys, number, side="right"))
        return int(self.keys[found - 1]) if found else -1

    def number_of(self, time: int | None) -> int:
        """The frame that is shown at a time of the stream. Raises LookupError if none is."""
        found = -1 if time is None else int(np.searchsorted(self.times, time))
        if time is None or found == len(self.times) or self.times[found] != time:
            raise LookupError(f"no frame is shown at {time}")
        return found


def open_video(video: Readable) -> tuple[Any, Any]:
    """PyAV container and video stream; raises DecodeError, OSError for what is no file."""
    from av.error import ArgumentError, FFmpegError

    if isinstance(video, Path):
        # FFmpeg would wait for ever at a pipe.
        require_regular(video)
    else:
        video.seek(0)
    try:
        container = open_container(video)
    except ArgumentError:
        message = "FFmpeg knows it as no video, or as a playlist that shows other files"
        raise DecodeError("not a video", message) from None
    except FFmpegError as error:
        raise DecodeError("not a video", f"FFmpeg: {error.strerror}") from None
    stream = container.streams.best("video")
    if stream is None or not _is_film(stream):
        container.close()
        raise DecodeError("no video stream", "it holds no video stream")
    if stream.codec_context is None:
        container.close()
        raise DecodeError("decode error", "FFmpeg has no decoder for its codec")
    return container, stream


def _is_film(stream: Any) -> bool:
    """Whether a video stream is one, and not the picture of a cover."""
    from av.stream import Disposition

    return not stream.disposition & Disposition.attached_pic


def demux(container: Any, stream: Any) -> Iterator[Any]:
    """Packets up to the end, or to where the container is damaged; then an empty one."""
    from av import Packet
    from av.error import FFmpegError

    try:
        yield from container.demux(stream)
    except FFmpegError:
        yield Packet()


@dataclass(frozen=True, kw_only=True)
class Scan:
    """A file that is open, all of whose packets were read."""

    stream: Any
    """PyAV's."""
    format: str
    """Name of the container's format, as FFmpeg has it."""
    table: PacketTable
    packets: Sequence[Any]
    """PyAV packets, if each is whole and gives what it should; none where they do not, or where
    they are too many to be kept."""


@contextmanager
def scanned(video: Readable, most_bytes: int | None = None) -> Iterator[Scan]:
    """Read the packets of a file, which stays open; those of one of `most_bytes` are kept. Raises
    DecodeError if it is no video."""
    with ExitStack() as opened:
        with Complaints() as complaints:
            container, stream = open_video(video)
            opened.enter_context(container)
            kept_bytes = _KEPT_BYTES if most_bytes is None else most_bytes
            heads, packets = _read(container, stream, complaints, kept_bytes)
        table = _table(container, stream, heads)
        is_plain = table.is_plain and len(packets) == len(heads)
        kept = packets if is_plain else []
        yield Scan(stream=stream, format=container.format.name, table=table, packets=kept)


def _read(
    container: Any, stream: Any, complaints: Complaints, most_bytes: int
) -> tuple[PacketHeads, list[Any]]:
    """What all packets tell, and the sound ones of the first so many bytes."""
    heads, packets, left = PacketHeads(), [], most_bytes
    reader = container.format.name
    if complaints.take(reader):
        heads.damages.extend(range(0, _READ_AHEAD, NEAR_PACKETS))
    for packet in demux(container, stream):
        if packet.is_corrupt or complaints.take(reader):
            heads.damages.append(len(heads))
        if not packet.size:
            # The last is always so; decoders take it for the end.
            continue
        heads.add(packet)
        left -= packet.size
        if left >= 0 and not packet.is_corrupt:
            packets.append(packet)
    return heads, packets


def scan_packets(video: Readable) -> PacketTable:
    """Table of the packets of a file; raises DecodeError if it is no video."""
    with scanned(video, 0) as scan:
        return scan.table


def _table(container: Any, stream: Any, heads: PacketHeads) -> PacketTable:
    shown = heads.times[heads.are_shown]
    is_whole = len(shown) == len(heads) >= stream.frames
    # Of several streams, another reader may take another one.
    is_only = sum(map(_is_film, container.streams.video)) == 1
    is_plain = is_whole and is_only
    indexed = container.format.name in INDEXED_FORMATS and is_plain
    seeks = is_plain and _finds_times(container.format.name, stream.codec_context)
    times = _times_by_number(heads) if indexed else None
    fps = float(stream.average_rate) if stream.average_rate else None
    lost = _lost(container, stream, heads)
    expected, has_times = _expected(shown, float(stream.time_base), fps, lost)
    return PacketTable(
        num_frames=len(shown),
        declared_frames=max(stream.frames, len(heads)),
        fps=fps,
        seconds=None if times is None else (times - times[0]) * float(stream.time_base),
        frame_bytes=3 * stream.codec_context.width * stream.codec_context.height,
        expected=expected,
        seeking=_seeking(heads, float(stream.time_base)) if seeks else None,
        has_times=has_times,
        is_plain=is_plain,
        lost=lost,
    )


def _finds_times(container: str, codec: Any) -> bool:
    """Whether a key frame is found by its time, and every frame shown at that of its packet."""
    is_as_decoded = codec.name in _TIMED_AS_DECODED and bool(codec.has_b_frames)
    return container in _SEEKING_FORMATS and not (container == "avi" and is_as_decoded)


def _lost(container: Any, stream: Any, heads: PacketHeads) -> np.ndarray:
    """What a damaged file lost; nothing where its packets have no times."""
    seconds = heads.times[heads.are_shown] * float(stream.time_base)
    if len(seconds) < len(heads) or not len(heads) or heads.times.min() == NO_TIME:
        return NO_LOSS
    if stream.codec_context.name in _ONE_RATE:
        return lost_packets(seconds, range(0, len(heads), NEAR_PACKETS), 0.0)
    promised = 0.0
    if stream.duration:
        promised = float(stream.duration * stream.time_base)
    elif container.duration and container.format.name in _LONG_AS_TOLD:
        promised = ((container.start_time or 0) + container.duration) / 1e6 - seconds.min()
    return lost_packets(seconds, heads.damages, promised)


def _expected(
    shown: np.ndarray, time_base: float, fps: float | None, lost: np.ndarray
) -> tuple[FrameTimes | None, bool]:
    """When the frames of packets that are shown at int64 times will be, and whether they tell it
    themselves."""
    if not len(shown):
        return None, False
    has_times = bool((shown != NO_TIME).all())
    seconds = np.sort(shown) * time_base if has_times else np.full(len(shown), np.nan)
    return FrameTimes(clean_seconds(seconds, fps), lost), has_times


def _seeking(heads: PacketHeads, time_base: float) -> Seeking | None:
    """Where reading can begin; None where a packet has no time of its own."""
    times = np.unique(heads.times)
    if not len(times) or len(times) < len(heads) or times[0] == NO_TIME:
        return None
    keys = np.searchsorted(times, np.sort(heads.times[heads.are_keys])).astype(np.int64)
    return Seeking(times=times, keys=keys, time_base=time_base)


def _times_by_number(heads: PacketHeads) -> np.ndarray | None:
    """Sorted times of all packets, or None where a frame's number does not tell its packet.

    Decoders go to the key frame before the one wanted and count from there. A key frame that is
    shown after a packet which follows it in the file (open groups of pictures, the habit of HEVC
    encoders) has another number in the file than in time, by which decord miscounts.
    """
    times = heads.times
    ordered = np.sort(times)
    if not len(times) or ordered[0] == NO_TIME:
        return None
    if (np.diff(ordered) == 0).any() or (times != ordered)[heads.are_keys].any():
        return None
    return ordered
