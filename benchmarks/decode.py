"""Claim: decoding keeps all cores busy, and handing frames over costs little beside it.

    python benchmarks/decode.py FOLDER            # a minute for 100 short clips on two cores

Decodes the videos of a folder with every installed decoder, in this process and through the pool,
and adds one row each to `benchmarks/results/decode.csv`: videos and sampled frames per second,
with machine and versions. The pool starts before the clock. Expected on two idle cores: a pool of
two gives 1.7 to 2 times the videos per second of the plain call.
"""

import csv
import os
import platform
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import tyro

from vifistore.errors import DecodeError, UsageError
from vifistore.frames.decoding import DECODERS, DecodedVideo, decode_video, decoder_version
from vifistore.frames.pool import DecodePool

RESULTS = Path(__file__).parent / "results" / "decode.csv"
SUFFIXES = {".mp4", ".mkv", ".avi", ".webm", ".mov"}
COLUMNS = [
    "decoder",
    "version",
    "workers",
    "clip_frames",
    "videos",
    "failed",
    "megabytes",
    "seconds",
    "videos_per_second",
    "frames_per_second",
    "machine",
    "python",
    "time",
]

Results = Iterable[DecodedVideo | DecodeError]


@dataclass(frozen=True, kw_only=True)
class Decode:
    """What is decoded, and how."""

    folder: tyro.conf.Positional[Path]
    """Folder of videos."""
    frames: int = 32
    """Frames per video."""
    workers: int = os.cpu_count() or 1
    """Worker processes of the pool; 0 workers in a row means the plain call in one process."""
    limit: int = 100
    """Videos at most, evenly drawn from the folder."""
    results: Path = RESULTS
    """CSV file that the rows are added to."""


def main(settings: Decode) -> None:
    """Measure every installed decoder and add the rows to the results."""
    paths = sorted(p for p in settings.folder.rglob("*") if p.suffix.lower() in SUFFIXES)
    paths = paths[:: max(1, -(-len(paths) // settings.limit))]
    for path in paths:
        path.read_bytes()  # so that no decoder pays for the first reading
    is_new = not settings.results.exists()
    settings.results.parent.mkdir(parents=True, exist_ok=True)
    with settings.results.open("a", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        if is_new:
            writer.writeheader()
        for row in rows(paths, settings):
            writer.writerow(row)
            print(*(row[name] for name in COLUMNS[:10]), sep="  ")


def rows(paths: list[Path], settings: Decode) -> Iterator[dict]:
    """Two rows per decoder: the plain call, and the pool."""
    for decoder in DECODERS:
        try:
            release = decoder_version(decoder)
        except UsageError as error:
            print(error)
            continue
        row = {"decoder": decoder, "version": release, "clip_frames": settings.frames}
        yield row | {"workers": 0} | measured(lambda d=decoder: plain(paths, d, settings))
        with DecodePool(settings.workers, frames=settings.frames, clips=1, decoder=decoder) as pool:
            list(pool.decode((path, path) for path in paths[: settings.workers]))
            yield (
                row
                | {"workers": settings.workers}
                | measured(
                    lambda pool=pool: (result for _, result in pool.decode((p, p) for p in paths))
                )
            )


def plain(
    paths: list[Path], decoder: str, settings: Decode
) -> Iterator[DecodedVideo | DecodeError]:
    """The videos, decoded one after the other in this process."""
    for path in paths:
        try:
            yield decode_video(path, frames=settings.frames, clips=1, decoder=decoder)
        except DecodeError as error:
            yield error


def measured(decode: Callable[[], Results]) -> dict:
    """What one run over all videos gave, and on which machine."""
    start = time.perf_counter()
    videos = failed = frames = size = 0
    for result in decode():
        if isinstance(result, DecodeError):
            failed += 1
        else:
            videos += 1
            frames += result.index.size
            size += result.frames.nbytes
    seconds = time.perf_counter() - start
    return {
        "videos": videos,
        "failed": failed,
        "megabytes": round(size / 1e6),
        "seconds": round(seconds, 2),
        "videos_per_second": round(videos / seconds, 1),
        "frames_per_second": round(frames / seconds),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "python": platform.python_version(),
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
    }


if __name__ == "__main__":
    main(tyro.cli(Decode, description=__doc__))
