"""Retrieval as a protocol: how well texts find videos, and videos texts.

    rows = retrieval(store.features("msrvtt", "vifi-clip@step-2000"), "test")

With captions: text to video (t2v) and video to text (v2t), Recall@1/5/10, median and mean rank, as
`harness/retrieval/caption_metrics.py` counts them; all captions of a video may be one paragraph.
With class names, where many videos share a text: mean average precision and precision@1/5/10, one
class a query. A dataset that has both gives both. Scores are cosines between text and the mean of
a video's views; intervals are bootstraps over videos, for class names over classes.
"""

from dataclasses import dataclass, replace

import numpy as np

from harness.measuring import Scoring, Setup, chosen_classes, result_rows
from harness.metrics import average_precisions, precisions_at
from harness.results import ResultRow
from harness.retrieval.caption_metrics import CUTOFFS, caption_metrics, chunks
from harness.retrieval.captioned import PARAGRAPHS, caption_texts, load_captioned
from harness.retrieval.likeness import KnownLikeness, Likeness, VectorLikeness
from harness.scoring import Classes, Videos, load_classes, load_videos, scored_split
from harness.statistics import Interval, bootstrap_mean
from harness.vector_reading import video_vectors
from vifistore.cleaning import AS_IS
from vifistore.errors import UsageError
from vifistore.store.dataset import Dataset
from vifistore.store.features import Features

PROTOCOL = "retrieval"
# A caption is the whole prompt.
CAPTION_TEMPLATE = "{}"


@dataclass(frozen=True, kw_only=True)
class Ranking:
    """What captions ask, and by what videos are ranked."""

    paragraphs: bool = False
    """Take all captions of a video as one text, in their order."""

    @property
    def words(self) -> str:
        """How it is otherwise than each caption by cosines; empty where it is not."""
        return PARAGRAPHS if self.paragraphs else ""


def retrieval(
    features: Features,
    split: str = "",
    settings: Scoring | None = None,
    ranking: Ranking | None = None,
) -> list[ResultRow]:
    """Rows of every metric that the dataset has texts for.

    Raises UsageError for a fusion other than embedding, and for a dataset without captions and
    labels; what `load_videos` and `load_classes` raise.
    """
    settings, ranking = settings or Scoring(), ranking or Ranking()
    split = scored_split(features.dataset, split)
    if settings.fusions != ("embedding",):
        raise UsageError("retrieval compares mean embeddings; leave out --fusion")
    rows = []
    if caption_texts(features.dataset, split):
        rows += _caption_rows(features, split, settings, ranking)
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


def _caption_rows(
    features: Features, split: str, settings: Scoring, ranking: Ranking
) -> list[ResultRow]:
    how = {"partial": settings.partial, "paragraphs": ranking.paragraphs}
    captioned = load_captioned(features, split, **how)
    videos = captioned.videos
    texts = load_classes(
        videos.features, videos.class_names, templates=(CAPTION_TEMPLATE,), how=AS_IS
    )
    values = caption_metrics(captioned.pairs, _likeness(videos, texts), settings, videos.files)
    facts = {"resampled": "videos", "captions": len(captioned.pairs.query_texts)}
    if captioned.num_uncaptioned:
        facts["uncaptioned"] = captioned.num_uncaptioned
    return _rows(videos, texts, values, facts, ranking.words)


def _class_rows(features: Features, split: str, settings: Scoring) -> list[ResultRow]:
    videos = load_videos(features, split, partial=settings.partial)
    classes = chosen_classes(videos, settings)
    values = class_metrics(_likeness(videos, classes), videos.labels, settings)
    return _rows(videos, classes, values, {"resampled": "classes"})


def class_metrics(likeness: Likeness, labels: np.ndarray, settings: Scoring) -> dict[str, Interval]:
    """mAP and precision@k over the classes that have videos, by labels int64 [video]."""
    asked = np.unique(labels)
    per_query: dict[str, list[np.ndarray]] = {}
    for part in chunks(len(asked), len(labels)):
        scores = likeness.of_texts(asked[part])
        relevant = labels[None, :] == asked[part, None]
        metrics = {"mean_average_precision": average_precisions(scores, relevant)}
        # Of fewer videos than k, k cannot be right.
        cutoffs = [k for k in CUTOFFS if k <= len(labels)]
        metrics |= {f"precision_at_{k}": precisions_at(scores, relevant, k) for k in cutoffs}
        for name, values in metrics.items():
            per_query.setdefault(name, []).append(values)
    resampling = (settings.folds, settings.bootstrap_seed)
    return {
        name: bootstrap_mean(np.concatenate(values), *resampling)
        for name, values in per_query.items()
    }


def _likeness(videos: Videos, texts: Classes) -> Likeness:
    """Cosines of texts and the one vector of each video; of texts that follow it, their means over
    its views."""
    if texts.followed:
        return KnownLikeness(texts.followed.mean(videos.features, videos.rows))
    return VectorLikeness(texts.vectors, video_vectors(videos.features, videos.rows))


def _rows(
    videos: Videos, texts: Classes, values: dict[str, Interval], facts: dict, ranking: str = ""
) -> list[ResultRow]:
    setup = Setup(protocol=PROTOCOL, texts=texts, extra=facts)
    rows = result_rows(videos, "embedding", values, setup)
    return [replace(row, ranking=ranking) for row in rows]
