"""Neighbouring frames out of the middle of a video, read without all that lies around them."""

import numpy as np

from vifistore.errors import DamagedError
from vifistore.store.features import Features
from vifistore.store.key_value.durable import parallel
from vifistore.store.zarr_format.layout import Layout


class FrameParts:
    """Reads parts of the frames of one feature set; how they lie is looked up once."""

    def __init__(self, features: Features) -> None:
        """Raises UsageError for a set without frames."""
        self._features = features
        self._dim = features.require_array("frames").shape[-1]
        self._path = features.array_path("frames")
        self._place = features.store.backend.place
        self._grid = features.store.backend.layout(self._path)

    def read(self, rows: np.ndarray, firsts: np.ndarray, counts: np.ndarray) -> np.ndarray:
        """Frames float16 [frame dim], part after part.

        A part is `counts` frames of the video `rows` from position `firsts` on (view * T + frame);
        all int64 [part]. Nothing but them is read, so that damage to them goes unnoticed. Raises
        DamagedError for a chunk that is gone or too short.
        """
        ends = np.cumsum(counts)
        frames = np.empty((int(counts.sum()), self._dim), np.float16)
        edges = zip((ends - counts).tolist(), ends.tolist(), strict=True)
        parts = [frames[start:end] for start, end in edges]
        grid = self._grid
        if not isinstance(grid, Layout):
            self._read_around(rows, firsts, parts)
            return frames
        blocks = rows // grid.size
        offsets = (rows % grid.size) * grid.row_bytes + firsts * self._dim * grid.dtype.itemsize
        order = np.argsort(blocks, kind="stable")
        different, starts = np.unique(blocks[order], return_index=True)

        def read(share: tuple[int, np.ndarray]) -> None:
            block, numbers = share
            buffers = [parts[number].reshape(-1).view(np.uint8) for number in numbers]
            try:
                self._place.read_ranges(
                    grid.key(self._path, block), offsets[numbers].tolist(), buffers
                )
            except OSError as error:
                what = "is gone" if isinstance(error, FileNotFoundError) else "is too short"
                raise DamagedError(
                    f"{self._place.location}/{grid.key(self._path, block)} {what}; run: "
                    f"{self._features.store.backend.verify_command}"
                ) from error

        shares = list(zip(different.tolist(), np.split(order, starts[1:]), strict=True))
        parallel(read, shares if len(rows) else [], self._place.threads(self._dim * 2))
        return frames

    def _read_around(self, rows: np.ndarray, firsts: np.ndarray, parts: list[np.ndarray]) -> None:
        """Of an array that another program laid out whole videos are read."""
        for row, first, part in zip(rows.tolist(), firsts.tolist(), parts, strict=True):
            video = self._features.read("frames", row, row + 1)
            part[...] = video.reshape(-1, self._dim)[first : first + len(part)]
