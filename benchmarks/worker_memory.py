"""Claim: a decode worker needs few large frames at a time, whichever decoder is asked for.

    python benchmarks/worker_memory.py        # four minutes, one core

Makes one H.264 video per size, of two-coloured frames, has one worker of a pool read 32 of them and
cut squares of 224, and notes the most memory that the worker held: one row per size and decoder in
`benchmarks/results/worker_memory.csv`. `all_frames_mb` is what the frames take in full size.
Expected: 4096 x 4096 and 7680 x 4320 take under 600 MB, for 1.6 and 3.2 GB of frames.
"""

import csv
import os
import platform
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import av
import numpy as np
import tyro

from vifistore.errors import DecodeError
from vifistore.frames.pool import DecodePool
from vifistore.frames.squares import Squares

RESULTS = Path(__file__).parent / "results" / "worker_memory.csv"
SQUARES = Squares(size=224, short_side=224, interpolation="bicubic", crops=1)


@dataclass(frozen=True, kw_only=True)
class Memory:
    """What is read."""

    sizes: tuple[tuple[int, int], ...] = ((1920, 1080), (3840, 2160), (4096, 4096), (7680, 4320))
    """Width and height of each video, pixels."""
    decoders: tuple[str, ...] = ("decord", "pyav")
    """Read with each."""
    frames: int = 32
    """Frames per video."""
    results: Path = RESULTS
    """CSV file that the rows are added to."""


def write_video(path: Path, width: int, height: int, frames: int) -> None:
    """An H.264 video whose frames differ."""
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=25, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        image = np.zeros((height, width, 3), np.uint8)
        for number in range(frames):
            image[: height * (number + 1) // frames] = 200
            output.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        output.mux(stream.encode())


def _peak_bytes(pid: int) -> int:
    """The most memory that a process held so far."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    (line,) = [line for line in lines if line.startswith("VmHWM")]
    return int(line.split()[1]) * 1024


def rows(settings: Memory, folder: Path) -> Iterator[dict]:
    """One row per size and decoder."""
    for width, height in settings.sizes:
        path = folder / f"{width}x{height}.mp4"
        write_video(path, width, height, settings.frames)
        for decoder in settings.decoders:
            yield {"width": width, "height": height, **_measured(path, decoder, settings.frames)}


def _measured(path: Path, decoder: str, frames: int) -> dict:
    with DecodePool(1, frames=frames, clips=1, decoder=decoder, squares=SQUARES) as pool:
        start = time.perf_counter()
        ((_, video),) = pool.decode([(0, path)])
        seconds = time.perf_counter() - start
        peak = _peak_bytes(pool.worker_pids[0])
    if isinstance(video, DecodeError):
        raise video
    return {
        "decoder": decoder,
        "read_by": video.decoder,
        "frames": len(video.frames),
        "file_kb": round(path.stat().st_size / 1e3),
        "all_frames_mb": round(3 * video.width * video.height * len(video.frames) / 1e6),
        "worker_peak_mb": round(peak / 1e6),
        "seconds": round(seconds, 1),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "versions": f"av {version('av')}, decord2 {version('decord2')}",
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def main(settings: Memory) -> None:
    """Measure every size and add the rows to the results."""
    is_new = not settings.results.exists()
    settings.results.parent.mkdir(parents=True, exist_ok=True)
    with (
        settings.results.open("a", newline="") as file,
        tempfile.TemporaryDirectory() as folder,
    ):
        writer = None
        for row in rows(settings, Path(folder)):
            if writer is None:
                writer = csv.DictWriter(file, list(row))
                if is_new:
                    writer.writeheader()
            writer.writerow(row)
            print(row, flush=True)


if __name__ == "__main__":
    main(tyro.cli(Memory, description=__doc__))
