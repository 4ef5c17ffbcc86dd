"""FAISS indexes of a feature set: built, kept beside the store, and opened by memory mapping.

    index = open_index(store.cache_folder, features)     # exact; made if there is none
    cosines, rows = index.search(queries, 10)                    # float32, int64 [query hit]

An index lies at `indexes/<dataset>/<feature id>/<manifest>-<kind>/` in the cache. The manifest
digest changes with every sealed byte, so an index of an earlier state is never opened.
"""

import logging
import math
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import Any, Literal

import numpy as np

from harness.retrieval.indexing.index_files import load_faiss, read_index_files, write_index_files
from harness.vector_reading import done_rows, vector_blocks, video_vectors
from vifistore.errors import DamagedError, StoreError, UsageError, shell
from vifistore.store.features import Features

logger = logging.getLogger("vifi")

Kind = Literal["flat", "ivf", "hnsw"]

# HNSW: links per vector and candidates while building.
_LINKS = 32
_BUILD_CANDIDATES = 100
# IVF: training vectors per list; with fewer than FAISS's minimum there are fewer lists.
_TRAINING_PER_LIST = 64
_FEWEST_PER_LIST = 39
_MODEST_EFFORT = 4096
_FOLDER = "indexes"

# FAISS's kernels for GPUs choose among so many at most: neighbours, and lists of an IVF index.
_MOST_ON_GPU = 2048
# FAISS lets one thread at a time use a GPU.
_GPU = Lock()


