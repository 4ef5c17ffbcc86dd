"""A file with several video streams: the table of videos and every decoder mean the same one."""

from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
from av.stream import Disposition

from vifistore.frames.decoders.decoding import decode_video
from vifistore.videos.probe import probe

DECODERS = ["decord", "pyav", "torchcodec"]


def write_streams(path: Path, *streams: tuple[str, tuple[int, int], int, Disposition]) -> Path:
    """A file of streams: codec, size, frames, disposition; stream s is of grey 40 + 80 s."""
    with av.open(str(path), "w") as output:
        made = []
        for codec, size, num_frames, disposition in streams:
            stream = output.add_stream(codec, rate=25)
            stream.width, stream.height = size
            stream.pix_fmt = "rgb24" if codec == "png" else "yuv420p"
            stream.disposition = disposition
            made.append((stream, num_frames))
        for number in range(max(num_frames for _, num_frames in made)):
            for place, (stream, num_frames) in enumerate(made):
                if number < num_frames:
                    grey = np.full((stream.height, stream.width, 3), 40 + 80 * place, np.uint8)
                    output.mux(stream.encode(av.VideoFrame.from_ndarray(grey)))
        for stream, _ in made:
            output.mux(stream.encode())
    return path


SMALL = ("mpeg4", (64, 48), 12)
LARGE = ("mpeg4", (96, 72), 20)


@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize("extension", ["mp4", "mkv", "mov"])
@pytest.mark.parametrize("default", [0, 1])
def test_scan_and_decoders_take_the_stream_that_the_file_calls_its_default(
    tmp_path: Path, obedient: Callable, extension: str, default: int, decoder: str
) -> None:
    marks = [Disposition.default if place == default else Disposition(0) for place in (0, 1)]
    path = write_streams(tmp_path / f"v.{extension}", (*SMALL, marks[0]), (*LARGE, marks[1]))
    _, (width, height), num_frames = (SMALL, LARGE)[default]
    seen = probe(path)
    assert (seen.width, seen.height, seen.num_frames, seen.fps) == (width, height, num_frames, 25)
    assert seen.duration_seconds == pytest.approx(num_frames / 25)
    video = decode_video(path, frames=4, clips=1, decoder=decoder)
    assert (video.width, video.height, video.num_frames) == (width, height, num_frames)
    assert video.frames.mean() == pytest.approx(40 + 80 * default, abs=3)
    # Another reader may choose otherwise among streams of one size and length.
    assert video.decoder == "pyav"


@pytest.mark.parametrize("decoder", ["decord", "pyav"])
@pytest.mark.parametrize("cover_is_first", [False, True])
def test_a_cover_is_not_the_video(tmp_path: Path, cover_is_first: bool, decoder: str) -> None:
    streams = [("libx264", (64, 48), 12, Disposition(0))]
    streams.insert(not cover_is_first, ("png", (200, 200), 1, Disposition.attached_pic))
    path = write_streams(tmp_path / "v.mp4", *streams)
    seen = probe(path)
    assert (seen.width, seen.height, seen.num_frames) == (64, 48, 12)
    video = decode_video(path, frames=4, clips=1, decoder=decoder)
    assert (video.width, video.height, video.num_frames) == (64, 48, 12)
    assert video.frames.mean() == pytest.approx(40 + 80 * cover_is_first, abs=3)


def test_a_cover_alone_is_no_video(tmp_path: Path) -> None:
    path = write_streams(tmp_path / "v.mp4", ("png", (20, 20), 1, Disposition.attached_pic))
    assert probe(path).width == 0
