"""A frame index of bundles: the best of them by their codes, then their frames as they are stored.

    1. the codes of all bundles are scanned for those whose means are nearest to the query
    2. the frames of the best `effort` bundles are read from the store, and compared exactly

so that every cosine is that of the stored frame, and a frame is missed only where its bundle is not
among the best. The effort is measured when an index is built (`harness.retrieval.frame_quality`).
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from harness.frame_cosines import frame_cosines
from harness.retrieval.exact_frames import ExactFrames, Hits
from harness.retrieval.frame_hits import FrameHits, best_of_videos, hits_of, merged, no_hits
from harness.retrieval.indexing.bundle_codes import Codebook
from harness.retrieval.indexing.bundle_files import read_arrays, read_settings
from vifistore.errors import DamagedError
from vifistore.store.block_states import block_states
from vifistore.store.features import Features
from vifistore.store.frame_parts import FrameParts
from vifistore.store.schema import BLOCK_SIZE, DONE
from vifistore.store.zarr_format.block_ranges import num_blocks

FORMAT = 1
_MOST_EFFORT = 1 << 20
_HITS_OF_EFFORT = 10


@dataclass(frozen=True, kw_only=True)
class KeptBundles:
    """What the files of a frame index say."""

    codebook: Codebook
    states: np.ndarray
    """uint32 [block 3]: checksums of the blocks as they were read."""
    places: np.ndarray
    """int32 [bundle 3]: row, first position, number of frames; ascending."""
    codes: np.ndarray
    """uint8 [bundle byte]"""
    effort: int
    """Bundles whose frames are looked at for ten hits."""
    manifest: str
    """Of the set as it was sealed; empty if it was not."""
    settings: dict


def frames_folder(cache_folder: Path, features: Features) -> Path:
    """Where the frame index of a feature set is kept."""
    return cache_folder / "indexes" / features.dataset.name / features.id / "frames"


def read_bundles(folder: Path, features: Features) -> KeptBundles:
    """The frame index in `folder`, all of it held against its checksums.

    Raises ValueError, or what else `bundle_files.damage` takes, for files that are not those that
    were written, or were for frames of another shape.
    """
    settings = read_settings(folder)
    shape = list(features.require_array("frames").shape[1:])
    if settings["format"] != FORMAT or settings["shape"] != shape:
        raise ValueError(f"it is of frames {settings['shape']!r:.40}, the set has {shape}")
    dim = shape[2]
    entry = settings["codebook"]
    wanted = {"centre": ("float32", dim), "centroids": ("float32", None, 16, None)}
    codebook = Codebook(**read_arrays(folder, entry, wanted))
    if codebook.centroids.shape[0] * codebook.centroids.shape[2] != dim:
        raise ValueError(f"its codes are not of {dim} dimensions")
    kinds = {
        "states": ("uint32", None, 3),
        "places": ("int32", None, 3),
        "codes": ("uint8", None, codebook.code_bytes),
    }
    parts = [read_arrays(folder, part, kinds) for part in settings["parts"]]
    if any(len(part["codes"]) != len(part["places"]) for part in parts):
        raise ValueError("it has not as many codes as bundles")
    joined = {name: np.concatenate([part[name] for part in parts]) for name in kinds}
    effort = settings["effort"]
    if type(effort) is not int or not 1 <= effort <= _MOST_EFFORT:
        raise ValueError(f"its effort is {effort!r:.40}")
    _check_places(joined["places"], len(joined["states"]), shape)
    manifest = str(settings["manifest"])
    return KeptBundles(
        codebook=codebook, **joined, effort=effort, manifest=manifest, settings=settings
    )


def _check_places(places: np.ndarray, count: int, shape: list[int]) -> None:
    """Raise ValueError for bundles that no video of `count` blocks can have."""
    if not len(places):
        return
    rows, firsts, counts = places.astype(np.int64).T
    least = min(rows.min(), firsts.min(), counts.min() - 1)
    if (
        least < 0
        or rows.max() >= count * BLOCK_SIZE
        or (firsts + counts).max() > shape[0] * shape[1]
        or (np.diff(rows) < 0).any()
    ):
        raise ValueError("it speaks of frames that there are not")


class BundledFrames:
    """The frames of a feature set, found by its bundles; newer ones are all compared."""

    kind = "bundles"

    def __init__(self, features: Features, kept: KeptBundles) -> None:
        """Raises UsageError for a feature set without frames."""
        self._features = features
        self._stored = FrameParts(features)
        self.effort = kept.effort
        self._codebook = kept.codebook
        is_fresh = fresh_blocks(features, kept)
        status = features.read_status()
        rows = kept.places[:, 0]
        is_kept = rows < len(status)
        among = np.zeros(len(status), bool)
        if is_fresh.any():
            among = np.repeat(is_fresh, BLOCK_SIZE)[: len(status)]
            is_kept[is_kept] = ~among[rows[is_kept]]
        whole = bool(is_kept.all())
        self._places = kept.places if whole else kept.places[is_kept]
        self._codes = kept.codes if whole else kept.codes[is_kept]
        self.num_fresh = int((among & (status == DONE)).sum())
        self._exact = ExactFrames(features, among) if self.num_fresh else None
        self._narrow: tuple[bytes, np.ndarray, Any] | None = None

    @property
    def num_bundles(self) -> int:
        """How many bundles are scanned."""
        return len(self._places)

    @property
    def code_bytes(self) -> int:
        """Of all codes, which a search scans."""
        return self._codes.nbytes

    @cached_property
    def _scanner(self) -> Any:
        return self._codebook.scanner(self._codes)

    def search(self, queries: np.ndarray, k: int, allowed: np.ndarray | None = None) -> FrameHits:
        """See FrameIndex. Raises DamagedError for frames that are zero or not finite, and for
        chunks that are gone."""
        best = self._best(queries, k, max(self.effort, k), allowed, hits_of)
        return merged(best, self._exact.search(queries, k, allowed)) if self._exact else best

    def nearest_videos(
        self, queries: np.ndarray, k: int, allowed: np.ndarray | None = None
    ) -> FrameHits:
        """See FrameIndex. Raises DamagedError as `search` does."""
        count = self.effort * -(-k // _HITS_OF_EFFORT)
        best = self._best(queries, k, count, allowed, best_of_videos)
        return (
            merged(best, self._exact.nearest_videos(queries, k, allowed)) if self._exact else best
        )

    def _best(
        self, queries: np.ndarray, k: int, count: int, allowed: np.ndarray | None, hits: Hits
    ) -> FrameHits:
        best = no_hits(len(queries), k)
        places, scanner = self._allowed(allowed)
        count = min(count, len(places))
        if not count:
            return best
        queries = np.ascontiguousarray(queries, np.float32)
        _, found = scanner.search(queries, count)
        rows = []
        for query, numbers in zip(queries, found, strict=True):
            chosen = places[np.sort(numbers[numbers >= 0])].astype(np.int64)
            rows.append(merged(no_hits(1, k), self._compared(query, chosen, hits)))
        return FrameHits(*(np.concatenate(values) for values in zip(*rows, strict=True)))

    def _compared(self, query: np.ndarray, places: np.ndarray, hits: Hits) -> FrameHits:
        """The hits of one query [dim] in the frames of bundles [bundle 3], in order."""
        rows, firsts, counts = places.T
        frames = self._stored.read(rows, firsts, counts)
        cosines, usable = frame_cosines(frames, query[None])
        if not usable.all():
            raise DamagedError(
                f"feature set {self._features.name} of {self._features.dataset}: frames are zero "
                "or not finite; find out more with `vifi verify`"
            )
        ends = np.cumsum(counts)
        steps = np.arange(ends[-1]) - np.repeat(ends - counts, counts)
        return hits(cosines.T, np.repeat(rows, counts), np.repeat(firsts, counts) + steps)

    def _allowed(self, allowed: np.ndarray | None) -> tuple[np.ndarray, Any]:
        """Places of the bundles of allowed videos, and what scans their codes."""
        if allowed is None or (chosen := allowed[self._places[:, 0]]).all():
            return self._places, self._scanner
        key = np.packbits(allowed).tobytes()
        narrow = self._narrow
        if narrow is None or narrow[0] != key:
            narrow = key, self._places[chosen], self._codebook.scanner(self._codes[chosen])
            self._narrow = narrow
        return narrow[1:]


def fresh_blocks(features: Features, kept: KeptBundles) -> np.ndarray:
    """Which blocks of the set are not those that the index was made of, bool [block]."""
    count = num_blocks(features.num_videos)
    if kept.manifest and (features.sealed or {}).get("manifest") == kept.manifest:
        return np.zeros(count, bool)
    states = block_states(features)
    common = min(len(states), len(kept.states))
    is_fresh = np.ones(count, bool)
    is_fresh[:common] = (states[:common] != kept.states[:common]).any(axis=1)
    return is_fresh
