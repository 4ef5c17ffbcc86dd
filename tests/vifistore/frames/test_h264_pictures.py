"""The order of H.264's pictures from their heads: what is told, and what is left to reading all."""

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from tests.vifistore.frames.conftest import noisy_grey
from tests.vifistore.frames.test_wanted_only import SIZE, assert_same
from vifistore.frames.bitstreams.h264_packets import SEQUENCE, SLICE, START, unit_places
from vifistore.frames.bitstreams.h264_pictures import numbers_and_starts
from vifistore.frames.bitstreams.head_bits import HeadBits, UnknownOrderError

NUM_FRAMES = 40
PARAMETERS = "keyint=25:min-keyint=25:scenecut=0:b-adapt=0:bframes=3"


def encoded(parameters: str = PARAMETERS) -> tuple[list[bytes], list[int]]:
    """Packets in order of decoding, units after start codes, and the frame of each."""
    codec = av.CodecContext.create("libx264", "w")
    codec.width, codec.height, codec.pix_fmt = *SIZE, "yuv420p"
    codec.time_base, codec.framerate = Fraction(1, 25), Fraction(25)
    codec.options = {"x264-params": parameters}
    found = []
    for number in range(NUM_FRAMES):
        frame = av.VideoFrame.from_ndarray(noisy_grey(number, SIZE))
        frame.pts, frame.time_base = number, codec.time_base
        found += codec.encode(frame)
    found += codec.encode(None)
    return [bytes(packet) for packet in found], [packet.pts for packet in found]


def write_avi(path: Path, packets: Sequence[bytes]) -> Path:
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        for number, data in enumerate(packets):
            packet = av.Packet(data)
            packet.stream, packet.time_base = stream, Fraction(1, 25)
            packet.pts = packet.dts = number
            output.mux(packet)
    return path


@pytest.mark.parametrize(
    "further",
    ["", ":b-pyramid=none", ":bframes=0", ":slices=3", ":aud=1", ":open-gop=1", ":colorprim=bt709"],
)
def test_the_order_is_that_of_the_encoder(further: str) -> None:
    packets, frames = encoded(PARAMETERS + further)
    numbers, starts = numbers_and_starts(packets, b"")
    assert numbers.tolist() == frames
    assert np.flatnonzero(starts).tolist() == [0] if "open" in further else [0, 25]


def test_counts_go_on_where_their_lower_part_begins_anew() -> None:
    packets, frames = encoded("keyint=250:scenecut=0:b-adapt=0:bframes=3:ref=1")
    # 40 frames count to 78, of which x264 writes 4 bits at least, which are not enough.
    numbers, _ = numbers_and_starts(packets, b"")
    assert numbers.tolist() == frames


def without_sequence(packets: list[bytes]) -> list[bytes]:
    first = packets[0]
    (place,) = (place for place in unit_places(first, 0) if first[place] & 31 == SEQUENCE)
    following = first.index(START, place)
    return [first[: place - len(START)] + first[following:], *packets[1:]]


def other_profile(packets: list[bytes]) -> list[bytes]:
    first = packets[25]
    place = next(place for place in unit_places(first, 0) if first[place] & 31 == SEQUENCE)
    return [*packets[:25], first[: place + 3] + b"\x33" + first[place + 4 :], *packets[26:]]


def with_scaling(packets: list[bytes]) -> list[bytes]:
    """With the bit set that says that scaling lists follow, which is that of the fifth byte."""
    found = []
    for packet in packets:
        changed = bytearray(packet)
        for place in unit_places(packet, 0):
            changed[place + 4] |= packet[place] & 31 == SEQUENCE
        found.append(bytes(changed))
    return found


WRONG: dict[str, Callable[[list[bytes]], list[bytes]]] = {
    "no head of a sequence": without_sequence,
    "scaling lists": with_scaling,
    "two different heads": other_profile,
    "begins in the middle": lambda packets: packets[3:],
    "a picture that others refer to is lost": lambda packets: [*packets[:5], *packets[6:]],
    "two pictures in a packet": lambda packets: [*packets[:2], packets[2] + packets[3]],
    "no picture in a packet": lambda packets: [*packets[:3], b"\0\0\1\x0c\xff\x80", *packets[3:]],
    "a picture without its beginning": lambda packets: [*packets[:3], b"\0\0\1\x41\x60\x80\x80"],
    "a picture that is cut off": lambda packets: [*packets[:3], b"\0\0\1\x41\x9a"],
    "a picture twice": lambda packets: [*packets[:4], packets[3], *packets[4:]],
    "nothing": lambda packets: [b""],
}


@pytest.mark.parametrize("name", WRONG)
def test_what_does_not_tell_its_order_is_left(name: str) -> None:
    packets = WRONG[name](encoded()[0])
    with pytest.raises(UnknownOrderError):
        numbers_and_starts(packets, b"")


@pytest.mark.parametrize(
    "parameters",
    ["interlaced=1", "nal-hrd=vbr:vbv-maxrate=500:vbv-bufsize=500"],
    ids=["fields", "buffers"],
)
def test_heads_that_are_not_read_are_left(parameters: str) -> None:
    packets, _ = encoded(f"{PARAMETERS}:{parameters}")
    with pytest.raises(UnknownOrderError):
        numbers_and_starts(packets, b"")


@pytest.mark.parametrize("place", [5, 6, 7, 20])
def test_a_file_that_lacks_a_packet_reads_as_before(tmp_path: Path, place: int) -> None:
    packets, _ = encoded()
    del packets[place]
    kind = next(packets[place][n] for n in unit_places(packets[place], 0))
    assert kind & 31 == SLICE
    path = write_avi(tmp_path / "v.avi", packets)
    # Others refer to the first two.
    read_by = "pyav in-order" if place in (5, 6) else "pyav wanted-only"
    for frames in (3, 9):
        assert_same(path, frames, read_by=read_by)


def test_codes_have_as_many_bits_as_zeros_before_them() -> None:
    bits = HeadBits(bytes([0b1_010_011_0, 0b0100_0010, 0b1_0000000]))
    assert [bits.take_code() for _ in range(5)] == [0, 1, 2, 3, 4]
    with pytest.raises(UnknownOrderError):
        bits.take_code()
