"""Claim: raw frames are read faster than any packed form of them, which is why the cache keeps raw.

    python -m benchmarks.frame_formats FOLDER        # half a minute for 12 videos, one core

Cuts squares of sampled frames of the videos of a folder, as the frame cache keeps them, packs them
in every format, and reads them back: one row per format. Expected: raw is read at least twice as
fast as Zstandard, 10 times as fast as PNG; JPEG is smallest, and not exact.
"""

import io
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro
from numcodecs import Zstd
from PIL import Image

from vifi.bench.bench_settings import Bench
from vifi.bench.inputs import find_videos
from vifi.bench.recording import script
from vifi.bench.timing import elapsed, seconds
from vifistore.frames.decoders.decoding import decode_video
from vifistore.frames.squares import Squares

CASE = ("format", "videos", "frames", "size")
_ZSTD = Zstd(level=1)
_REPEATS = 3

Pack = Callable[[np.ndarray], bytes]
Unpack = Callable[[bytes], np.ndarray]


@dataclass(frozen=True, kw_only=True)
class Formats(Bench):
    """What is packed."""

    folder: tyro.conf.Positional[Path]
    """Folder of videos."""
    frames: int = 32
    """Frames per video."""
    size: int = 224
    """Side of a square, pixels."""
    limit: int = 12
    """Videos at most, evenly drawn from the folder."""


def _image_packer(form: str, **options: int) -> Pack:
    def pack(frame: np.ndarray) -> bytes:
        file = io.BytesIO()
        Image.fromarray(frame).save(file, form, **options)
        return file.getvalue()

    return pack


def _read_image(data: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image)


def formats(shape: tuple[int, int, int]) -> dict[str, tuple[Pack, Unpack]]:
    """Name -> how a frame is packed and read."""

    def from_bytes(data: bytes) -> np.ndarray:
        return np.frombuffer(bytearray(data), np.uint8).reshape(shape)

    def checked(data: bytes) -> np.ndarray:
        # What the cache does with raw bytes, and the others' formats do not of themselves.
        zlib.crc32(data)
        return from_bytes(data)

    return {
        "raw": (np.ndarray.tobytes, checked),
        "zstd-1": (
            lambda f: bytes(_ZSTD.encode(f.tobytes())),
            lambda d: from_bytes(_ZSTD.decode(d)),
        ),
        "png-1": (_image_packer("PNG", compress_level=1), _read_image),
        "jpeg-95": (_image_packer("JPEG", quality=95), _read_image),
    }


def run(settings: Formats) -> Iterator[dict]:
    """One row per format."""
    paths = find_videos(settings.folder, settings.limit)
    side = settings.size
    squares = Squares(size=side, short_side=side, interpolation="bicubic", crops=1)
    videos = [decode_video(p, frames=settings.frames, clips=1, decoder="decord") for p in paths]
    frames = np.concatenate([squares.cut(video.frames)[0] for video in videos])
    for name, (pack, unpack) in formats(frames.shape[1:]).items():
        packed: list[bytes] = []
        write_seconds = elapsed(lambda pack=pack, to=packed: to.extend(map(pack, frames)))
        read = seconds(lambda unpack=unpack, them=packed: [*map(unpack, them)], _REPEATS)
        megabytes = frames.nbytes / 1e6
        yield {
            "format": name,
            "videos": len(videos),
            "frames": len(frames),
            "size": settings.size,
            "share_of_raw": round(sum(map(len, packed)) / frames.nbytes, 3),
            **read.row(),
            "read_mb_per_second": round(megabytes / read.p50),
            "write_mb_per_second": round(megabytes / write_seconds),
            "is_exact": all(
                np.array_equal(unpack(p), f) for p, f in zip(packed, frames, strict=True)
            ),
        }


if __name__ == "__main__":
    script("frame_formats", Formats, run, CASE, __doc__)
