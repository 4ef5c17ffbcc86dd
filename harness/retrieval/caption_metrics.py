"""Recall and ranks of captions and videos, both ways.

The rank of the best right answer among everything that is searched, from 1: wrong answers of an
equal score count as better, so that scores which tell nothing find nothing. From a video to its
captions every caption counts as often as it is asked for, as in the lists of published evaluations,
and one with the words of a right caption is right as well.
"""

from collections.abc import Iterator

import numpy as np

from harness.measuring import Scoring
from harness.metrics import first_ranks
from harness.retrieval.captioned import CaptionPairs
from harness.retrieval.likeness import Likeness
from harness.statistics import Interval, clustered_mean, clustered_median

CUTOFFS = (1, 5, 10)
_CHUNK_ELEMENTS = 16_000_000


def caption_metrics(
    pairs: CaptionPairs,
    likeness: Likeness,
    settings: Scoring,
    files: np.ndarray | None = None,
) -> dict[str, Interval]:
    """Recall, median and mean rank both ways; intervals draw videos with all of their captions, or
    whole `files`, int64 [video], where there are any."""
    by_text, by_video = pairs.query_videos, np.unique(pairs.videos)
    ranks = text_ranks(pairs, likeness), video_ranks(pairs, likeness)
    if files is not None:
        by_text, by_video = files[by_text], files[by_video]
    return {
        **_rank_metrics("t2v", ranks[0], by_text, settings),
        **_rank_metrics("v2t", ranks[1], by_video, settings),
    }


def text_ranks(pairs: CaptionPairs, likeness: Likeness) -> np.ndarray:
    """Rank of the best right video of each query, int64 [query]."""
    texts, (_, num_videos) = pairs.query_texts, likeness.counts
    ranks = np.empty(len(texts), np.int64)
    for part in chunks(len(texts), num_videos):
        relevant = np.zeros((len(texts[part]), num_videos), bool)
        inside = slice(*np.searchsorted(pairs.queries, [part.start, part.stop]))
        relevant[pairs.queries[inside] - part.start, pairs.videos[inside]] = True
        ranks[part] = first_ranks(likeness.of_texts(texts[part]), relevant)
    return ranks


def video_ranks(pairs: CaptionPairs, likeness: Likeness) -> np.ndarray:
    """Rank of the best right caption of each video that has one, int64 [video], by position."""
    asked, (num_texts, _) = np.unique(pairs.videos), likeness.counts
    times = np.bincount(pairs.query_texts, minlength=num_texts)
    order = np.argsort(pairs.videos, kind="stable")
    videos, texts = pairs.videos[order], pairs.texts[order]
    ranks = np.empty(len(asked), np.int64)
    for part in chunks(len(asked), num_texts):
        of_part = asked[part]
        relevant = np.zeros((len(of_part), num_texts), bool)
        inside = slice(*np.searchsorted(videos, [of_part[0], of_part[-1] + 1]))
        relevant[np.searchsorted(of_part, videos[inside]), texts[inside]] = True
        ranks[part] = first_ranks(likeness.of_videos(of_part), relevant, times)
    return ranks


def chunks(num_queries: int, num_items: int) -> Iterator[slice]:
    """Queries whose scores of all items fit in some tens of mebibytes."""
    step = max(1, _CHUNK_ELEMENTS // max(num_items, 1))
    return (slice(start, start + step) for start in range(0, num_queries, step))


def _rank_metrics(
    way: str, ranks: np.ndarray, videos: np.ndarray, settings: Scoring
) -> dict[str, Interval]:
    """Over ranks [query] of what is about videos, or files, int64 [query]."""
    drawn = settings.folds, settings.bootstrap_seed
    return {
        **{f"{way}_recall_at_{k}": clustered_mean(ranks <= k, videos, *drawn) for k in CUTOFFS},
        f"{way}_median_rank": clustered_median(ranks, videos, *drawn),
        f"{way}_mean_rank": clustered_mean(ranks, videos, *drawn, bounds=None),
    }
