"""Claim: a folder that grows costs what is new, however large its dataset is.

    OMP_NUM_THREADS=1 python -m benchmarks.growing     # some minutes and 1 GB of disk

A folder of so many videos (links to a few short clips) is a dataset with a sealed feature set of
random numbers under the recipe of a tiny model. Then, in turns, new clips come into the folder, and
`vifi scan --append` and `vifi extract` take them in. Rows say what each takes beside its floor, and
how many headers and files were read meanwhile: as many as came, and no more.

Floor of the scan: listing the folder once by os.walk and reading the headers of what is new. What
comes on top is to know of every listed file by its name that the dataset has it, some microseconds
each, and to write the last chunk of each column. Floor of the extraction: the same clips as a
dataset of their own. What comes on top is to read the status of all videos, to copy the last block,
and to seal the set anew over the checksums of all chunks.
"""

import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

from benchmarks.generated import random_block, unsynced
from vifi.bench.bench_settings import Bench
from vifi.bench.inputs import scanned, write_noise_clip
from vifi.bench.recording import in_scratch, script
from vifi.bench.timing import Call, elapsed, pairs_of
from vifistore.extract.extract_settings import ExtractSettings
from vifistore.extract.job import extract_dataset
from vifistore.extract.prepare import prepare
from vifistore.models.encoders import LoadedModel
from vifistore.models.towers import load_model
from vifistore.scanning.growing import StoredFiles
from vifistore.scanning.scan import add_new, scan_new
from vifistore.store.committer import BlockCommitter
from vifistore.store.dataset import Dataset
from vifistore.store.names import set_name
from vifistore.store.schema import BLOCK_SIZE
from vifistore.store.store import create_store
from vifistore.store.writer import FeatureWriter
from vifistore.videos import probe as probing
from vifistore.videos.listing import read_source

CASE = ("measure", "videos", "added")
# Fewer links of one file than a file system allows.
_LINKS = 10_000
_FOLDERS = 100

Timed = tuple[tuple[float, float], tuple[float, float]]
"""Seconds and processor time of taking in new videos, and those of its floor."""


@dataclass(frozen=True, kw_only=True)
class Growing(Bench):
    """Size of the benchmark."""

    num_videos: int = 100_000
    """Videos that are there already."""
    num_added: int = 10
    """Videos that come at a time."""
    num_frames: int = 2
    """Frames of a video."""
    pairs: int = 5
    """Times that videos come and are counted."""


@in_scratch
def run(settings: Growing, scratch: Path) -> Iterator[dict]:
    """A row of the scan and one of the extraction."""
    extraction = ExtractSettings(
        model="vifi-tiny", pretrained="none", frames=settings.num_frames, name="mine"
    )
    loaded = load_model(extraction.model, extraction.pretrained)
    with unsynced():
        dataset = begun(scratch, settings, extraction, loaded)
    scans, extractions = [], []
    # The first time is not counted: it imports and fills caches.
    for number in range(settings.pairs + 1):
        new = arrived(dataset, number, settings)
        scans.append(scan_pair(dataset, new))
        own = scanned(scratch / f"own{number}.zarr", as_folder(scratch / f"own{number}", new))
        both = (dataset, own.dataset("videos"))
        extractions.append(
            tuple(timed(lambda d=d: extract_dataset(d, extraction, loaded=loaded)) for d in both)
        )
    for measure, taken in (("scan", scans), ("extract", extractions)):
        yield row(measure, settings, taken[1:])


def begun(
    scratch: Path, settings: Growing, extraction: ExtractSettings, loaded: LoadedModel
) -> Dataset:
    """A dataset of linked clips whose videos all have embeddings, under a sealed set."""
    folder = scratch / "videos"
    for number in range(_FOLDERS):
        (folder / str(number)).mkdir(parents=True)
    for number in range(settings.num_videos):
        clip = scratch / f"clip{number // _LINKS}.mp4"
        if not clip.exists():
            write_noise_clip(clip, number)
        os.link(clip, folder / str(number % _FOLDERS) / f"{number:08d}.mp4")
    dataset = create_store(scratch / "s.zarr").new_dataset("videos")
    listing = read_source(folder)
    header = probing.probe(scratch / "clip0.mp4")
    add_new(dataset, listing, StoredFiles(None), dict.fromkeys(listing.paths, header))
    job = prepare(dataset, extraction, loaded)
    writer = FeatureWriter(dataset, job.recipe.as_dict(), job.shape, {"host": "benchmark"})
    writer.claim(blocks := writer.todo_blocks())
    data = random_block(BLOCK_SIZE, settings.num_frames, loaded.dim)
    with BlockCommitter(writer) as committer:
        for block in blocks:
            rows = list(writer.block_rows(block))
            committer.add(block, rows, {name: data[name][: len(rows)] for name in data})
    writer.seal()
    writer.release()
    set_name(dataset, job.name, writer.id, loaded.digest, force=False)
    return dataset


def arrived(dataset: Dataset, number: int, settings: Growing) -> list[Path]:
    """New clips in the folder of a dataset."""
    seeds = range(number * settings.num_added, (number + 1) * settings.num_added)
    new = [Path(str(dataset.root()), "0", f"new{seed:06d}.mp4") for seed in seeds]
    for path, seed in zip(new, seeds, strict=True):
        write_noise_clip(path, 1_000_000 + seed)
    return new


def timed(call: Call) -> tuple[float, float]:
    """Seconds of a call, and processor time of this process meanwhile."""
    start = time.process_time()
    return elapsed(call), time.process_time() - start


def scan_pair(dataset: Dataset, new: list[Path]) -> Timed:
    """What it takes to scan that adds new clips, and of its floor."""
    folder = Path(str(dataset.root()))
    with mock.patch.object(probing, "probe", wraps=probing.probe) as probed:
        ours = timed(lambda: scan_new(dataset, read_source(folder), append=True))
    assert probed.call_count == len(new), "the scan has opened what the dataset has"

    def floor() -> None:
        sum(len(files) for _, _, files in os.walk(folder))
        list(probing.probe_all(new))

    return ours, timed(floor)


def as_folder(folder: Path, files: list[Path]) -> Path:
    """A folder of its own with copies of some files."""
    (folder / "0").mkdir(parents=True)
    for file in files:
        shutil.copy(file, folder / "0" / file.name)
    return folder


def row(measure: str, settings: Growing, taken: list[Timed]) -> dict:
    """What taking in new videos takes beside its floor."""
    seconds = pairs_of((ours[0], floor[0]) for ours, floor in taken)
    processor = pairs_of((ours[1], floor[1]) for ours, floor in taken)
    on_top = 1e6 * (processor.ours.p50 - processor.reference.p50) / settings.num_videos
    return {
        "measure": measure,
        "videos": settings.num_videos,
        "added": settings.num_added,
        **seconds.row(),
        "processor_ms": round(1e3 * processor.ours.p50, 1),
        "reference_processor_ms": round(1e3 * processor.reference.p50, 1),
        "processor_microseconds_on_top_per_known_video": round(on_top, 2),
    }


if __name__ == "__main__":
    script("growing", Growing, run, CASE, __doc__)
