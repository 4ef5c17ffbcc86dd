"""Retrieval as a protocol: how well texts find videos, and videos texts.

    rows = retrieval(store.features("msrvtt", "vifi-clip@step-2000"), "test")

With captions: text to video (t2v) and video to text (v2t), Recall@1/5/10, median and mean rank, as
`harness/retrieval/caption_metrics.py` counts them; all captions of a video may be one paragraph.
With class names, where many videos share a text: mean average precision and precision@1/5/10, one
class a query. A dataset that has both gives both. Scores are cosines between text and the mean of
a video's views; intervals are bootstraps over videos, for class names over classes.
"""

from dataclasses import replace

import numpy as np

from harness.followed_texts import refuse_followed
from harness.leaks import are_of_files
from harness.measuring import Scoring, Setup, chosen_classes, result_rows
from harness.metrics import average_precisions, precisions_at
from harness.results import ResultRow
from harness.retrieval.caption_metrics import CUTOFFS, caption_metrics, chunks
from harness.retrieval.captioned import Captioned, caption_texts, load_captioned
from harness.retrieval.frame_likeness import FrameLikeness
from harness.retrieval.likeness import KnownLikeness, Likeness, VectorLikeness
from harness.retrieval.normalised import NormalisedLikeness, normaliser
from harness.retrieval.ranking import Ranking
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


def retrieval(
    features: Features,
    split: str = "",
    settings: Scoring | None = None,
    ranking: Ranking | None = None,
) -> list[ResultRow]:
    """Rows of every metric that the dataset has texts for.

    Raises UsageError for a fusion other than embedding, for a dataset without captions and labels,
    and without captions for what `ranking` does to these; what `load_videos` and `load_classes`
    raise.
    """
    settings, ranking = settings or Scoring(), ranking or Ranking()
    split = scored_split(features.dataset, split)
    if settings.fusions != ("embedding",):
        raise UsageError(
            "retrieval compares mean embeddings, or frames with --rerank; leave out --fusion"
        )
    rows = []
    if caption_texts(features.dataset, split):
        rows += _caption_rows(features, split, settings, ranking)
    elif ranking.words:
        raise UsageError(
            f"{features.dataset.name} has no captions that {ranking.words} could be of; scan it "
            "with a caption file"
        )
    # What is done to captions alone says nothing new of class names.
    if is_labelled(features.dataset, split) and not ranking.words:
        rows += _class_rows(features, split, settings, ranking)
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
    asked, texts = _load(features, split, settings, ranking)
    likeness, facts = _likeness(asked.videos, texts, ranking), {}
    if ranking.normalise is not None:
        likeness, facts = _normalised(likeness, asked, texts, settings, ranking)
    values = caption_metrics(asked.pairs, likeness, settings, asked.videos.files)
    facts = {"resampled": "videos", "captions": len(asked.pairs.query_texts), **facts}
    if asked.num_uncaptioned:
        facts["uncaptioned"] = asked.num_uncaptioned
    return _rows(asked.videos, texts, values, facts, ranking)


def _load(
    features: Features, split: str, settings: Scoring, ranking: Ranking
) -> tuple[Captioned, Classes]:
    """What a split asks, and the vectors of its captions."""
    how = {"partial": settings.partial, "paragraphs": ranking.paragraphs}
    asked = load_captioned(features, split, **how)
    templates = (CAPTION_TEMPLATE,)
    return asked, load_classes(features, asked.videos.class_names, templates=templates, how=AS_IS)


def _normalised(
    plain: Likeness, asked: Captioned, texts: Classes, settings: Scoring, ranking: Ranking
) -> tuple[Likeness, dict]:
    """Scores normalised by a bank, and what the provenance says of it."""
    assert ranking.normalise is not None, "only what is to be normalised comes here"
    bank, by_texts, by_videos = asked, plain, plain
    if ranking.bank:
        bank, of_bank = _load(asked.videos.features, ranking.bank, settings, ranking)
        by_texts = _likeness(asked.videos, of_bank, ranking)
        by_videos = _likeness(bank.videos, texts, ranking)
    rule, sharpness = ranking.normalise, ranking.sharpness_with(texts.link.scale)
    sentences, videos = bank.pairs.query_texts, np.unique(bank.pairs.videos)
    num_texts, num_videos = plain.counts
    text_parts = (by_texts.of_texts(sentences[p]) for p in chunks(len(sentences), num_videos))
    video_parts = (by_videos.of_videos(videos[p]) for p in chunks(len(videos), num_texts))
    likeness = NormalisedLikeness(
        plain=plain,
        videos=normaliser(rule, sharpness, text_parts, num_videos),
        texts=normaliser(rule, sharpness, video_parts, num_texts),
    )
    facts = {"rule": rule, "sharpness": sharpness, "bank": ranking.bank or asked.videos.split}
    facts |= {"bank_captions": len(sentences), "bank_videos": len(videos)}
    return likeness, {
        "normalised": facts,
        "transductive": _share_a_video(asked.videos, bank.videos),
    }


def _share_a_video(first: Videos, second: Videos) -> bool:
    """Whether a file is in both, under one path or as a copy under another."""
    paths = first.dataset.column("path")
    is_own = bool(np.isin(paths[first.rows], paths[second.rows]).any())
    return is_own or bool(are_of_files(first, second).any())


def _class_rows(
    features: Features, split: str, settings: Scoring, ranking: Ranking
) -> list[ResultRow]:
    videos = load_videos(features, split, partial=settings.partial)
    classes = chosen_classes(videos, settings)
    values = class_metrics(_likeness(videos, classes, ranking), videos.labels, settings)
    by_names = Ranking(rerank=ranking.rerank)
    return _rows(videos, classes, values, {"resampled": "classes"}, by_names)


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


def _likeness(videos: Videos, texts: Classes, ranking: Ranking) -> Likeness:
    """Cosines of texts and the one vector of each video, or scores by its frames; of texts that
    follow it, their mean cosines over its views."""
    if texts.followed:
        if ranking.rerank is not None:
            refuse_followed(videos.features, "--rerank compares with single frames")
        return KnownLikeness(texts.followed.mean(videos.features, videos.rows))
    if ranking.rerank is not None:
        return FrameLikeness(
            features=videos.features, rows=videos.rows, texts=texts.vectors, how=ranking.rerank
        )
    return VectorLikeness(texts.vectors, video_vectors(videos.features, videos.rows))


def _rows(
    videos: Videos, texts: Classes, values: dict[str, Interval], facts: dict, ranking: Ranking
) -> list[ResultRow]:
    setup = Setup(protocol=PROTOCOL, texts=texts, extra=facts)
    rows = result_rows(videos, ranking.fusion, values, setup)
    return [replace(row, ranking=ranking.words) for row in rows]
