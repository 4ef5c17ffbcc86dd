"""Pictures of AVIs as Xvid and DivX write them: two in a packet, none in a packet."""

import ctypes
import re
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from tests.vifistore.frames.conftest import noisy_grey
from tests.vifistore.frames.test_wanted_only import SIZE, assert_same
from vifistore.frames.bitstreams.head_bits import UnknownOrderError
from vifistore.frames.bitstreams.mpeg4_pictures import coded_pictures
from vifistore.frames.bitstreams.pictures import PictureOrder
from vifistore.frames.decoders import by_number
from vifistore.frames.decoders.decoding import decode_video

NUM_FRAMES = 31


def not_coded(clock_bits: int = 5) -> bytes:
    """A picture of kind P that is not coded, which Xvid fills up with."""
    bits = "01" + "0" + "1" + "0" * clock_bits + "1" + "0"
    bits += "0" + "1" * (-len(bits) - 1 & 7)
    return b"\x00\x00\x01\xb6" + int(bits, 2).to_bytes(len(bits) // 8, "big")


def encoded(both_ways: int, rate: int = 25) -> list[bytes]:
    """Packets of an encoder in order of decoding, one picture each."""
    codec = av.CodecContext.create("mpeg4", "w")
    codec.width, codec.height, codec.pix_fmt = *SIZE, "yuv420p"
    codec.time_base, codec.framerate = Fraction(1, rate), Fraction(rate)
    codec.bit_rate, codec.gop_size = 2_000_000, 100
    codec.options = {"bf": str(both_ways), "sc_threshold": "1000000000"}
    found = []
    for number in range(NUM_FRAMES):
        frame = av.VideoFrame.from_ndarray(noisy_grey(number, SIZE))
        frame.pts, frame.time_base = number, codec.time_base
        found += codec.encode(frame)
    return [bytes(packet) for packet in [*found, *codec.encode(None)]]


def kinds(packets: Sequence[bytes]) -> str:
    """Kinds of the first pictures of packets."""
    return "".join("IPBS"[re.search(rb"\x00\x00\x01\xb6(.)", p, re.S)[1][0] >> 6] for p in packets)


def packed(packets: Sequence[bytes]) -> list[bytes]:
    """As Xvid packs: a picture that refers both ways goes with the one before it, and where the
    last of these would stand is a picture that is not coded."""
    known = re.sub(rb"(?<=\x00\x00\x01\xb2)[^\x00]+", b"DivX503b1393p", packets[0])
    found, order = [known], kinds(packets)
    for place, packet in enumerate(packets[1:], 1):
        if order[place] == "B":
            found[-1] += packet
            found.append(b"")
        elif found[-1] == b"":
            found[-1] = not_coded()
            found.append(packet)
        else:
            found.append(packet)
    return found if found[-1] else found[:-1]


def write_avi(path: Path, packets: Sequence[bytes], rate: int = 25) -> Path:
    with av.open(str(path), "w") as output:
        stream = output.add_stream("mpeg4", rate=rate)
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        stream.codec_context.codec_tag = "XVID"
        for number, data in enumerate(packets):
            packet = av.Packet(data)
            packet.stream, packet.time_base = stream, Fraction(1, rate)
            packet.pts = packet.dts = number
            output.mux(packet)
    return path


@pytest.mark.parametrize("both_ways", [1, 2])
def test_two_pictures_in_a_packet(tmp_path: Path, both_ways: int) -> None:
    packets = encoded(both_ways)
    assert "B" * both_ways + "P" in kinds(packets)
    path = write_avi(tmp_path / "v.avi", packed(packets))
    for frames in (1, 4, 9, NUM_FRAMES):
        assert_same(path, frames)
    assert decode_video(path, frames=1, clips=1, decoder="decord").num_frames == NUM_FRAMES - 1


@pytest.mark.parametrize("rate", [1, 16, 25, 1000])
def test_pictures_that_are_not_coded_give_no_frame(tmp_path: Path, rate: int) -> None:
    packets = encoded(0, rate)
    packets.insert(1, b"\x7f")
    packets.insert(9, not_coded(max(1, (rate - 1).bit_length())))
    path = write_avi(tmp_path / "v.avi", packets, rate)
    for frames in (1, 5, NUM_FRAMES):
        assert_same(path, frames)
    found = coded_pictures(packets)
    assert [picture.packet for picture in found] == [0, *range(2, 9), *range(10, NUM_FRAMES + 2)]


def test_what_ffmpeg_would_take_otherwise_is_not_told() -> None:
    plain, both = encoded(0), encoded(1)
    known = packed(plain)[0]
    for packets in (
        [b"no picture"],
        # Two pictures where nothing says so; two that refer to the one before; one held and lost.
        [*plain[:5], plain[5] + plain[6]],
        [known, plain[1] + plain[2], *plain[3:]],
        [known, both[1] + both[2], *both[3:]],
        [*plain[:5], bytes(30), *plain[5:]],
        # FFmpeg shows the last picture a second time.
        [*plain, not_coded()],
    ):
        with pytest.raises(UnknownOrderError):
            coded_pictures(packets)
    assert len(coded_pictures(plain)) == len(coded_pictures(both)) == NUM_FRAMES


@pytest.mark.parametrize("start", [1, 2])
def test_a_stream_that_begins_in_its_middle_is_read_in_order(tmp_path: Path, start: int) -> None:
    first, *further = encoded(2)
    head = first[: first.index(b"\x00\x00\x01\xb6")]
    path = write_avi(tmp_path / "v.avi", [head + further[start - 1], *further[start:]])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(by_number, "read_wanted", None)
        assert_same(path, 5, read_by="pyav in-order")


def test_zeros_follow_a_picture_that_shared_its_packet() -> None:
    """Decoders read on behind the end: what lies there would change the picture."""
    nothing = np.empty(0, np.int64)
    for data in [b"\xff" * 1000 for _ in range(50)]:
        order = PictureOrder(packets=[data], numbers=nothing, starts=nothing, seconds=nothing)
        packet = order.packet(0)
        assert bytes(packet) == data
        assert ctypes.string_at(packet.buffer_ptr + packet.buffer_size, 16) == bytes(16)
