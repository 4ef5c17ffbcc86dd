"""Codecs, depths, odd sizes and variable frame rates, each in a small file made for it."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from tests.vifistore.frames.conftest import noisy_grey
from vifistore.frames.decoders.decoding import decode_video
from vifistore.frames.sampling import sample_indices

CODECS = {
    "hevc": ("libx265", "yuv420p", {"x265-params": "log-level=none"}),
    "hevc-10-bit": ("libx265", "yuv420p10le", {"x265-params": "log-level=none"}),
    "vp9": ("libvpx-vp9", "yuv420p", {"deadline": "realtime", "cpu-used": "8"}),
    "av1": ("libsvtav1", "yuv420p", {"preset": "12"}),
    "h264-odd": ("libx264", "yuv444p", {}),
}
NUM_FRAMES = 24


def write(path: Path, name: str, times: list[int]) -> tuple[int, int]:
    """A video with a frame at each of `times`, in hundredths of a second; returns its size."""
    codec, pixels, options = CODECS[name]
    size = (71, 65) if "odd" in name else (72, 64)
    if codec not in av.codecs_available:
        pytest.skip(f"this FFmpeg has no {codec}")
    with av.open(str(path), "w") as output:
        stream = output.add_stream(codec, rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = *size, pixels
        stream.bit_rate, stream.gop_size = 2_000_000, 12
        stream.time_base = stream.codec_context.time_base = Fraction(1, 100)
        for number, time in enumerate(times):
            frame = av.VideoFrame.from_ndarray(noisy_grey(number, size), format="rgb24")
            frame.pts, frame.time_base = time, Fraction(1, 100)
            output.mux(stream.encode(frame))
        output.mux(stream.encode())
    return size


@pytest.fixture(params=["decord", "pyav"])
def decoder(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.mark.parametrize("name", CODECS)
def test_the_planned_frames_come_out(
    name: str, decoder: str, tmp_path: Path, numbers_of: Callable[[np.ndarray], list[int]]
) -> None:
    path = tmp_path / "v.mkv"
    size = write(path, name, [4 * number for number in range(NUM_FRAMES)])
    video = decode_video(path, frames=6, clips=1, decoder=decoder)
    assert (video.width, video.height, video.num_frames) == (*size, NUM_FRAMES)
    planned = sample_indices(NUM_FRAMES, 6, 1)[0]
    assert numbers_of(video.frames[video.index[0]]) == planned.tolist()
    np.testing.assert_allclose(video.timestamps[0], planned / 25, atol=2e-3)


@pytest.mark.parametrize("container", ["mp4", "mkv"])
def test_a_variable_rate_has_its_own_times(
    container: str,
    decoder: str,
    tmp_path: Path,
    numbers_of: Callable[[np.ndarray], list[int]],
) -> None:
    # Ten frames a second, then a frame every half second: frames are counted, not seconds.
    times = [10 * number for number in range(12)] + [120 + 50 * number for number in range(12)]
    path = tmp_path / f"v.{container}"
    write(path, "h264-odd", times)
    video = decode_video(path, frames=8, clips=1, decoder=decoder)
    planned = sample_indices(len(times), 8, 1)[0]
    assert numbers_of(video.frames[video.index[0]]) == planned.tolist()
    np.testing.assert_allclose(video.timestamps[0], np.array(times)[planned] / 100, atol=2e-3)
