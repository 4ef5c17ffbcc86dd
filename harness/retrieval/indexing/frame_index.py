"""The frames of a feature set, found by their cosine with a query.

    index = open_frame_index(store.cache_folder, features)
    cosines, rows, positions = index.search(queries, 100)        # [query hit], best first

A hit is a frame: the row of its video, and its position there, view * T + frame. Frames that only
pad a view, and videos without embeddings, are never found. `vifi index S --frames` makes an index;
without one every frame is compared. What was encoded since the index was made is compared frame by
frame beside it.
"""

import logging
from pathlib import Path
from typing import Protocol

import numpy as np

from harness.retrieval.exact_frames import ExactFrames
from harness.retrieval.frame_hits import FrameHits
from harness.retrieval.indexing.bundle_files import damage
from harness.retrieval.indexing.bundle_index import BundledFrames, frames_folder, read_bundles
from vifistore.errors import DamagedError, StoreError, shell
from vifistore.store.features import Features

logger = logging.getLogger("vifi")


class BestFrames(Protocol):
    """What finds the videos with the best frames."""

    kind: str

    def nearest_videos(
        self, queries: np.ndarray, k: int, allowed: np.ndarray | None = None
    ) -> FrameHits:
        """Of the k videos with the best frames, the best frame of each.

        queries: float32 [query dim] of unit length. allowed: bool [video], rows of the feature set
        that may be found; all by default.
        """
        ...


class FrameIndex(BestFrames, Protocol):
    """What finds frames, too."""

    def search(self, queries: np.ndarray, k: int, allowed: np.ndarray | None = None) -> FrameHits:
        """The k nearest frames of each query; else as `nearest_videos`."""
        ...


def open_frame_index(cache_folder: Path, features: Features) -> FrameIndex:
    """What finds the frames of a feature set: its index, or a comparison of all of them.

    Raises UsageError for a feature set without frames, StoreError for an index whose files are not
    those that were written.
    """
    features.require_array("frames")
    folder = frames_folder(cache_folder, features)
    if not folder.is_dir():
        return ExactFrames(features, quicker=index_command(features))
    try:
        with damage():
            kept = read_bundles(folder, features)
    except DamagedError as error:
        raise StoreError(
            f"the frame index in {folder} cannot be used ({error}); make it again with: "
            f"{index_command(features)}"
        ) from error
    index = BundledFrames(features, kept)
    if index.num_fresh:
        logger.info(
            "%d videos are newer than the frame index and are compared frame by frame; add them "
            "with: %s",
            index.num_fresh,
            index_command(features),
        )
    return index


def index_command(features: Features) -> str:
    """What makes or updates the frame index of a feature set."""
    words = ("--dataset", features.dataset.name, "--features", features.name, "--frames")
    return shell("vifi", "index", "S", *words)
