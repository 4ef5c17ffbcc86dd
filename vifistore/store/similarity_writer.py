"""Write cosines of views and texts beside the feature set that they belong to."""

from collections.abc import Mapping, Sequence

import numpy as np

from vifistore.errors import DamagedError, UsageError
from vifistore.store.claims.claiming import Claiming
from vifistore.store.schema import BLOCK_SIZE, DONE, SIMILARITY_ARRAYS
from vifistore.store.similarities import (
    COSINES,
    Similarities,
    similarity_attributes,
    similarity_ids,
    similarity_path,
)
from vifistore.store.zarr_format.backend import Backend
from vifistore.store.zarr_format.block_ranges import block_rows
from vifistore.store.zarr_format.coding import encode_chunk


class SimilarityWriter:
    """Writes the cosines of one feature set and one text set, a block of 64 videos at a time.

    Whoever writes has the blocks of the feature set by these `claims`: two of one process would
    lose each other's.
    """

    def __init__(
        self,
        backend: Backend,
        feature_path: str,
        texts: str,
        shape: tuple[int, int, int],
        claims: Claiming,
    ) -> None:
        """Plan `[video view class]`: made if it is new, grown if it is not. Raises UsageError if
        there are cosines of other views or classes."""
        self._backend, self._shape, self._claims = backend, shape, claims
        self._path = similarity_path(feature_path, texts)
        self._array = f"{self._path}/{COSINES}"
        self.texts = texts
        with self._claims.turn() as own, backend.place.writing():
            self._plan(own, feature_path)
        self.similarities = Similarities(backend, feature_path, texts)

    def _plan(self, backend: Backend, feature_path: str) -> None:
        is_new = self.texts not in similarity_ids(backend, feature_path)
        if not is_new:
            known = backend.layout(self._array).shape
            if known[1:] != self._shape[1:]:
                raise UsageError(
                    f"{self._path} has cosines {list(known[1:])} and not {list(self._shape[1:])} "
                    "of a video; remove it and make it again"
                )
            self._shape = (max(known[0], self._shape[0]), *self._shape[1:])
        backend.require_schema(2)
        chunk = (BLOCK_SIZE, *self._shape[1:])
        backend.make_arrays({self._array: (SIMILARITY_ARRAYS[COSINES], self._shape, chunk)})
        if is_new:
            # Last, so that a group is there when all of it is.
            backend.make_group(self._path, similarity_attributes(None))

    def write(self, blocks: Mapping[int, tuple[Sequence[int], np.ndarray]]) -> None:
        """Write cosines [row view class] of some rows of each block; they last when it returns.

        Other rows stay as they are. Raises DamagedError for a block that is kept in part and is
        damaged.
        """
        sealed = self.similarities.sealed
        if sealed and any(rows[0] < sealed["rows"] for rows, _ in blocks.values()):
            with self._claims.turn() as backend:
                backend.make_group(self._path, similarity_attributes(None))
        layout, files = self._backend.own_layout(self._array), {}
        for block, (rows, values) in blocks.items():
            span = block_rows(block, self._shape[0])
            chunk = np.full(layout.chunk_shape, layout.fill, layout.dtype)
            if len(rows) < len(span):
                chunk[: len(span)] = self._kept(span)
            chunk[np.array(rows) - span.start] = values
            files[block] = (layout.key(self._array, block), encode_chunk(chunk, layout))
        self._claims.put_beside(files)

    def _kept(self, span: range) -> np.ndarray:
        return self.similarities.read(span.start, span.stop)

    def missing(self, status: np.ndarray) -> np.ndarray:
        """Which videos are done, by their status uint8 [video], and have no cosines: int64 [row].

        Those of a damaged block are among them.
        """
        lacking = status == DONE
        for start in range(0, len(status), BLOCK_SIZE):
            rows = block_rows(start // BLOCK_SIZE, len(status))
            try:
                found = self.similarities.read(rows.start, rows.stop)
            except DamagedError:
                continue
            has = np.isfinite(found).all(axis=(1, 2))
            lacking[rows.start : rows.stop] &= ~has
        return np.flatnonzero(lacking)

    def seal(self, status: np.ndarray) -> bool:
        """Say that every video that is done, by uint8 [video], has its cosines, where that is so;
        return whether it is."""
        if len(self.missing(status)):
            return False
        with self._claims.turn() as backend:
            rows = len(status)
            self._write_fill(backend, rows)
            sealed = {"rows": rows, "manifest": self.similarities.manifest(rows)}
            if sealed != self.similarities.sealed:
                backend.make_group(self._path, similarity_attributes(sealed))
        return True

    def _write_fill(self, backend: Backend, num_rows: int) -> None:
        """Write the blocks in which no video has cosines: a sealed one lacks none."""
        layout, files = backend.own_layout(self._array), {}
        for start in range(0, num_rows, BLOCK_SIZE):
            key = layout.key(self._array, start // BLOCK_SIZE)
            if not backend.place.exists(key):
                chunk = np.full(layout.chunk_shape, layout.fill, layout.dtype)
                files[key] = encode_chunk(chunk, layout)
        if files:
            backend.put(files)
