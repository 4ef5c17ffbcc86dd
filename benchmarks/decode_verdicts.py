"""Claim: every file of a folder ends with a verdict, with every decoder; none hangs or kills a run.

    python benchmarks/decode_verdicts.py FOLDER

Prints how many files end with which verdict, and writes one line per file and decoder to
`benchmarks/results/decode_verdicts.csv`: `ok` or the reason, what read the frames, frames decoded
and declared, size, and the message. About half a minute for 160 short clips on two cores.
"""

import csv
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import tyro

from vifistore.errors import DecodeError, UsageError
from vifistore.frames.decoding import DECODERS, DecodedVideo, decoder_version
from vifistore.frames.pool import DecodePool

RESULTS = Path(__file__).parent / "results" / "decode_verdicts.csv"
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
class Verdicts:
    """What is decoded, and how."""

    folder: tyro.conf.Positional[Path]
    """Folder of videos; all files below it are tried, whatever they are."""
    frames: int = 16
    """Frames per video."""
    timeout_seconds: float = 60.0
    """Time limit per video."""
    results: Path = RESULTS
    """CSV file that is written."""


def main(settings: Verdicts) -> None:
    """Decode all files with all installed decoders, write the table and print its sums."""
    paths = sorted(path for path in settings.folder.rglob("*") if path.is_file())
    rows = [row for decoder in DECODERS for row in verdicts(paths, decoder, settings)]
    settings.results.parent.mkdir(parents=True, exist_ok=True)
    with settings.results.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, restval="")
        writer.writeheader()
        writer.writerows(rows)
    for (decoder, verdict), number in sorted(Counter(map(summary, rows)).items()):
        print(f"{decoder:10}  {verdict:20}  {number:4}")


def summary(row: dict) -> tuple[str, str]:
    """What rows are counted by."""
    return row["decoder"], row["verdict"]


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
    main(tyro.cli(Verdicts, description=__doc__))
