"""What the benchmarks of searches among generated frames share: their settings and their index."""

from dataclasses import dataclass

from harness.retrieval.frame_quality import FrameQuality, tune_frames
from harness.retrieval.indexing.bundle_building import Built, keep_effort
from harness.retrieval.indexing.bundle_index import BundledFrames
from vifi.bench.bench_settings import Bench
from vifistore.store.features import Features

NEIGHBOURS = 10
"""Videos, or moments, that a text is to find."""


@dataclass(frozen=True, kw_only=True)
class IndexedFrames(Bench):
    """What is searched for, and how well."""

    dim: int = 512
    """Dimensions of a frame."""
    num_queries: int = 100
    """Texts that are searched for from the index."""
    recall: float = 0.98
    """Recall@10 that the index is tuned to."""


def tuned(features: Features, built: Built, recall: float) -> tuple[BundledFrames, FrameQuality]:
    """A frame index that was built, tuned as `vifi index --frames` does, and how good it is."""
    index = BundledFrames(features, built.kept)
    quality = tune_frames(features, index, recall)
    keep_effort(built, index.effort)
    return index, quality
