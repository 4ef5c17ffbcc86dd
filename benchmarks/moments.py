"""Claim: the ten best moments of 1,000 hours are found in under 100 ms.

    python -m benchmarks.moments                 # 3.6 million frames: half an hour, 8 GB of disk
    python -m benchmarks.moments --num-files 20 --num-queries 5

A sealed store of generated frames (`benchmarks/drifting_frames.py`) at one frame a second: 500
files of two hours, each cut into 240 rows of 30 seconds. Texts off the frames' cone are searched
for one at a time, warm: the ten best moments by `half-way`, each with the curve of its file, in
turns with the same by reading every frame, and their answers are compared. *given* knows the best
frames before: it is what is left to do behind an index. The other row is of the store's index.

Floor: of every file that may hold an answer all frames are read, 7 MB of two hours at one frame a
second and 512 dimensions, at the speed of memory; before that what the index reads.
"""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.drifting_frames import DriftingFrames
from benchmarks.generated import Arrays, block_arrays, unsynced, write_set
from benchmarks.indexed_frames import NEIGHBOURS, IndexedFrames, tuned
from harness.retrieval.exact_frames import ExactFrames
from harness.retrieval.frame_hits import FrameHits
from harness.retrieval.hits import Match
from harness.retrieval.indexing.bundle_building import build_frame_index
from harness.retrieval.indexing.frame_index import BestFrames, open_frame_index
from harness.retrieval.moments.moments import find_moments
from harness.timelines import Timelines
from vifi.bench.recording import script
from vifi.bench.timing import elapsed, pairs_of, quantiles
from vifistore.progress import Progress
from vifistore.store.dataset import Dataset, write_videos
from vifistore.store.features import Features
from vifistore.store.schema import BLOCK_SIZE, STRETCH_COLUMNS, VIDEO_COLUMNS
from vifistore.store.store import create_store, open_store
from vifistore.store.writer import Shape

CASE = ("index", "files", "frames", "dim", "clusters")
_MOST_ROWS = 320


@dataclass(frozen=True, kw_only=True)
class MomentsBenchmark(IndexedFrames):
    """What is searched."""

    num_files: int = 500
    """Files of the store."""
    rows_per_file: int = 240
    """Rows that each is cut into."""
    num_frames: int = 30
    """Frames of a row, one a second."""
    num_clusters: int = 2000
    """Clusters that the rows lie around."""
    num_scans: int = 3
    """Of these, how many are searched for in all frames as well."""
    folder: Path | None = None
    """Where the store is written and removed. Default: the system's for temporary files."""


def run(settings: MomentsBenchmark) -> Iterator[dict]:
    """A row per way to find the files."""
    with tempfile.TemporaryDirectory(dir=settings.folder) as folder:
        yield from rows_of(settings, Path(folder) / "S.zarr")


def rows_of(settings: MomentsBenchmark, path: Path) -> Iterator[dict]:
    """The same, of a store that is written at `path`."""
    frames = DriftingFrames(
        num_videos=settings.num_files * settings.rows_per_file,
        num_frames=settings.num_frames,
        dim=settings.dim,
        num_clusters=settings.num_clusters,
    )
    queries = frames.texts(settings.num_queries)
    features = write_films(path, frames, settings.rows_per_file)
    timelines = Timelines(features)
    yield measured(settings, timelines, GivenFrames(features, queries), queries)
    cache = open_store(path).cache_folder
    tuned(features, build_frame_index(cache, features), settings.recall)
    yield measured(settings, timelines, open_frame_index(cache, features), queries)


class GivenFrames:
    """An index that has been asked all queries before."""

    kind = "given"

    def __init__(self, features: Features, queries: np.ndarray) -> None:
        hits = ExactFrames(features).nearest_videos(queries, _MOST_ROWS)
        self._hits = {
            query.tobytes(): FrameHits(*(values[[number]] for values in hits))
            for number, query in enumerate(queries)
        }

    def nearest_videos(
        self, queries: np.ndarray, k: int, allowed: np.ndarray | None = None
    ) -> FrameHits:
        """The best frames of the k best rows of one query, of at most 320."""
        (query,) = queries
        return FrameHits(*(values[:, :k] for values in self._hits[query.tobytes()]))


def measured(
    settings: MomentsBenchmark, timelines: Timelines, index: BestFrames, queries: np.ndarray
) -> dict:
    """Time and recall of an index beside a scan of all frames, in turns; the index also warm, for
    all queries one after another."""
    scanned: list[list[Match]] = []
    found: list[list[Match]] = []

    def ask(answers: list[list[Match]], query: np.ndarray, index: BestFrames | None) -> float:
        return elapsed(
            lambda: answers.extend(find_moments(timelines, query[None], NEIGHBOURS, index=index))
        )

    turns = [(ask(found, q, index), ask(scanned, q, None)) for q in queries[: settings.num_scans]]
    shares = [share_found(*pair) for pair in zip(found, scanned, strict=True)]
    warm = quantiles(ask([], query, index) for query in queries)
    return {
        "index": index.kind,
        "files": settings.num_files,
        "frames": int(np.prod([settings.num_files, settings.rows_per_file, settings.num_frames])),
        "dim": settings.dim,
        "clusters": settings.num_clusters,
        **pairs_of(turns).row(),
        **warm.row("warm_"),
        "recall_at_10": round(float(np.mean(shares)), 4),
    }


def share_found(found: list[Match], right: list[Match]) -> float:
    """Share of the right moments that are among those found."""
    keys = {(match.row, match.start_seconds) for match in found}
    return float(np.mean([(match.row, match.start_seconds) in keys for match in right]))


def write_films(path: Path, frames: DriftingFrames, rows_per_file: int) -> Features:
    """Write and seal a store of files that are cut into rows."""
    dataset = create_store(path).new_dataset("d")
    add_stretches(dataset, frames.num_videos, rows_per_file, frames.num_frames)
    seconds = np.arange(frames.num_frames, dtype=np.float32) + 0.5
    bar = Progress(total=frames.num_videos, desc="generate", unit="row")

    def make(rows: list[int]) -> Arrays:
        arrays = block_arrays(frames.block(rows[0] // BLOCK_SIZE)[:, None])
        starts = np.array(rows, np.float32) % rows_per_file * frames.num_frames
        arrays["timestamps"] = starts[:, None, None] + seconds
        bar.update(len(rows))
        return arrays

    shape = Shape(video=frames.num_videos, view=1, frame=frames.num_frames, dim=frames.dim)
    with bar, unsynced():
        writer = write_set(dataset, shape, make)
        writer.seal()
    writer.release()
    (only,) = dataset.feature_ids()
    return open_store(path).dataset("d").features(only)


def add_stretches(dataset: Dataset, num_rows: int, rows_per_file: int, seconds: int) -> None:
    """Write a table of files that are cut into rows of so many seconds."""
    numbers = np.arange(num_rows)
    columns = {name: numbers.astype(s.dtype) for name, s in VIDEO_COLUMNS.items() if s.fill != ""}
    starts = numbers % rows_per_file * float(seconds)
    names = [f"film{number // rows_per_file:05d}.mp4" for number in numbers]
    start, end = STRETCH_COLUMNS
    told = {"id": [f"{n}@{s:g}" for n, s in zip(names, starts, strict=True)], "path": names}
    told |= {"label": [""] * num_rows, start: starts, end: starts + seconds}
    told["duration_seconds"] = np.full(num_rows, float(rows_per_file * seconds))
    write_videos(dataset, pd.DataFrame({**columns, **told}), [], "/videos")


if __name__ == "__main__":
    script("moments", MomentsBenchmark, run, CASE, __doc__)
