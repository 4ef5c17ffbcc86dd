"""Claim: every file of a folder ends with a verdict, with every decoder; none hangs or kills a run.

    python -m benchmarks.decode_verdicts FOLDER

One row per decoder and verdict: how many files end with it. A table beside the rows,
`decode_verdicts.csv`, has one line per file and decoder: `ok` or the reason, what read the frames,
frames decoded and declared, size, and the message. About half a minute for 160 short clips on two
cores.
"""

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import tyro

from vifi.bench.bench_settings import Bench
from vifi.bench.recording import results_folder, script
from vifistore.errors import DecodeError, UsageError
from vifistore.frames.decoders.decoding import DECODERS, DecodedVideo, decoder_version
from vifistore.frames.processes.pool import DecodePool

CASE = ("decoder", "verdict")
COLUMNS = [
    "file",
    "decoder",
    "version",
    "verdict",
    "read_by",
    "num_frames",
    "declared_frames",
    "width",
    "height",
    "message",
]


@dataclass(frozen=True, kw_only=True)
class Verdicts(Bench):
    """What is decoded, and how."""

    folder: tyro.conf.Positional[Path]
    """Folder of videos; all files below it are tried, whatever they are."""
    frames: int = 16
    """Frames per video."""
    timeout_seconds: float = 60.0
    """Time limit per video."""


def run(settings: Verdicts) -> Iterator[dict]:
    """A row per decoder and verdict; writes the table of all files."""
    paths = sorted(path for path in settings.folder.rglob("*") if path.is_file())
    found = [row for decoder in DECODERS for row in verdicts(paths, decoder, settings)]
    folder = results_folder(settings)
    folder.mkdir(parents=True, exist_ok=True)
    table = pd.DataFrame(found, columns=COLUMNS).convert_dtypes()
    table.to_csv(folder / "decode_verdicts.csv", index=False)
    numbers = Counter((row["decoder"], row["verdict"]) for row in found)
    for (decoder, verdict), number in sorted(numbers.items()):
        yield {"decoder": decoder, "verdict": verdict, "files": number}


def verdicts(paths: list[Path], decoder: str, settings: Verdicts) -> Iterator[dict]:
    """One row per file; a single row that says so for a decoder that is not installed."""
    try:
        release = decoder_version(decoder)
    except UsageError as error:
        yield {"decoder": decoder, "verdict": "not installed", "message": str(error)}
        return
    with DecodePool(
        os.cpu_count() or 1,
        frames=settings.frames,
        clips=1,
        decoder=decoder,
        timeout_seconds=settings.timeout_seconds,
    ) as pool:
        for path, result in pool.decode((path, path) for path in paths):
            name = path.relative_to(settings.folder).as_posix()
            yield {"file": name, "decoder": decoder, "version": release} | described(result, path)


def described(result: DecodedVideo | DecodeError, path: Path) -> dict:
    """The columns that tell of one result."""
    if isinstance(result, DecodeError):
        message = str(result).removeprefix(f"{path.absolute()}: ")
        return {"verdict": result.reason, "message": message}
    return {
        "verdict": "ok",
        "read_by": result.decoder,
        "num_frames": result.num_frames,
        "declared_frames": result.declared_frames,
        "width": result.width,
        "height": result.height,
    }


if __name__ == "__main__":
    script("decode_verdicts", Verdicts, run, CASE, __doc__)
