"""Claim: raw frames are read faster than any packed form of them, which is why the cache keeps raw.

    python benchmarks/frame_formats.py FOLDER        # half a minute for 12 videos, one core

Cuts squares of sampled frames of the videos of a folder, as the frame cache keeps them, packs them
in every format, and reads them back until there is a number: one row per format in
`benchmarks/results/frame_formats.csv`, with size, speed, machine and versions. Expected: raw is
read at least twice as fast as Zstandard, 10 times as fast as PNG; JPEG is smallest, and not exact.
"""

import csv
import io
import os
import platform
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import numpy as np
import tyro
from numcodecs import Zstd
from PIL import Image

from vifistore.frames.decoding import decode_video
from vifistore.frames.squares import Squares

RESULTS = Path(__file__).parent / "results" / "frame_formats.csv"
SUFFIXES = {".mp4", ".mkv", ".avi", ".webm", ".mov"}
_ZSTD = Zstd(level=1)
_REPEATS = 3

Pack = Callable[[np.ndarray], bytes]
Unpack = Callable[[bytes], np.ndarray]


@dataclass(frozen=True, kw_only=True)
class Formats:
    """What is packed."""

    folder: tyro.conf.Positional[Path]
    """Folder of videos."""
    frames: int = 32
    """Frames per video."""
    size: int = 224
    """Side of a square, pixels."""
    limit: int = 12
    """Videos at most, evenly drawn from the folder."""
    results: Path = RESULTS
    """CSV file that the rows are added to."""


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


def rows(settings: Formats) -> Iterator[dict]:
    """One row per format."""
    paths = sorted(p for p in settings.folder.rglob("*") if p.suffix.lower() in SUFFIXES)
    paths = paths[:: max(1, -(-len(paths) // settings.limit))]
    side = settings.size
    squares = Squares(size=side, short_side=side, interpolation="bicubic", crops=1)
    videos = [decode_video(p, frames=settings.frames, clips=1, decoder="decord") for p in paths]
    frames = np.concatenate([squares.cut(video.frames)[0] for video in videos])
    for name, (pack, unpack) in formats(frames.shape[1:]).items():
        start = time.perf_counter()
        packed = [pack(frame) for frame in frames]
        write_seconds = time.perf_counter() - start
        read_seconds = min(_timed(packed, unpack) for _ in range(_REPEATS))
        megabytes = frames.nbytes / 1e6
        yield {
            "format": name,
            "videos": len(videos),
            "frames": len(frames),
            "size": settings.size,
            "share_of_raw": round(sum(map(len, packed)) / frames.nbytes, 3),
            "read_mb_per_second": round(megabytes / read_seconds),
            "write_mb_per_second": round(megabytes / write_seconds),
            "is_exact": all(
                np.array_equal(unpack(p), f) for p, f in zip(packed, frames, strict=True)
            ),
            "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
            "versions": f"numcodecs {version('numcodecs')}, pillow {version('pillow')}",
            "time": datetime.now(UTC).isoformat(timespec="seconds"),
        }


def _timed(packed: list[bytes], unpack: Unpack) -> float:
    start = time.perf_counter()
    for data in packed:
        unpack(data)
    return time.perf_counter() - start


def main(settings: Formats) -> None:
    """Measure every format and add the rows to the results."""
    is_new = not settings.results.exists()
    settings.results.parent.mkdir(parents=True, exist_ok=True)
    with settings.results.open("a", newline="") as file:
        writer = None
        for row in rows(settings):
            if writer is None:
                writer = csv.DictWriter(file, list(row))
                if is_new:
                    writer.writeheader()
            writer.writerow(row)
            print(*list(row.values())[:8], sep="  ")


if __name__ == "__main__":
    main(tyro.cli(Formats, description=__doc__))
