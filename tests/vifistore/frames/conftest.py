"""Small real videos: the mean brightness of frame i is 25 + 5 i, so a picture tells its number."""

import struct
from collections.abc import Callable
from itertools import count
from pathlib import Path

import av
import numpy as np
import pytest

STAND_IN = Path(__file__).parent / "stand_in"
NUM_FRAMES = 40


def noisy_grey(number: int, size: tuple[int, int]) -> np.ndarray:
    """Frame `number`, uint8 [height width 3]; the noise makes files of a size worth cutting."""
    noise = np.random.default_rng(number).integers(-20, 21, (size[1], size[0], 1))
    return (np.repeat(noise - round(noise.mean()), 3, axis=2) + 25 + 5 * number).astype(np.uint8)


def write_video(
    path: Path,
    *,
    codec: str = "libx264",
    num_frames: int = NUM_FRAMES,
    size: tuple[int, int] = (64, 48),
    rotation: int = 0,
    options: dict[str, str] | None = None,
    container: dict[str, str] | None = None,
) -> Path:
    """A video at 25 frames per second, a key frame every 12."""
    with av.open(str(path), "w", options=container or {}) as output:
        stream = output.add_stream(codec, rate=25, options=options or {})
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        stream.gop_size = 12
        stream.bit_rate = 2_000_000
        if rotation:
            stream.set_display_rotation(rotation)
        for number in range(num_frames):
            image = av.VideoFrame.from_ndarray(noisy_grey(number, size), format="rgb24")
            for packet in stream.encode(image):
                output.mux(packet)
        for packet in stream.encode():
            output.mux(packet)
    return path


def write_bright_corner(path: Path, rotation: int) -> Path:
    """One frame of 64 x 48 whose stored top right corner is bright."""
    image = np.zeros((48, 64, 3), np.uint8)
    image[:16, -16:] = 255
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.set_display_rotation(rotation)
        for packet in [*stream.encode(av.VideoFrame.from_ndarray(image)), *stream.encode()]:
            output.mux(packet)
    return path


def write_matrix(path: Path, matrix: tuple[int, ...]) -> Path:
    """The same MP4 with these two rows of two in the matrix that says how it is to be shown."""
    content, (first, second) = bytearray(path.read_bytes()), (matrix[:2], matrix[2:])
    # In the header of the track: behind its times, its number, its layer and its volume.
    place = content.index(b"tkhd") + 44
    rows = struct.pack(">6i", *(value << 16 for value in (*first, 0, *second, 0)))
    content[place : place + 24] = rows
    path.write_bytes(content)
    return path


@pytest.fixture(scope="session")
def videos(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Good videos by name: what to find in each is always the same 40 frames."""
    folder = tmp_path_factory.mktemp("videos")
    return {
        # With frames that refer to later ones, so decoding order is not the order of show.
        "h264.mp4": write_video(folder / "h264.mp4", container={"movflags": "faststart"}),
        "h264.mkv": write_video(folder / "h264.mkv"),
        # Key frames that are shown after frames which follow them in the file.
        "open-gop.mp4": write_video(
            folder / "open-gop.mp4",
            options={"x264-params": "open-gop=1:scenecut=0:b-adapt=0:bframes=2"},
        ),
        # Like HMDB51: no times, and a last packet that gives no frame.
        "xvid.avi": write_video(folder / "xvid.avi", codec="mpeg4", options={"bf": "2"}),
        "mpeg1.mpg": write_video(folder / "mpeg1.mpg", codec="mpeg1video", options={"bf": "2"}),
    }


@pytest.fixture
def make_video(tmp_path: Path) -> Callable[..., Path]:
    """Make a video of one's own: `make_video(name, **settings of write_video)`."""
    return lambda name, **settings: write_video(tmp_path / name, **settings)


@pytest.fixture
def edited_video(make_video: Callable[..., Path]) -> Path:
    """A video whose edit list leaves frames 10 to 39; the others are in the file all the same."""
    path = make_video("edited.mp4")
    content = path.read_bytes()
    with av.open(str(path)) as container:
        skipped = round(10 / 25 / container.streams.video[0].time_base)
    # The list has one entry; its media time comes after version, count and duration.
    start = content.index(b"elst") + 16
    media_time = int.from_bytes(content[start : start + 4], "big") + skipped
    path.write_bytes(content[:start] + media_time.to_bytes(4, "big") + content[start + 4 :])
    return path


@pytest.fixture(scope="session")
def numbers_of() -> Callable[[np.ndarray], list[int]]:
    """Which frames of a test video these are, given uint8 [frame height width 3]."""
    return lambda frames: [round((float(frame.mean()) - 25) / 5) for frame in frames]


def commands_in(videos: dict[str, Path], folder: Path) -> Callable[[str], Path]:
    """Writes videos that hold a command for a stand-in of torchcodec."""
    numbers = count()

    def write(command: str) -> Path:
        words = f"COMMAND {command}".encode()
        path = folder / f"{next(numbers)}-{command.replace(' ', '-')}.mp4"
        box = struct.pack(">I4s", 8 + len(words), b"free") + words
        path.write_bytes(videos["h264.mp4"].read_bytes() + box)
        return path

    return write


@pytest.fixture
def obedient(
    videos: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], Path]:
    """Make the stand-in the torchcodec of this process and of workers; write it a command."""
    monkeypatch.syspath_prepend(str(STAND_IN))
    return commands_in(videos, tmp_path)
