"""What a choice is worth: fusion, frames, views and templates, all from one cache.

Every function returns result rows, whose `protocol` names the ablation. Nothing is encoded again:
fewer frames or views are subsets of the cached ones.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from harness.measuring import Scoring, chosen_classes, measure, result_rows, text_setup
from harness.results import ResultRow
from harness.scoring import Videos, load_videos, score
from vifistore.errors import UsageError
from vifistore.store.store import Store

PAPER_FUSIONS = ("embedding", "decision", "image")


@dataclass(frozen=True, kw_only=True)
class Ablation(Scoring):
    """Settings of every ablation."""

    fusions: tuple[str, ...] = PAPER_FUSIONS
    """Where frames are merged: embedding, decision, image, max, top-4, attention."""


def fusion_matrix(
    store: Store,
    dataset: str,
    features: Sequence[str],
    split: str = "",
    settings: Ablation | None = None,
) -> list[ResultRow]:
    """Every feature set scored with every fusion.

    A row's `trained_fusion` is what the feature set's checkpoint was fine-tuned with, so that the
    rows form the matrix trained-with x scored-with.
    """
    settings = settings or Ablation()
    rows = []
    for name in features:
        videos = load_videos(store, dataset, name, split, partial=settings.partial)
        rows += _rows(store, videos, "ablation-fusion", settings)
    return rows


def table5_rows(rows: Sequence[ResultRow]) -> list[ResultRow]:
    """The rows of the paper's Table 5: checkpoints scored with the fusion they were tuned with.

    `rows` come from `fusion_matrix`. Raises UsageError for a paper fusion no checkpoint has.
    """
    found = [row for row in rows if row.metric == "top1" and row.trained_fusion == row.fusion]
    missing = [name for name in PAPER_FUSIONS if name not in {row.fusion for row in found}]
    if missing:
        raise UsageError(
            f"no checkpoint was both tuned and scored with {', '.join(missing)}; train one with "
            f"`vifi train ... --fusion {missing[0]}` and give its features"
        )
    return sorted(found, key=lambda row: row.fusion)


def frames_ablation(
    store: Store,
    dataset: str,
    features: str,
    counts: Sequence[int],
    split: str = "",
    settings: Ablation | None = None,
) -> list[ResultRow]:
    """The same videos with fewer frames per view, evenly spaced among the cached ones."""
    settings = settings or Ablation()
    videos = load_videos(store, dataset, features, split, partial=settings.partial)
    videos.features.require_array("frames")
    total = videos.features.frames.shape[2]
    return _subset_rows(store, videos, "frames", total, counts, settings)


def views_ablation(
    store: Store,
    dataset: str,
    features: str,
    counts: Sequence[int],
    split: str = "",
    settings: Ablation | None = None,
) -> list[ResultRow]:
    """The same videos with fewer views, evenly spaced among the cached ones (crop-major)."""
    settings = settings or Ablation()
    videos = load_videos(store, dataset, features, split, partial=settings.partial)
    total = videos.features.view_mean.shape[1]
    return _subset_rows(store, videos, "views", total, counts, settings)


def templates_ablation(
    store: Store,
    dataset: str,
    features: str,
    texts: Sequence[str],
    split: str = "",
    settings: Ablation | None = None,
) -> list[ResultRow]:
    """The same videos against several text sets, given by id."""
    settings = settings or Ablation()
    videos = load_videos(store, dataset, features, split, partial=settings.partial)
    return [
        row
        for text_set in texts
        for row in _rows(store, videos, "ablation-templates", replace(settings, texts=text_set))
    ]


def evenly_spaced(total: int, count: int, what: str) -> np.ndarray:
    """Indexes floor((i + 0.5) total / count), int64 [count]: the middles of `count` stretches.

    Of cached frames this is a subset, not what sampling so few from the video would have taken.

    Raises UsageError unless 1 <= count <= total.
    """
    if not 1 <= count <= total:
        raise UsageError(f"{count} {what} cannot be chosen from the {total} cached; give 1-{total}")
    return (2 * np.arange(count) + 1) * total // (2 * count)


def _subset_rows(
    store: Store, videos: Videos, axis: str, total: int, counts: Sequence[int], settings: Ablation
) -> list[ResultRow]:
    """Rows for `counts` of the `total` cached entries of an axis, frames or views."""
    rows = []
    for count in counts:
        chosen = {axis: evenly_spaced(total, count, axis)}
        rows += _rows(store, videos, f"ablation-{axis}", settings, **chosen)
    return rows


def _rows(
    store: Store,
    videos: Videos,
    protocol: str,
    settings: Ablation,
    **chosen: np.ndarray,
) -> list[ResultRow]:
    classes = chosen_classes(store, videos, settings)
    used = {f"num_{axis}": len(index) for axis, index in chosen.items()}
    setup = text_setup(protocol, classes, **used)
    rows = []
    for fusion, scores in score(videos, classes, settings.fusions, **chosen).items():
        values = measure(scores, videos.labels, settings)
        rows += result_rows(store, videos, fusion, values, setup)
    return rows
