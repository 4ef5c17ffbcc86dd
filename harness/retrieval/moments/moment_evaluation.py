"""Moment retrieval as a protocol: which stretch of a given video a sentence is about.

    queries = read_moment_queries(Path("charades_sta_test.txt"))
    found = moment_retrieval(store.features("charades", "ViT-B-32@openai.1fps"), queries, texts)
    found.rows, found.predictions

Every number comes from cached frames and the sentence alone, by a rule of
`proposals.py` that no video was trained for. Queries whose videos are not in the
store, were not decoded or are not extracted yet are left out of every mean, and counted. Intervals
are bootstraps over videos, with all of their queries; QVHighlights' clips of one video are drawn
together.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from harness.classes import Classes
from harness.measuring import Scoring, Setup, result_rows
from harness.results import ResultRow
from harness.retrieval.moments.moment_metrics import (
    MAP_OVERLAPS,
    average_precision,
    best_overlap,
    highlight_hit,
)
from harness.retrieval.moments.moment_predictions import (
    AskedVideos,
    Prediction,
    moment_predictions,
    query_texts,
)
from harness.retrieval.moments.moment_queries import QVHIGHLIGHTS, MomentQueries
from harness.retrieval.moments.moment_videos import whole_video
from harness.retrieval.moments.proposals import CONTRAST, check_proposal
from harness.scoring import Videos
from harness.statistics import Interval, clustered_mean
from vifistore.errors import IncompleteError
from vifistore.store.features import Features

PROTOCOL = "moment-retrieval"
QUERY_TEMPLATE = "{}"
_QV_OVERLAPS, _OVERLAPS = (0.5, 0.7), (0.3, 0.5, 0.7)
_SECOND_RANK = 5


@dataclass(frozen=True, kw_only=True)
class MomentsFound:
    """The rows of one feature set, and what they were made of."""

    rows: list[ResultRow]
    predictions: list[Prediction]
    """In the order of the file; none of a query that was left out."""
    num_videos: int
    """Videos that the file asks about."""
    missing: list[str]
    """Those of them that the dataset does not have."""


def moment_retrieval(
    features: Features,
    queries: MomentQueries,
    texts: Classes,
    *,
    split: str,
    proposal: str = CONTRAST,
    settings: Scoring | None = None,
) -> MomentsFound:
    """Score a feature set by the queries of a file, whose name is `split`.

    `texts` are the sentences of `query_texts(queries)`, in that order. Raises UnknownNameError for
    an unknown rule, UsageError where the dataset has none of the videos or the set no frames,
    IncompleteError where it is not sealed and `settings.partial` is False, or holds none of them.
    """
    settings = settings or Scoring()
    check_proposal(proposal)
    if not settings.partial:
        features.require_sealed()
    asked = AskedVideos(features, queries)
    predictions = list(moment_predictions(asked, texts, proposal))
    if not predictions:
        raise IncompleteError(
            f"feature set {features.name} has no frame of the {len(asked.places)} videos that the "
            "queries are about; run `vifi extract` again"
        )
    return MomentsFound(
        rows=_rows(asked, texts, predictions, split, proposal, settings),
        predictions=predictions,
        num_videos=len(asked.names),
        missing=[name for name in asked.names if name not in asked.places],
    )


def moment_metrics(
    benchmark: str, predictions: Sequence[Prediction], settings: Scoring
) -> dict[str, Interval]:
    """The metrics that a benchmark publishes, each a mean over queries with its interval."""
    values: dict[str, list[float]] = {}
    for prediction in predictions:
        of_query = _qvhighlights if benchmark == QVHIGHLIGHTS else _grounding
        for metric, value in of_query(prediction).items():
            values.setdefault(metric, []).append(value)
    names = [prediction.query.video for prediction in predictions]
    videos = np.array(list(map(whole_video, names)) if benchmark == QVHIGHLIGHTS else names)
    drawn = settings.folds, settings.bootstrap_seed
    return {
        metric: clustered_mean(np.array(of_queries), videos, *drawn)
        for metric, of_queries in values.items()
        # Where only some queries have saliency scores there is no such mean over all.
        if len(of_queries) == len(predictions)
    }


def _qvhighlights(prediction: Prediction) -> dict[str, float]:
    predicted, right = _windows(prediction), prediction.query.windows
    scores = np.array([moment.score for moment in prediction.moments])
    overlap = best_overlap(predicted, right)
    precisions = dict(zip(MAP_OVERLAPS, average_precision(predicted, scores, right), strict=True))
    found = {f"r1_iou_{least}": float(overlap >= least) for least in _QV_OVERLAPS}
    found |= {f"map_iou_{least}": float(precisions[least]) for least in (0.5, 0.75)}
    found["map_average"] = float(np.mean(list(precisions.values())))
    if prediction.query.saliency is not None and len(prediction.saliency):
        found["hit_at_1"] = highlight_hit(prediction.saliency, prediction.query.saliency)
    return found


def _grounding(prediction: Prediction) -> dict[str, float]:
    predicted, right = _windows(prediction), prediction.query.windows
    found = {}
    for rank in (1, _SECOND_RANK):
        overlap = best_overlap(predicted, right, rank)
        found |= {f"r{rank}_iou_{least}": float(overlap >= least) for least in _OVERLAPS}
    return found | {"mean_iou": best_overlap(predicted, right)}


def _windows(prediction: Prediction) -> np.ndarray:
    """float64 [window 2], best first."""
    windows = [(moment.start, moment.end) for moment in prediction.moments]
    return np.array(windows, np.float64).reshape(-1, 2)


def _rows(
    asked: AskedVideos,
    texts: Classes,
    predictions: Sequence[Prediction],
    split: str,
    proposal: str,
    settings: Scoring,
) -> list[ResultRow]:
    timelines, queries = asked.timelines, asked.queries
    num_scored = len({prediction.query.video for prediction in predictions})
    videos = Videos(
        split=split,
        features=asked.features,
        rows=timelines.rows,
        labels=np.full(len(timelines.rows), -1),
        class_names=query_texts(queries),
        num_quarantined=asked.num_quarantined,
        num_todo=len(asked.places) - asked.num_quarantined - num_scored,
        listed=len(asked.names) if len(asked.names) > len(asked.places) else None,
    )
    extra = {
        "resampled": "videos",
        "benchmark": queries.benchmark,
        "proposal": proposal,
        "queries": len(predictions),
        "queries_listed": len(queries.queries) + queries.num_empty,
        "queries_digest": queries.digest,
    }
    values = moment_metrics(queries.benchmark, predictions, settings)
    setup = Setup(protocol=PROTOCOL, texts=texts, extra=extra)
    rows = result_rows(videos, proposal, values, setup)
    # Rows of a file are one video.
    return [replace(row, num_videos=num_scored) for row in rows]
