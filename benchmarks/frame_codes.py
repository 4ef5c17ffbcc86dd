"""Claim: no kind of compressed vectors finds frames twice as fast as FAISS's product quantisation
at equal recall and bytes: its other kinds, turbovec, usearch, and our bundles beside it.

    python -m benchmarks.frame_codes                     # 200,000 frames: some ten minutes
    pip install turbovec usearch                         # else their rows are left out

All on the same generated frames (`benchmarks/drifting_frames.py`) and the same texts off their
cone, one at a time. Each kind gives a thousand candidates, whose exact cosines are then taken from
the float16 frames, as a search does: the ten videos with the best frame are compared with those of
all frames. Bundles give as many as hold some thousand frames. What all frames share is taken off
before they are coded.

Floor: bytes of the codes that are looked at, at the rate of memory; 102 MB for 4 bits of 200,000
x 512, some 10 ms.
"""

import importlib
import importlib.util
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import faiss
import numpy as np

from benchmarks.drifting_frames import DriftingFrames
from harness.retrieval.frame_hits import best_of_videos, merged, no_hits
from harness.retrieval.frame_vectors import FrameVectors
from harness.retrieval.indexing.bundle_codes import train_codebook
from harness.retrieval.indexing.bundles import Bundles, bundles_of
from vifi.bench.bench_settings import Bench
from vifi.bench.recording import script
from vifi.command_line.console import say
from vifistore.store.zarr_format.block_ranges import num_blocks

CASE = ("kind", "frames", "clusters")
_NEIGHBOURS = 10
_CANDIDATES = 1000
_FACTORY = (
    *("Flat", "SQ8", "SQ4", "PQ128x4fs", "PQ256x4fs", "RaBitQ", "RaBitQfs"),
    *("IVF512,SQ8", "IVF512,SQ4", "IVF512,PQ256x4fs", "IVF512,RaBitQfs"),
)
_PROBED = 32

Search = Callable[[np.ndarray, int], np.ndarray]
"""A query [1 dim] and how many -> the frames that are candidates, int64 [candidate]."""


@dataclass(frozen=True, kw_only=True)
class FrameCodes(Bench):
    """What is coded."""

    num_videos: int = 3334
    """Videos of 60 frames."""
    num_frames: int = 60
    """Frames of each."""
    dim: int = 512
    """Dimensions of a frame."""
    num_clusters: tuple[int, ...] = (64, 0)
    """Clusters that the videos lie around; 0 for none."""
    num_queries: int = 100
    """Texts that are searched for."""
    kinds: tuple[str, ...] = (*_FACTORY, "turbovec4", "turbovec2", "usearch-i8", "bundles")
    """Kinds of index: those of FAISS's factory, turbovec of 4 or 2 bits, usearch, bundles."""


@dataclass(frozen=True, kw_only=True)
class Frames:
    """Frames to be coded, and those to be found."""

    stored: np.ndarray
    """float16 [frame dim]"""
    rows: np.ndarray
    """int64 [frame]: the video of each."""
    centre: np.ndarray
    """float32 [dim]"""
    num_frames: int

    def coded(self, start: int, stop: int) -> np.ndarray:
        """What is coded of some frames, float32 [frame dim]."""
        return self.stored[start:stop].astype(np.float32) - self.centre

    def pieces(self) -> Iterator[np.ndarray]:
        """What is coded of all, float32 [frame dim] each."""
        for start in range(0, len(self.stored), 1 << 14):
            yield self.coded(start, start + (1 << 14))

    def best(self, query: np.ndarray, chosen: np.ndarray) -> np.ndarray:
        """The best ten videos of a query [1 dim] by some frames [candidate], int64 [video]."""
        chosen = np.sort(chosen[chosen >= 0])
        vectors = self.stored[chosen].astype(np.float32)
        cosines = query @ vectors.T / np.linalg.norm(vectors, axis=1)
        hits = best_of_videos(cosines, self.rows[chosen], chosen)
        return merged(no_hits(1, _NEIGHBOURS), hits).rows[0]


def run(settings: FrameCodes) -> Iterator[dict]:
    """A row per kind of index and set of frames."""
    for clusters in settings.num_clusters:
        made = DriftingFrames(
            num_videos=settings.num_videos,
            num_frames=settings.num_frames,
            dim=settings.dim,
            num_clusters=clusters,
        )
        frames, queries = generated(made), made.texts(settings.num_queries)
        right = best_of_all(frames, queries)
        for kind in settings.kinds:
            if (package := _package(kind)) and importlib.util.find_spec(package) is None:
                say(f"{kind} is left out: {package} is not installed")
                continue
            row = {"kind": kind, "frames": len(frames.stored), "clusters": clusters}
            yield {**row, **measured(kind, frames, queries, right)}


