"""Claim: a decode worker needs few large frames at a time, whichever decoder is asked for.

    python -m benchmarks.worker_memory        # four minutes, one core

Makes one H.264 video per size, of two-coloured frames, has one worker of a pool read 32 of them and
cut squares of 224, and notes the most memory that the worker held: one row per size and decoder.
`all_frames_mb` is what the frames take in full size.
Expected: 4096 x 4096 and 7680 x 4320 take under 600 MB, for 1.6 and 3.2 GB of frames.
"""

import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vifi.bench.bench_settings import Bench
from vifi.bench.inputs import write_clip
from vifi.bench.recording import script
from vifi.bench.timing import peak_mebibytes
from vifistore.errors import DecodeError
from vifistore.frames.processes.pool import DecodePool
from vifistore.frames.squares import Squares

CASE = ("width", "height", "decoder", "frames")
SQUARES = Squares(size=224, short_side=224, interpolation="bicubic", crops=1)


@dataclass(frozen=True, kw_only=True)
class Memory(Bench):
    """What is read."""

    sizes: tuple[tuple[int, int], ...] = ((1920, 1080), (3840, 2160), (4096, 4096), (7680, 4320))
    """Width and height of each video, pixels."""
    decoders: tuple[str, ...] = ("decord", "pyav")
    """Read with each."""
    frames: int = 32
    """Frames per video."""


def run(settings: Memory) -> Iterator[dict]:
    """One row per size and decoder."""
    for width, height in settings.sizes:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "video.mp4"
            write_clip(path, (width, height), two_coloured(width, height, settings.frames))
            for decoder in settings.decoders:
                found = _measured(path, decoder, settings.frames)
                yield {"width": width, "height": height, **found}


def two_coloured(width: int, height: int, frames: int) -> Iterator[np.ndarray]:
    """Pictures that differ, uint8 [height width 3]: grey comes down over black."""
    image = np.zeros((height, width, 3), np.uint8)
    for number in range(frames):
        image[: height * (number + 1) // frames] = 200
        yield image


def _measured(path: Path, decoder: str, frames: int) -> dict:
    with DecodePool(1, frames=frames, clips=1, decoder=decoder, squares=SQUARES) as pool:
        start = time.perf_counter()
        ((_, video),) = pool.decode([(0, path)])
        seconds = time.perf_counter() - start
        peak = peak_mebibytes(pool.worker_pids[0]) * 2**20
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
    }


if __name__ == "__main__":
    script("worker_memory", Memory, run, CASE, __doc__)
