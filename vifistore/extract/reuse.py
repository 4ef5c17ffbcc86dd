"""Videos whose file or folder of frames has embeddings under this recipe are copied, not encoded.

A stretch is known by the digest of its file and its times. A video's digest is taken when its
bytes are first read. Reading a file twice only to learn that
it is new would cost more than it saves, so a digest is taken ahead only where another video has
just as many bytes.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from vifistore.errors import DamagedError
from vifistore.extract.blocks import VideoResult
from vifistore.extract.digest_places import DigestPlaces, hashes_of
from vifistore.extract.planned_videos import PlannedVideos, are_among
from vifistore.frames.file_digests import FileDigests
from vifistore.sources.footage import Footage
from vifistore.store.dataset import Dataset
from vifistore.store.features import Features
from vifistore.store.paged_table import PagedTable
from vifistore.store.schema import BLOCK_SIZE, DONE, FEATURE_ARRAYS, STRETCH_COLUMNS
from vifistore.store.stretch_times import content_key
from vifistore.store.writer import FeatureWriter
from vifistore.store.zarr_format.block_ranges import block_rows

# A place in a set that is known: its number, and a row in so many bits.
_ROW_BITS = 40


@dataclass(frozen=True, kw_only=True)
class KnownSet:
    """A feature set of this recipe."""

    features: Features
    times: PagedTable
    """Where in its file each row begins and ends."""

    def key(self, row: int, digest: str) -> str:
        """What tells the content of a row apart, whose file has this digest."""
        return content_key(digest, *(self.times[name][row] for name in STRETCH_COLUMNS))


class Reuse:
    """Finds, for the rows that a run may have, the embeddings that exist already."""

    def __init__(
        self,
        dataset: Dataset,
        writer: FeatureWriter,
        videos: PlannedVideos,
        further: Collection[str] = (),
        *,
        may_copy: bool = True,
    ) -> None:
        """`further` names the arrays that the set has beside those of all. Unless it `may_copy`,
        only videos of equal bytes that are on the way at once are encoded once."""
        self._further, self._may_copy = set(further), may_copy
        self._dataset, self._writer, self._videos = dataset, writer, videos
        self.digests = FileDigests()
        """Of the files of which it reads several stretches, or that may be in the store."""
        self._known_sets: list[KnownSet] = []
        self._known = DigestPlaces()
        known_sizes = self._learn(writer.id) if may_copy else []
        self._sizes_to_read = np.unique(np.concatenate([videos.repeated_sizes, *known_sizes]))
        self._copies: dict[int, tuple[Features, int]] = {}
        self._first = DigestPlaces()
        self._on_the_way: dict[int, str] = {}
        self._twins: dict[int, list[int]] = defaultdict(list)
        self._block: tuple[tuple[str, int], dict[str, np.ndarray]] | None = None

    def _learn(self, feature_id: str) -> list[np.ndarray]:
        """Remember every video done under this recipe that may be one of this run; return their
        sizes in bytes."""
        sizes: list[np.ndarray] = []
        places: list[tuple[np.ndarray, np.ndarray]] = []
        store = self._dataset.store
        for dataset in map(store.dataset, store.datasets()):
            if feature_id not in dataset.feature_ids():
                continue
            features = dataset.features(feature_id)
            # Arrays beside the frames, as the number of those that count, would be lost.
            if not features.sealed or features.declared.keys() != self._further:
                continue
            table = dataset.paged("size_bytes", *STRETCH_COLUMNS)
            known = KnownSet(features=features, times=table)
            try:
                parts = list(self._done(known, len(self._known_sets) << _ROW_BITS))
            except DamagedError:
                # Verify tells of it; here it only means that nothing can be copied.
                continue
            self._known_sets.append(known)
            sizes += [size for size, _, _ in parts]
            places += [(hashes, rows) for _, hashes, rows in parts]
        self._known.put_all(places)
        return sizes

    def _done(
        self, known: KnownSet, first_place: int
    ) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Yield sizes, hashes of content and places, int64 [row] each, of rows of a set that are as
        large as a planned file."""
        features = known.features
        is_done = features.read_status() == DONE
        for first, columns in known.times.read_through():
            of_set = columns["size_bytes"][: max(0, features.num_videos - first)]
            may_be = are_among(of_set, self._videos.sizes)
            found = np.flatnonzero(may_be & is_done[first : first + len(of_set)])
            digests = features.content_digests(found + first)
            times = zip(*(columns[name][found] for name in STRETCH_COLUMNS), strict=True)
            keys = (content_key(d, *t) for d, t in zip(digests, times, strict=True))
            yield np.unique(of_set[found]), hashes_of(keys), found + first + first_place

    def find(self, row: int, footage: Footage) -> Literal["encode", "copy", "wait"]:
        """What to do with a row: encode it, copy it from the store, or wait for its twin."""
        size = int(self._videos.sizes_bytes[row])
        if not size or not are_among(np.array([size]), self._sizes_to_read)[0]:
            return "encode"
        digest = self.digests.read(footage)
        if not digest:
            return "encode"
        digest = content_key(digest, self._videos.starts[row], self._videos.ends[row])
        place = self._known.find(digest)
        if place is not None and self._is_readable(row, digest, *self._at(place)):
            return "copy"
        first = self._first.find(digest)
        if first is not None and self._on_the_way.get(first) == digest:
            self._twins[first].append(row)
            return "wait"
        if self._may_copy and first is not None and self._writer.status[first] == DONE:
            features = self._dataset.features(self._writer.id)
            # What is remembered of its block may be older than the row.
            self._block = None
            own = KnownSet(features=features, times=self._videos.table)
            if self._is_readable(row, digest, own, first):
                return "copy"
        # The first one is over, but not in the store: it cannot be read, or waits to be written.
        self._first.put(digest, row)
        self._on_the_way[row] = digest
        return "encode"

    def _at(self, place: int) -> tuple[KnownSet, int]:
        number, row = divmod(place, 1 << _ROW_BITS)
        return self._known_sets[number], row

    def _is_readable(self, row: int, digest: str, known: KnownSet, source: int) -> bool:
        """Whether the row of a set can be read, and is the content that is looked for."""
        try:
            stored = self._rows_of(known.features, source)["content_digest"][source % BLOCK_SIZE]
        except DamagedError:
            return False
        if known.key(source, stored) != digest:
            return False
        self._copies[row] = (known.features, source)
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
        self._on_the_way.pop(result.row, None)
        yield result
        for row in self._twins.pop(result.row, ()):
            kind = "copied" if result.kind == "encoded" else result.kind
            yield VideoResult(row=row, kind=kind, values=dict(result.values))