def generated(made: DriftingFrames) -> Frames:
    """All frames of some videos, in memory."""
    blocks = [made.block(number) for number in range(num_blocks(made.num_videos))]
    stored = np.concatenate([b.reshape(-1, made.dim).astype(np.float16) for b in blocks])
    rows = np.repeat(np.arange(made.num_videos), made.num_frames)
    centre = stored[:: max(1, len(stored) // 10_000)].astype(np.float32).mean(axis=0)
    return Frames(stored=stored, rows=rows, centre=centre, num_frames=made.num_frames)


def best_of_all(frames: Frames, queries: np.ndarray) -> np.ndarray:
    """The ten videos with the best frame of all for each query [query dim], int64 [query video]."""
    best = no_hits(len(queries), _NEIGHBOURS)
    step = 64 * frames.num_frames
    for start in range(0, len(frames.stored), step):
        vectors = frames.stored[start : start + step].astype(np.float32)
        cosines = queries @ vectors.T / np.linalg.norm(vectors, axis=1)
        rows = frames.rows[start : start + step]
        best = merged(best, best_of_videos(cosines, rows, np.arange(len(rows))))
    return best.rows


def measured(kind: str, frames: Frames, queries: np.ndarray, right: np.ndarray) -> dict:
    """Build an index of a kind, and search it for queries [query dim] one by one."""
    start = time.perf_counter()
    search, num_bytes = _made(kind, frames)
    taken = time.perf_counter() - start
    scans, wholes, shares = [], [], []
    search(queries[:1], _CANDIDATES)
    cpu = time.process_time()
    for query, wanted in zip(queries[:, None], right, strict=True):
        start = time.perf_counter()
        candidates = search(query, _CANDIDATES)
        scans.append(1e3 * (time.perf_counter() - start))
        found = frames.best(query, candidates)
        wholes.append(1e3 * (time.perf_counter() - start))
        shares.append(np.isin(wanted, found).mean())
    return {
        "build_seconds": round(taken, 1),
        "bytes_per_frame": round(num_bytes / len(frames.stored), 1),
        "recall_at_10": round(float(np.mean(shares)), 4),
        "scan_p50_ms": round(statistics.median(scans), 3),
        "p50_ms": round(statistics.median(wholes), 3),
        "p95_ms": round(statistics.quantiles(wholes, n=20)[-1], 3),
        "cpu_ms": round(1e3 * (time.process_time() - cpu) / len(queries), 3),
        "threads": faiss.omp_get_max_threads(),
    }


def _package(kind: str) -> str:
    return next((name for name in ("turbovec", "usearch") if kind.startswith(name)), "")


def _made(kind: str, frames: Frames) -> tuple[Search, int]:
    """What searches frames by a kind of index, and its bytes."""
    if kind == "bundles":
        return _bundles(frames)
    if kind.startswith("turbovec"):
        return _turbovec(frames, int(kind.removeprefix("turbovec")))
    if kind.startswith("usearch"):
        return _usearch(frames, kind.partition("-")[2])
    return _faiss(frames, kind)


def _faiss(frames: Frames, kind: str) -> tuple[Search, int]:
    index: Any = faiss.index_factory(len(frames.centre), kind, faiss.METRIC_INNER_PRODUCT)
    if not index.is_trained:
        step = max(1, len(frames.stored) // 50_000)
        index.train(frames.stored[::step].astype(np.float32) - frames.centre)
    for piece in frames.pieces():
        index.add(piece)
    if kind.startswith("IVF"):
        index.nprobe = _PROBED
    num_bytes = faiss.serialize_index(index).nbytes
    return lambda query, count: index.search(query, count)[1][0], num_bytes


def _turbovec(frames: Frames, bits: int) -> tuple[Search, int]:
    turbovec: Any = importlib.import_module("turbovec")
    index = turbovec.TurboQuantIndex(dim=len(frames.centre), bit_width=bits)
    step = max(1, len(frames.stored) // 1024)
    index.calibrate(frames.stored[::step].astype(np.float32) - frames.centre)
    for piece in frames.pieces():
        index.add(piece)
    index.prepare()
    num_bytes = len(index.to_bytes())
    return lambda query, count: index.search(query, count)[1][0].astype(np.int64), num_bytes


def _usearch(frames: Frames, dtype: str) -> tuple[Search, int]:
    module: Any = importlib.import_module("usearch.index")
    index = module.Index(ndim=len(frames.centre), metric="cos", dtype=dtype)
    for piece in frames.pieces():
        keys = np.arange(len(index), len(index) + len(piece))
        # It compares angles, which are those of the frames themselves.
        index.add(keys, piece + frames.centre, threads=faiss.omp_get_max_threads())
    index.expansion_search = 2 * _CANDIDATES
    with tempfile.TemporaryDirectory() as scratch:
        index.save(path := str(Path(scratch) / "index"))
        num_bytes = Path(path).stat().st_size
    return lambda query, count: index.search(query[0], count).keys.astype(np.int64), num_bytes


def _bundles(frames: Frames) -> tuple[Search, int]:
    step, made = 64 * frames.num_frames, []
    for start in range(0, len(frames.stored), step):
        vectors = frames.stored[start : start + step].astype(np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        rows = frames.rows[start : start + step]
        positions = np.arange(len(rows)) % frames.num_frames
        piece = FrameVectors(rows=rows, positions=positions, vectors=vectors)
        made.append(bundles_of(piece, frames.num_frames))
    places, means = (np.concatenate(values) for values in zip(*made, strict=True))
    bundles = Bundles(places.astype(np.int64), means)
    codebook = train_codebook(bundles.means[:: max(1, len(bundles.means) // 32_768)])
    codes = codebook.encode(bundles.means)
    scanner, firsts = codebook.scanner(codes), np.cumsum(places[:, 2]) - places[:, 2]
    share = len(places) / len(frames.stored)

    def search(query: np.ndarray, count: int) -> np.ndarray:
        _, numbers = scanner.search(query, min(len(places), round(count * share)))
        chosen = numbers[0][numbers[0] >= 0]
        counts = bundles.places[chosen, 2]
        ends = np.cumsum(counts)
        return np.arange(ends[-1]) + np.repeat(firsts[chosen] - ends + counts, counts)

    return search, codes.nbytes + 12 * len(places) + codebook.centroids.nbytes


if __name__ == "__main__":
    script("frame_codes", FrameCodes, run, CASE, __doc__)
