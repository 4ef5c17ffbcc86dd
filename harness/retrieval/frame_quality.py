"""How many bundles a frame index has to look into, by what it finds beside comparing all frames.

Queries are of two kinds. *Frames* of the set lie where frames lie. *Texts* do not: those of the
checkpoint, where the store has some, and made ones, which hold of a frame what sets it apart from
the mean of all, for 0.4 of their length, and noise for the rest. An index is as good as it is for
the worse kind.
"""

import statistics
import time
from dataclasses import dataclass

import numpy as np

from harness.fusion import unit
from harness.retrieval.exact_frames import ExactFrames
from harness.retrieval.frame_vectors import frame_vectors
from harness.retrieval.indexing.bundle_index import BundledFrames
from harness.retrieval.quality import NEIGHBOURS, text_queries
from vifistore.store.features import Features
from vifistore.store.schema import BLOCK_SIZE, DONE

_OF_EACH_KIND = 32
_MEANING = 0.4
_MOST_BUNDLES = 6400


@dataclass(frozen=True, kw_only=True)
class FrameQuality:
    """A frame index beside the comparison of all frames."""

    frame_recall: float
    """Share of the 10 videos with the best frames that it finds, a mean over queries that are
    frames."""
    text_recall: float
    """The same of queries that are texts."""
    milliseconds: float
    """Median time of one query."""

    @property
    def recall(self) -> float:
        """That of the worse kind."""
        return min(self.frame_recall, self.text_recall)


def frame_queries(features: Features, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Frames and texts to try an index with, two float32 [query dim] of unit length."""
    draw = np.random.default_rng(seed)
    status = features.read_status()
    having = np.unique(np.flatnonzero(status == DONE) // BLOCK_SIZE)
    blocks = np.unique(draw.choice(having, min(len(having), _OF_EACH_KIND), replace=False))
    each = -(-_OF_EACH_KIND // len(blocks))
    drawn = []
    for block in blocks.tolist():
        for piece in frame_vectors(features, status, range(block, block + 1)):
            drawn.append(draw.permutation(piece.vectors)[:each])
    frames = draw.permutation(np.concatenate(drawn))[:_OF_EACH_KIND]
    meant = unit(frames - frames.mean(axis=0))
    noise = unit(draw.standard_normal(frames.shape, np.float32))
    made = unit(_MEANING * meant + np.sqrt(1 - _MEANING**2) * noise)
    texts = draw.permutation(text_queries(features, frames.shape[1]))[:_OF_EACH_KIND]
    return frames, np.concatenate([made, texts]).astype(np.float32)


def tune_frames(features: Features, index: BundledFrames, target: float) -> FrameQuality:
    """Double the effort of an index until it reaches the wanted recall for both kinds of query, or
    has the greatest one; what it then is.

    Every frame of the set is read once.
    """
    kinds = frame_queries(features)
    right = ExactFrames(features).nearest_videos(np.concatenate(kinds), NEIGHBOURS).rows
    rights = np.split(right, [len(kinds[0])])
    while True:
        quality = FrameQuality(
            frame_recall=_recall(index, kinds[0], rights[0]),
            text_recall=_recall(index, kinds[1], rights[1]),
            milliseconds=_milliseconds(index, kinds[1]),
        )
        most = min(index.num_bundles, _MOST_BUNDLES)
        if quality.recall >= target or index.effort >= most:
            return quality
        index.effort = min(2 * index.effort, most)


def _recall(index: BundledFrames, queries: np.ndarray, right: np.ndarray) -> float:
    found = index.nearest_videos(queries, NEIGHBOURS).rows
    shares = [
        np.isin(wanted[wanted >= 0], rows).mean() for wanted, rows in zip(right, found, strict=True)
    ]
    return float(np.mean(shares))


def _milliseconds(index: BundledFrames, queries: np.ndarray) -> float:
    times = []
    for query in queries[:, None]:
        start = time.perf_counter()
        index.nearest_videos(query, NEIGHBOURS)
        times.append(time.perf_counter() - start)
    return 1e3 * statistics.median(times)
