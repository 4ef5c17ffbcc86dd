"""Build a frame index of bundles, or add to it what it lacks.

Blocks of 64 videos go into parts of about a million frames, a part at a time. A block whose stored
checksums are those of before is not read again: its bundles are copied. A part of which no block
has changed is left as it is. The codebook stays what it was when the index was first built.
"""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from harness.retrieval.frame_vectors import frame_vectors
from harness.retrieval.indexing.bundle_codes import Codebook, train_codebook
from harness.retrieval.indexing.bundle_files import damage, folders_of, write_arrays, write_settings
from harness.retrieval.indexing.bundle_index import (
    FORMAT,
    KeptBundles,
    frames_folder,
    fresh_blocks,
    read_bundles,
)
from harness.retrieval.indexing.bundles import Bundles, bundles_of
from vifistore.errors import DamagedError, UsageError
from vifistore.files import locked
from vifistore.progress import Progress
from vifistore.store.block_states import block_states
from vifistore.store.features import Features
from vifistore.store.schema import BLOCK_SIZE, DONE
from vifistore.store.zarr_format.block_ranges import num_blocks

_PART_FRAMES = 2**20
_TRAINING_BLOCKS = 64
_TRAINING_BUNDLES = 32_768
FIRST_EFFORT = 200


@dataclass(frozen=True, kw_only=True)
class Built:
    """What building did."""

    kept: KeptBundles
    folder: Path
    num_read: int
    """Blocks of 64 videos that were read."""
    is_new: bool
    """Whether there was no index before, or one that could not be used."""

    @property
    def num_bytes(self) -> int:
        """Of all files of the index."""
        return sum(path.stat().st_size for path in self.folder.rglob("*") if path.is_file())


def build_frame_index(cache_folder: Path, features: Features) -> Built:
    """Make the frame index of a feature set, or add what it lacks; whole, or as it was before.

    Raises UsageError for a set without frames, and for one of which no video is done; OSError where
    the cache cannot be written.
    """
    status = features.read_status()
    features.require_array("frames")
    if not (status == DONE).any():
        raise UsageError(
            f"no video of feature set {features.name} of {features.dataset.name} has an embedding; "
            "run vifi extract"
        )
    folder = frames_folder(cache_folder, features)
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder / "lock"):
        old = _earlier(folder, features)
        is_fresh = fresh_blocks(features, old) if old else np.ones(num_blocks(len(status)), bool)
        codebook = old.codebook if old else _trained(features, status)
        whole = folders_of(old.settings) if old else set()
        total = int(is_fresh.sum())
        with Progress(total=total, desc="index frames", unit="block") as bar:
            builder = _Builder(features, status, codebook, old, is_fresh, bar)
            parts = [write_arrays(folder, *part, whole) for part in builder.parts()]
        shape = list(features.require_array("frames").shape[1:])
        settings = {
            "format": FORMAT,
            "shape": shape,
            "manifest": (features.sealed or {}).get("manifest", ""),
            "effort": old.effort if old else FIRST_EFFORT,
            "codebook": write_arrays(folder, "codebook", vars(codebook), whole),
            "parts": parts,
        }
        write_settings(folder, settings)
        kept = read_bundles(folder, features)
    return Built(kept=kept, folder=folder, num_read=total, is_new=old is None)


def keep_effort(built: Built, effort: int) -> None:
    """Have the index look at the frames of so many bundles."""
    with locked(built.folder / "lock"):
        write_settings(built.folder, {**built.kept.settings, "effort": effort})


def _earlier(folder: Path, features: Features) -> KeptBundles | None:
    try:
        with damage():
            return read_bundles(folder, features)
    except DamagedError:
        # There is none, or one of other frames: it is made from the beginning.
        return None


def _trained(features: Features, status: np.ndarray) -> Codebook:
    """A codebook by the bundles of blocks that are spread over the whole set."""
    having = np.unique(np.flatnonzero(status == DONE) // BLOCK_SIZE)
    chosen = having[np.linspace(0, len(having) - 1, min(len(having), _TRAINING_BLOCKS)).astype(int)]
    most = math.ceil(_TRAINING_BUNDLES / len(chosen))
    draw = np.random.default_rng(0)
    means = []
    for block in chosen.tolist():
        of_block = _bundles(features, status, block).means
        means.append(draw.permutation(of_block)[:most])
    return train_codebook(np.concatenate(means))


def _bundles(features: Features, status: np.ndarray, block: int) -> Bundles:
    """The bundles of a block of 64 videos."""
    _, num_frames, dim = features.require_array("frames").shape[1:]
    pieces = frame_vectors(features, status, range(block, block + 1))
    found = [bundles_of(piece, num_frames) for piece in pieces]
    empty = Bundles(np.empty((0, 3), np.int32), np.empty((0, dim), np.float32))
    return Bundles(*(np.concatenate(values) for values in zip(empty, *found, strict=True)))


class _Builder:
    """The parts of an index, one after the other."""

    def __init__(
        self,
        features: Features,
        status: np.ndarray,
        codebook: Codebook,
        old: KeptBundles | None,
        is_fresh: np.ndarray,
        bar: Progress,
    ) -> None:
        self._features, self._status, self._codebook = features, status, codebook
        self._old, self._is_fresh, self._bar = old, is_fresh, bar
        self._states = block_states(features)
        frames = math.prod(features.require_array("frames").shape[1:3])
        self._step = max(1, _PART_FRAMES // (BLOCK_SIZE * frames))

    def parts(self):
        """Yield the stem of each part's folder, and its arrays."""
        for number, first in enumerate(range(0, len(self._states), self._step)):
            blocks = range(first, min(first + self._step, len(self._states)))
            pairs = [self._read(b) if self._is_fresh[b] else self._copied(b) for b in blocks]
            places, codes = (np.concatenate(values) for values in zip(*pairs, strict=True))
            states = self._states[first : blocks.stop]
            yield f"part-{number:06}", {"states": states, "places": places, "codes": codes}

    def _read(self, block: int) -> tuple[np.ndarray, np.ndarray]:
        places, means = _bundles(self._features, self._status, block)
        self._bar.update()
        return places, self._codebook.encode(means)

    def _copied(self, block: int) -> tuple[np.ndarray, np.ndarray]:
        assert self._old is not None, "without an earlier index every block is read"
        places = self._old.places
        edges = np.array([block, block + 1]) * BLOCK_SIZE
        first, last = np.searchsorted(places[:, 0], edges)
        return places[first:last], self._old.codes[first:last]