@dataclass(frozen=True, kw_only=True)
class Index:
    """A FAISS index, and the videos that its vectors belong to."""

    faiss: Any
    """A `faiss.Index`, whose annotations lack most of what it has."""
    rows: np.ndarray
    """int64 [vector]: rows of the dataset, ascending."""
    kind: Kind
    effort: int = 0
    """HNSW: candidates looked at (efSearch); IVF: lists looked into (nprobe); Flat: nothing."""

    def search(
        self, queries: np.ndarray, k: int, allowed: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Cosines float32 and rows int64 [query hit], best first, of the k nearest videos.

        queries: float32 [query dim] of unit length. allowed: bool [vector], those that may be
        found. Where there are fewer than k, cosines are -inf and rows -1.
        """
        if allowed is None and self._suits_gpu(k):
            with _GPU:
                cosines, positions = self.on_gpu.search(queries, k, params=self._parameters(None))
        elif self.kind == "flat" and allowed is None and len(queries) == 1:
            cosines, positions = self._nearest(queries, k)
        else:
            cosines, positions = self.faiss.search(queries, k, params=self._parameters(allowed))
        rows = np.where(positions >= 0, self.rows[np.maximum(positions, 0)], -1)
        return np.where(positions >= 0, cosines, -np.inf), rows

    def _nearest(self, query: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """As FAISS's exact search of one query, to which FAISS gives one thread; BLAS takes all."""
        faiss = load_faiss()
        num_vectors, dim = self.faiss.ntotal, self.faiss.d
        vectors = faiss.rev_swig_ptr(self.faiss.get_xb(), num_vectors * dim)
        cosines = vectors.reshape(num_vectors, dim) @ query[0]
        best = np.argpartition(-cosines, min(k, num_vectors) - 1)[:k]
        best = best[np.lexsort((best, -cosines[best]))]
        padding = (0, k - len(best))
        nearest = np.pad(cosines[best], padding, constant_values=-np.inf)
        return nearest[None], np.pad(best, padding, constant_values=-1)[None]

    def vector(self, row: int) -> np.ndarray:
        """The vector of a video, float32 [dim]. Raises UsageError if the video has none."""
        position = int(np.searchsorted(self.rows, row))
        if position == len(self.rows) or self.rows[position] != row:
            raise UsageError(
                f"video {row} has no embedding (it is quarantined or still to do); see "
                "vifi info S --quarantine"
            )
        return self.faiss.reconstruct(position)

    def _suits_gpu(self, k: int) -> bool:
        """Whether there is a GPU that takes this kind of index and that many neighbours."""
        return self.kind != "hnsw" and max(k, self.effort) <= _MOST_ON_GPU and has_gpu()

    @cached_property
    def on_gpu(self) -> Any:
        """The `faiss.Index` on a GPU."""
        faiss = load_faiss()
        return faiss.index_cpu_to_gpu(faiss.StandardGpuResources(), 0, self.faiss)

    def _parameters(self, allowed: np.ndarray | None) -> Any:
        """`faiss.SearchParameters`; None where there is nothing to say."""
        faiss = load_faiss()
        # A selector must outlive the search; the parameters keep it.
        chosen = {}
        if allowed is not None:
            chosen["sel"] = faiss.IDSelectorBitmap(np.packbits(allowed, bitorder="little"))
        if self.kind == "hnsw":
            return faiss.SearchParametersHNSW(efSearch=self.effort, **chosen)
        if self.kind == "ivf":
            return faiss.SearchParametersIVF(nprobe=self.effort, **chosen)
        return faiss.SearchParameters(**chosen) if chosen else None


def has_gpu() -> bool:
    """Whether this is FAISS's GPU build and there is a GPU."""
    faiss = load_faiss()
    return hasattr(faiss, "StandardGpuResources") and faiss.get_num_gpus() > 0


def open_index(cache_folder: Path, features: Features, kind: Kind = "flat") -> Index:
    """The index of a feature set: the one of the cache, or a Flat one that is made now.

    While a feature set is not sealed it is searched without an index on disk. Raises UsageError
    for another kind than Flat that `vifi index` has not made.
    """
    if features.sealed is None:
        counts = features.counts()
        logger.warning(
            "feature set %s of %s is not complete: %d of %d videos are searched",
            features.name,
            features.dataset.name,
            counts["done"],
            counts["videos"],
        )
        return build_index(features, "flat")
    folder = index_folder(cache_folder, features, kind)
    if folder.is_dir():
        try:
            return _read_index(folder, kind)
        except DamagedError as error:
            if kind != "flat":
                raise StoreError(
                    f"the index in {folder} cannot be used ({error}); make it again with: "
                    f"{_index_command(features, kind)}"
                ) from error
            logger.warning("the index in %s cannot be used (%s): it is made again", folder, error)
    if kind != "flat":
        raise UsageError(
            f"there is no {kind} index of feature set {features.name} of "
            f"{features.dataset.name} as it is now; make it with: {_index_command(features, kind)}"
        )
    index = build_index(features, kind)
    try:
        save_index(cache_folder, features, index)
    except OSError as error:
        logger.warning("the index is not kept: %s", error)
    return index


def _index_command(features: Features, kind: Kind) -> str:
    words = ("--dataset", features.dataset.name, "--features", features.name, "--kind", kind)
    return shell("vifi", "index", "S", *words)


def build_index(features: Features, kind: Kind) -> Index:
    """An index in memory over all videos that have embeddings.

    Raises UsageError if there are none.
    """
    rows = done_rows(features)
    if not len(rows):
        raise UsageError(
            f"no video of feature set {features.name} of {features.dataset.name} has an embedding; "
            "run vifi extract"
        )
    index = empty_index(kind, features.view_mean.shape[-1], len(rows))
    if not index.is_trained:
        count = min(len(rows), index.nlist * _TRAINING_PER_LIST)
        # One list needs no training; FAISS would write on the screen that it had too little.
        index.cp.min_points_per_centroid = 1
        drawn = np.sort(np.random.default_rng(0).choice(len(rows), count, replace=False))
        index.train(video_vectors(features, rows[drawn]))
    for _, vectors in vector_blocks(features, rows):
        index.add(vectors)
    return Index(faiss=index, rows=rows, kind=kind, effort=1)


def empty_index(kind: Kind, dim: int, num_vectors: int) -> Any:
    """A `faiss.Index` with nothing in it, cut for that many vectors; IVF has to be trained."""
    faiss = load_faiss()
    metric = faiss.METRIC_INNER_PRODUCT
    if kind == "flat":
        return faiss.IndexFlatIP(dim)
    if kind == "hnsw":
        index = faiss.IndexHNSWFlat(dim, _LINKS, metric)
        index.hnsw.efConstruction = _BUILD_CANDIDATES
        return index
    # As many lists as balance finding the lists and searching through them.
    num_lists = min(round(2 * math.sqrt(num_vectors)), num_vectors // _FEWEST_PER_LIST)
    return faiss.index_factory(dim, f"IVF{max(num_lists, 1)},Flat", metric)


def save_index(cache_folder: Path, features: Features, index: Index) -> Path:
    """Keep an index of a sealed feature set, whole or not at all; earlier ones of its kind go.

    Raises OSError if the cache cannot be written.
    """
    folder = index_folder(cache_folder, features, index.kind)
    settings = {"kind": index.kind, "effort": index.effort}
    write_index_files(folder, index.faiss, index.rows, settings)
    return folder


def index_folder(cache_folder: Path, features: Features, kind: Kind) -> Path:
    """Where the index of a feature set as it is sealed now is kept."""
    sealed = features.sealed
    assert sealed is not None, "what is not sealed is searched without an index on disk"
    name = f"{sealed['manifest'][:12]}-{kind}"
    return cache_folder / _FOLDER / features.dataset.name / features.id / name


def _read_index(folder: Path, kind: Kind) -> Index:
    """Raises DamagedError for files that are not those that were written."""
    index, rows, settings = read_index_files(folder)
    effort = settings.get("effort")
    # FAISS takes memory by it; far beyond the number of vectors it finds no more.
    if type(effort) is not int or not 0 <= effort <= max(_MODEST_EFFORT, index.ntotal):
        raise DamagedError(f"its effort is {effort!r:.40}")
    return Index(faiss=index, rows=rows, kind=kind, effort=effort)
