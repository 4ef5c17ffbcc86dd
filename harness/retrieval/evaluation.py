"""Retrieval as a protocol: how well texts find videos, and videos texts.

    rows = retrieval(store.features("msrvtt", "vifi-clip@step-2000"), "test")

With captions: text to video (t2v) and video to text (v2t), Recall@1/5/10 and median rank, one
caption a query and its video the one right answer; a video's right answers are all its captions.
With class names, where many videos share a text: mean average precision and precision@1/5/10, one
class a query. A dataset that has both gives both. Scores are cosines between text and the mean of
a video's views; intervals are bootstraps over videos, for class names over classes.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from harness.measuring import Scoring, Setup, chosen_classes, result_rows
from harness.metrics import average_precisions, first_ranks, precisions_at
from harness.results import ResultRow
from harness.retrieval.likeness import KnownLikeness, Likeness, VectorLikeness
from harness.scoring import (
    Classes,
    Videos,
    load_classes,
    load_videos,
    scored_split,
    status_of,
)
from harness.statistics import Interval, bootstrap_mean, clustered_mean, clustered_median
from harness.vector_reading import video_vectors
from vifistore.cleaning import AS_IS
from vifistore.errors import IncompleteError, UsageError
from vifistore.store.dataset import Dataset
from vifistore.store.features import Features
from vifistore.store.schema import DONE, QUARANTINED, TODO
from vifistore.store.splits import ALL_VIDEOS

PROTOCOL = "retrieval"
CUTOFFS = (1, 5, 10)
# A caption is the whole prompt.
CAPTION_TEMPLATE = "{}"
_CHUNK_ELEMENTS = 16_000_000


@dataclass(frozen=True, kw_only=True)
class Captioned:
    """Videos with captions, and every pair of the two."""

    videos: Videos
    """`class_names` are the different captions."""
    pair_videos: np.ndarray
    """int64 [pair]: positions in `videos.rows`."""
    pair_texts: np.ndarray
    """int64 [pair]: indexes of the captions."""


def retrieval(
    features: Features,
    split: str = "",
    settings: Scoring | None = None,
) -> list[ResultRow]:
    """Rows of every metric that the dataset has texts for.

    Raises UsageError for a fusion other than embedding, and for a dataset without captions and
    labels; what `load_videos` and `load_classes` raise.
    """
    settings = settings or Scoring()
    split = scored_split(features.dataset, split)
    if settings.fusions != ("embedding",):
        raise UsageError("retrieval compares mean embeddings; leave out --fusion")
    rows = []
    if len(features.dataset.captions()):
        rows += _caption_rows(features, split, settings)
    if is_labelled(features.dataset, split):
        rows += _class_rows(features, split, settings)
    if not rows:
        raise UsageError(
            f"{features.dataset.name} has neither captions nor labels, so no query has a right "
            "answer; scan it with a caption file or with labels"
        )
    return rows


def is_labelled(dataset: Dataset, split: str) -> bool:
    """Whether every video of the split has a label; of all videos, whether any has."""
    if dataset.is_everything(split):
        return bool(dataset.class_names())
    members = dataset.split(split)
    return bool(members.class_names) and bool((members.labels >= 0).all())


def caption_texts(dataset: Dataset) -> list[str]:
    """The different captions of a dataset, in the order they were first given."""
    return list(dict.fromkeys(dataset.captions()["text"]))


def _caption_rows(features: Features, split: str, settings: Scoring) -> list[ResultRow]:
    captioned = load_captioned(features, split, partial=settings.partial)
    videos = captioned.videos
    texts = load_classes(
        videos.features, videos.class_names, templates=(CAPTION_TEMPLATE,), how=AS_IS
    )
    values = caption_metrics(captioned, _likeness(videos, texts), settings)
    return _rows(videos, texts, values, "videos")


def caption_metrics(
    captioned: Captioned, likeness: Likeness, settings: Scoring
) -> dict[str, Interval]:
    """Recall and median rank both ways."""
    pair_videos, pair_texts = captioned.pair_videos, captioned.pair_texts
    num_texts, num_videos = likeness.counts
    by_text = np.empty(len(pair_videos), np.int64)
    for part in _chunks(len(pair_videos), num_videos):
        relevant = pair_videos[part, None] == np.arange(num_videos)
        by_text[part] = first_ranks(likeness.of_texts(pair_texts[part]), relevant)
    asked = np.unique(pair_videos)
    by_video = np.empty(len(asked), np.int64)
    for part in _chunks(len(asked), num_texts):
        relevant = np.zeros((len(asked[part]), num_texts), bool)
        inside = np.isin(pair_videos, asked[part])
        queries = np.searchsorted(asked[part], pair_videos[inside])
        relevant[queries, pair_texts[inside]] = True
        by_video[part] = first_ranks(likeness.of_videos(asked[part]), relevant)
    return {
        **_rank_metrics("t2v", by_text, pair_videos, settings),
        **_rank_metrics("v2t", by_video, asked, settings),
    }


def _rank_metrics(
    way: str, ranks: np.ndarray, videos: np.ndarray, settings: Scoring
) -> dict[str, Interval]:
    options = {"folds": settings.folds, "seed": settings.bootstrap_seed}
    return {
        **{f"{way}_recall_at_{k}": clustered_mean(ranks <= k, videos, **options) for k in CUTOFFS},
        f"{way}_median_rank": clustered_median(ranks, videos, **options),
    }


def _class_rows(features: Features, split: str, settings: Scoring) -> list[ResultRow]:
    videos = load_videos(features, split, partial=settings.partial)
    classes = chosen_classes(videos, settings)
    values = class_metrics(_likeness(videos, classes), videos.labels, settings)
    return _rows(videos, classes, values, "classes")


def class_metrics(likeness: Likeness, labels: np.ndarray, settings: Scoring) -> dict[str, Interval]:
    """mAP and precision@k over the classes that have videos, by labels int64 [video]."""
    asked = np.unique(labels)
    per_query: dict[str, list[np.ndarray]] = {}
    for part in _chunks(len(asked), len(labels)):
        scores = likeness.of_texts(asked[part])
        relevant = labels[None, :] == asked[part, None]
        metrics = {"mean_average_precision": average_precisions(scores, relevant)}
        # Of fewer videos than k, k cannot be right.
        cutoffs = [k for k in CUTOFFS if k <= len(labels)]
        metrics |= {f"precision_at_{k}": precisions_at(scores, relevant, k) for k in cutoffs}
        for name, values in metrics.items():
            per_query.setdefault(name, []).append(values)
    options = {"folds": settings.folds, "seed": settings.bootstrap_seed}
    return {
        name: bootstrap_mean(np.concatenate(values), **options)
        for name, values in per_query.items()
    }


def _likeness(videos: Videos, texts: Classes) -> Likeness:
    """Cosines of texts and the one vector of each video; of texts that follow it, their means over
    its views."""
    if texts.followed:
        return KnownLikeness(texts.followed.mean(videos.features, videos.rows))
    return VectorLikeness(texts.vectors, video_vectors(videos.features, videos.rows))


def load_captioned(features: Features, split: str, *, partial: bool) -> Captioned:
    """The videos of a split, or of the dataset, that have captions and embeddings.

    Raises IncompleteError when videos are still to do and `partial` is False, or none is done.
    """
    if not partial:
        features.require_sealed()
    captions = features.dataset.captions()
    rows, listed = np.unique(captions["row"].to_numpy()), None
    if not features.dataset.is_everything(split):
        members = features.dataset.split(split)
        rows, listed = np.intersect1d(rows, members.rows), members.num_listed
    status = status_of(features, rows)
    num_todo, done = int((status == TODO).sum()), rows[status == DONE]
    if (num_todo and not partial) or not len(done):
        raise IncompleteError(
            f"feature set {features.name} holds {len(done)} of {len(rows)} captioned videos of "
            f"{features.dataset.name}; run `vifi extract` again, or give --partial"
        )
    pairs = captions[np.isin(captions["row"], done)]
    names = list(dict.fromkeys(pairs["text"]))
    index = {name: number for number, name in enumerate(names)}
    videos = Videos(
        split=split or ALL_VIDEOS,
        features=features,
        rows=done,
        labels=np.full(len(done), -1),
        class_names=names,
        num_quarantined=int((status == QUARANTINED).sum()),
        num_todo=num_todo,
        listed=listed,
    )
    return Captioned(
        videos=videos,
        pair_videos=np.searchsorted(done, np.asarray(pairs["row"])),
        pair_texts=np.array([index[text] for text in pairs["text"]], np.int64),
    )


def _rows(
    videos: Videos, texts: Classes, values: dict[str, Interval], resampled: str
) -> list[ResultRow]:
    setup = Setup(protocol=PROTOCOL, texts=texts, extra={"resampled": resampled})
    return result_rows(videos, "embedding", values, setup)


def _chunks(num_queries: int, num_items: int) -> Iterator[slice]:
    """Queries whose scores of all items fit in some tens of mebibytes."""
    step = max(1, _CHUNK_ELEMENTS // max(num_items, 1))
    return (slice(start, start + step) for start in range(0, num_queries, step))
