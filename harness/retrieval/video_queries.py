"""Videos that ask for videos of their class, those of their own source left out.

    rows = video_retrieval(store.features("ucf101", "ViT-B-32@openai.16f"), "test1")

Every labelled video asks by its one vector; clips of the same source (`video_sources.py`) are
neither right nor wrong, they are not searched. A video without another of its class elsewhere has
no right answer: it is left out of the means, and counted. Intervals draw sources with all of their
videos. No text comes into it.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from harness.measuring import Scoring, Setup, result_rows
from harness.metrics import average_precisions, first_ranks
from harness.results import ResultRow
from harness.retrieval.caption_metrics import CUTOFFS, chunks
from harness.retrieval.evaluation import PROTOCOL
from harness.retrieval.video_sources import sources_of
from harness.scoring import load_videos, scored_split
from harness.statistics import Interval, clustered_mean
from harness.vector_reading import video_vectors
from vifistore.errors import UsageError
from vifistore.store.features import Features


@dataclass(frozen=True, kw_only=True)
class LabelledVectors:
    """Videos as queries and as what is searched."""

    vectors: np.ndarray
    """float32 [video dim], unit length."""
    labels: np.ndarray
    """int64 [video]."""
    sources: np.ndarray
    """int64 [video]: videos of equal numbers do not find each other."""

    @property
    def is_asked(self) -> np.ndarray:
        """Whether another video of its class is of another source, bool [video]."""
        pairs = np.unique(np.stack([self.labels, self.sources]), axis=1)
        num_sources = np.bincount(pairs[0], minlength=int(self.labels.max()) + 1)
        return num_sources[self.labels] > 1


def video_retrieval(
    features: Features, split: str = "", settings: Scoring | None = None, groups: str = ""
) -> list[ResultRow]:
    """Rows of mAP and recall among the videos of a split; `groups` is the pattern of
    `sources_of`. Raises UsageError where no video has a right answer; what `load_videos` and
    `sources_of` raise.
    """
    settings = settings or Scoring()
    videos = load_videos(features, scored_split(features.dataset, split), partial=settings.partial)
    sources, told = sources_of(features.dataset, videos.rows, groups)
    asked = LabelledVectors(
        vectors=video_vectors(features, videos.rows), labels=videos.labels, sources=sources
    )
    if not (is_asked := asked.is_asked).any():
        raise UsageError(
            f"no video of {videos.split} has another of its class that is of another source, told "
            f"by {told}; say what a source is with --groups"
        )
    facts = {"resampled": "sources", "sources": int(sources.max()) + 1, "source": told}
    if num_alone := int((~is_asked).sum()):
        facts["alone"] = num_alone
    rows = result_rows(
        videos, "embedding", video_metrics(asked, settings), Setup(protocol=PROTOCOL, extra=facts)
    )
    return [replace(row, ranking=f"sources by {told}") for row in rows]


def video_metrics(asked: LabelledVectors, settings: Scoring) -> dict[str, Interval]:
    """mAP and recall at K of the videos that have a right answer."""
    parts = list(_parts(asked))
    ranks, precisions = (np.concatenate(values) for values in zip(*parts, strict=True))
    sources = asked.sources[asked.is_asked]
    drawn = settings.folds, settings.bootstrap_seed
    return {
        "v2v_mean_average_precision": clustered_mean(precisions, sources, *drawn),
        **{f"v2v_recall_at_{k}": clustered_mean(ranks <= k, sources, *drawn) for k in CUTOFFS},
    }


def _parts(asked: LabelledVectors) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Ranks of the best right video, and average precisions, both [query]."""
    queries = np.flatnonzero(asked.is_asked)
    for part in chunks(len(queries), len(asked.labels)):
        chosen = queries[part]
        scores = asked.vectors[chosen] @ asked.vectors.T
        is_other = asked.sources[chosen, None] != asked.sources
        relevant = is_other & (asked.labels[chosen, None] == asked.labels)
        # Behind all others, below any cosine, nothing that is wrong counts.
        scores[~is_other] = -2.0
        yield first_ranks(scores, relevant), average_precisions(scores, relevant)
