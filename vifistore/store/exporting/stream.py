"""The part of a feature set that is exported, read piece by piece."""

from collections.abc import Iterator

import numpy as np

from vifistore.errors import IncompleteError, shell
from vifistore.store.feature_record import NUM_VALID
from vifistore.store.features import Features
from vifistore.store.importing.store_copy import read_covered
from vifistore.store.pooling import counted_frames
from vifistore.store.schema import DONE, TODO
from vifistore.store.zarr_format.block_ranges import blocks_within, stretches

# Bytes of one array held at a time.
_SPAN_BYTES = 64 * 2**20


class FeatureStream:
    """One feature set to export: its videos, what of it is done, and its arrays."""

    def __init__(self, features: Features, *, partial: bool) -> None:
        self.features = features
        if not partial:
            self.features.require_sealed()
        self.table = features.dataset.videos()
        self.videos = self.table.iloc[: self.features.num_videos]
        self.status = self.features.read_status()
        self.done = np.flatnonzero(self.status == DONE)
        self.arrays = list(features.specs)

    def require_done(self) -> None:
        """Raise IncompleteError if no video at all is done."""
        if not len(self.done):
            raise IncompleteError(
                f"feature set {self.features.name} has no video that is done; see why with: "
                f"{shell('vifi', 'info', self.features.store.path, '--quarantine')}"
            )

    def spans(self, name: str) -> Iterator[tuple[int, int]]:
        """Rows [start, stop) of whole blocks, some MB of the array `name` each, all in order.

        Stretches that are to do altogether are left out.
        """
        array = self.features.array(name)
        assert array is not None, "whoever asks has seen that it is there"
        row_bytes = array.dtype.itemsize * int(np.prod(array.shape[1:]))
        for start, stop in stretches(0, len(self.status), blocks_within(_SPAN_BYTES, row_bytes)):
            if (self.status[start:stop] != TODO).any():
                yield start, stop

    def read(self, name: str, start: int, stop: int) -> np.ndarray:
        """Read rows of an array, [video ...]; raises DamagedError if a chunk is damaged."""
        return read_covered(self.features, name, self.status, start, stop)

    def counted(self, start: int, stop: int) -> np.ndarray:
        """Which frames are no padding, bool [video view frame]; raises as `read` does."""
        read = self.read if NUM_VALID in self.arrays else self.features.read
        num_frames = self.features.require_array("frames").shape[2]
        return counted_frames(read(NUM_VALID, start, stop), num_frames)

    def done_rows(self, start: int, stop: int) -> np.ndarray:
        """Rows of [start, stop) that are done, int64 [video]."""
        return start + np.flatnonzero(self.status[start:stop] == DONE)

    def video_vectors(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Rows that are done, and float32 [video dim]: the mean over their views and frames."""
        for start, stop in self.spans("view_mean"):
            rows = self.done_rows(start, stop)
            if len(rows):
                yield rows, self.read("view_mean", start, stop)[rows - start].mean(axis=1)
