"""Videos whose file or folder of frames has embeddings under this recipe are copied, not encoded.

A stretch is known by the digest of its file and its times. A video's digest is taken when its
bytes are first read. Reading a file twice only to learn that
it is new would cost more than it saves, so a digest is taken ahead only where another video has
just as many bytes.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from typing import Literal

import numpy as np

from vifistore.errors import DamagedError
from vifistore.extract.blocks import VideoResult
from vifistore.frames.file_digests import FileDigests
from vifistore.sources.footage import Footage
from vifistore.store.block_ranges import block_rows
from vifistore.store.dataset import Dataset
from vifistore.store.features import Features
from vifistore.store.schema import BLOCK_SIZE, DONE, FEATURE_ARRAYS, STRETCH_COLUMNS
from vifistore.store.stretch_times import content_key
from vifistore.store.writer import FeatureWriter


class Reuse:
    """Finds, for the rows that a run may have, the embeddings that exist already."""

    def __init__(
        self,
        dataset: Dataset,
        writer: FeatureWriter,
        rows: Sequence[int],
        further: Collection[str] = (),
        *,
        may_copy: bool = True,
    ) -> None:
        """`further` names the arrays that the set has beside those of all. Unless it `may_copy`,
        only videos of equal bytes that are on the way at once are encoded once."""
        self._further, self._may_copy = set(further), may_copy
        self._dataset, self._writer = dataset, writer
        columns = dataset.columns_at_once("size_bytes", "path", *STRETCH_COLUMNS)
        self._sizes = columns["size_bytes"]
        self._starts, self._ends = (columns[name] for name in STRETCH_COLUMNS)
        self.digests = FileDigests()
        """Of the files of which it reads several stretches, or that may be in the store."""
        self._digests: dict[str, tuple[Features, int]] = {}
        known_sizes = self._learn(writer.id) if may_copy else set()
        # Stretches of one file have its size, and are no twins.
        files = {(columns["path"][row], int(self._sizes[row])) for row in rows}
        sizes, counts = np.unique([size for _, size in files] or [0], return_counts=True)
        self._sizes_to_read = known_sizes | set(sizes[counts > 1].tolist())
        self._copies: dict[int, tuple[Features, int]] = {}
        self._first: dict[str, int] = {}
        self._on_the_way: set[int] = set()
        self._twins: dict[int, list[int]] = defaultdict(list)
        self._block: tuple[tuple[str, int], dict[str, np.ndarray]] | None = None

    def _learn(self, feature_id: str) -> set[int]:
        """Remember every video done under this recipe; return their sizes in bytes."""
        sizes: set[int] = set()
        store = self._dataset.store
        for dataset in map(store.dataset, store.datasets()):
            if feature_id not in dataset.feature_ids():
                continue
            features = dataset.features(feature_id)
            # Arrays beside the frames, as the number of those that count, would be lost.
            if not features.sealed or features.declared.keys() != self._further:
                continue
            try:
                done = np.flatnonzero(features.read_status() == DONE)
                digests = features.content_keys()
            except DamagedError:
                # Verify tells of it; here it only means that nothing can be copied.
                continue
            is_own = dataset == self._dataset
            of_dataset = self._sizes if is_own else dataset.column("size_bytes")
            sizes |= set(of_dataset[done].tolist())
            self._digests |= {digests[row]: (features, int(row)) for row in done}
        return sizes

    def find(self, row: int, footage: Footage) -> Literal["encode", "copy", "wait"]:
        """What to do with a row: encode it, copy it from the store, or wait for its twin."""
        if not self._sizes[row] or self._sizes[row] not in self._sizes_to_read:
            return "encode"
        digest = self.digests.read(footage)
        if not digest:
            return "encode"
        digest = content_key(digest, self._starts[row], self._ends[row])
        if digest in self._digests and self._is_readable(row, self._digests[digest]):
            return "copy"
        first = self._first.setdefault(digest, row)
        if first in self._on_the_way:
            self._twins[first].append(row)
            return "wait"
        if self._may_copy and first != row and self._writer.status[first] == DONE:
            features = self._dataset.features(self._writer.id)
            # What is remembered of its block may be older than the row.
            self._block = None
            if self._is_readable(row, (features, first)):
                return "copy"
        # The first one is over, but not in the store: it cannot be read, or waits to be written.
        self._first[digest] = row
        self._on_the_way.add(row)
        return "encode"

    def _is_readable(self, row: int, source: tuple[Features, int]) -> bool:
        try:
            self._rows_of(*source)
        except DamagedError:
            return False
        self._copies[row] = source
        return True

    def copy(self, row: int) -> VideoResult:
        """The result of a row that `find` said to copy."""
        features, source = self._copies.pop(row)
        block = self._rows_of(features, source)
        values = {name: array[source % BLOCK_SIZE] for name, array in block.items()}
        return VideoResult(row=row, kind="copied", values=values)

    def _rows_of(self, features: Features, row: int) -> dict[str, np.ndarray]:
        """Arrays of the block that holds a row; neighbours are often copied together."""
        block = row // BLOCK_SIZE
        key = (features.path, block)
        if self._block is None or self._block[0] != key:
            rows = block_rows(block, features.num_videos)
            own = [name for name in FEATURE_ARRAYS if name not in ("attempts", "reason")]
            names = [*own, *sorted(self._further)]
            self._block = key, {name: features.read(name, rows.start, rows.stop) for name in names}
        return self._block[1]

    def with_twins(self, result: VideoResult) -> Iterator[VideoResult]:
        """Yield a result, and its copies for the videos of the same content."""
        self._on_the_way.discard(result.row)
        yield result
        for row in self._twins.pop(result.row, ()):
            kind = "copied" if result.kind == "encoded" else result.kind
            yield VideoResult(row=row, kind=kind, values=dict(result.values))
