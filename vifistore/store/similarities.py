"""Cosines of views and texts, kept where texts have no embedding of their own to be compared with.

The texts of an encoder such as X-CLIP depend on the video. What they are for each view is computed
where the encoder runs, and kept below the feature set, a group for each text set:

    features/<dataset>/<id>/similarities/<texts id>/cosines     float32 [video view class]

A cosine is that of a view and a class, over all prompts of the class. Not-a-number stands for a
video that has none: it is quarantined, or still to do, here or in the feature set.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from vifistore.errors import DamagedError, UnknownNameError
from vifistore.store.features import Features
from vifistore.store.schema import SIMILARITIES, SIMILARITY_ARRAYS
from vifistore.store.zarr_format.attributes import NONE, read_fields
from vifistore.store.zarr_format.backend import Backend
from vifistore.store.zarr_format.block_ranges import blocks_within, stretches
from vifistore.store.zarr_format.chunks import array_checksums, manifest_digest

COSINES = "cosines"
_STEP_BYTES = 32 * 2**20
_ITEM_BYTES = 4


class Similarities:
    """The cosines of one feature set and one text set."""

    def __init__(self, backend: Backend, feature_path: str, texts: str) -> None:
        """Raises UnknownNameError naming those there are."""
        self._backend, self.texts = backend, texts
        self.path = similarity_path(feature_path, texts)
        if texts not in (known := similarity_ids(backend, feature_path)):
            feature_id = feature_path.rpartition("/")[2]
            raise UnknownNameError(f"cosines of feature set {feature_id} and texts", texts, known)

    @property
    def sealed(self) -> dict | None:
        """`{"rows", "manifest"}` once every video that is done has its cosines, else None."""
        found = read_fields(self._backend, self.path, {"sealed": (dict, NONE)})["sealed"]
        if found and not (_is_count(found.get("rows")) and isinstance(found.get("manifest"), str)):
            raise DamagedError(
                f"{self._backend.folder}/{self.path}/zarr.json does not say what was sealed; run: "
                f"{self._backend.verify_command}"
            )
        return found

    @property
    def array_path(self) -> str:
        """Path of the cosines."""
        return f"{self.path}/{COSINES}"

    @property
    def shape(self) -> tuple[int, int, int]:
        """Lengths of `[video view class]`; there may be more videos in the feature set.

        Raises DamagedError for an array of another kind.
        """
        grid = self._backend.layout(self.array_path)
        dtype = self._backend.open_array(self.array_path).dtype
        if len(grid.shape) != len(SIMILARITY_ARRAYS[COSINES].axes) or dtype.kind != "f":
            raise DamagedError(
                f"{self._backend.folder}/{self.array_path} is no float32 [video view class]; run: "
                f"{self._backend.verify_command}"
            )
        videos, views, classes = grid.shape
        return videos, views, classes

    def read(self, start: int, stop: int) -> np.ndarray:
        """Cosines of rows [start, stop) of the feature set, float32 [video view class], checksums
        verified; not-a-number where there are none.

        Raises DamagedError for a chunk that does not match its checksum, or that was sealed and is
        gone.
        """
        num_rows, *rest = self.shape
        found = np.full((max(0, stop - start), *rest), np.nan, np.float32)
        covered = max(start, min(stop, num_rows))
        if covered > start:
            sealed = self.sealed
            is_whole = bool(sealed) and covered <= sealed["rows"]
            read = self._backend.read(self.array_path, start, covered, may_lack=not is_whole)
            found[: covered - start] = read
        return found

    def chosen(self, rows: np.ndarray) -> np.ndarray:
        """Cosines of these rows in their order, int64 [row], float32 [row view class]; as `read`.
        A row of -1 has none."""
        num_rows, *rest = self.shape
        found = np.full((len(rows), *rest), np.nan, np.float32)
        sealed = self.sealed
        for start, stop in stretches(0, num_rows, blocks_within(_STEP_BYTES, self.row_bytes)):
            here = np.flatnonzero((rows >= start) & (rows < stop))
            if len(here):
                may_lack = not sealed or rows[here].max() >= sealed["rows"]
                found[here] = self._backend.read_chosen(
                    self.array_path, rows[here], may_lack=may_lack
                )
        return found

    @property
    def row_bytes(self) -> int:
        """Bytes of a video."""
        return _ITEM_BYTES * math.prod(self.shape[1:])

    def manifest(self, num_rows: int) -> str:
        """Digest of the chunks that hold so many rows. Raises DamagedError if one is gone."""
        spec = SIMILARITY_ARRAYS[COSINES]
        stored = array_checksums(self._backend, self.array_path, spec, num_rows)
        return manifest_digest({COSINES: stored})


def similarity_path(feature_path: str, texts: str) -> str:
    """Path of the group of a text set below that of a feature set."""
    return f"{feature_path}/{SIMILARITIES}/{texts}"


def similarity_ids(backend: Backend, feature_path: str) -> list[str]:
    """Ids of the text sets that a feature set, by its path, has cosines with."""
    return backend.children(f"{feature_path}/{SIMILARITIES}")


def lacking_cosines(features: Features, texts: Sequence[str]) -> list[str]:
    """Those of these text sets with which a feature set has no cosines, or not all."""
    backend = features.dataset.backend
    kept = {
        name: Similarities(backend, features.path, name).sealed
        for name in similarity_ids(backend, features.path)
        if name in texts
    }
    return [name for name in texts if not (kept.get(name) and covers(kept[name], features.sealed))]


def covers(kept: Mapping | None, features: Mapping | None) -> bool:
    """Whether cosines that are so sealed are there for every video of a set that is so sealed: it
    may have grown since. One that is not sealed tells as it is read."""
    return features is None or (kept is not None and kept["rows"] >= features["rows"])


def similarity_attributes(sealed: Mapping | None) -> dict:
    """Attributes of such a group."""
    return {"sealed": dict(sealed) if sealed else None}


def _is_count(value: object) -> bool:
    return type(value) is int and value >= 0
