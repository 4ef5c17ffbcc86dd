"""What a choice is worth: fusion, frames, views, templates, blended weights, all from the cache.

Every function returns result rows, whose `protocol` names the ablation. Nothing is encoded again:
fewer frames or views are subsets of the cached ones.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from harness.levers.lever_rows import rows_with_levers
from harness.measuring import Scoring, Setup, chosen_classes, scored_rows
from harness.results import ResultRow
from harness.scoring import Videos, checkpoint_of, load_videos, score
from harness.whole_views import refuse_merging
from vifistore.errors import UsageError
from vifistore.store.features import Features

PAPER_FUSIONS = ("embedding", "decision", "image")


@dataclass(frozen=True, kw_only=True)
class Ablation(Scoring):
    """Settings of every ablation."""

    fusions: tuple[str, ...] = PAPER_FUSIONS
    """Where frames are merged: embedding, decision, image, max, top-K (as top-4), attention."""


def fusion_matrix(
    features: Sequence[Features],
    split: str = "",
    settings: Ablation | None = None,
) -> list[ResultRow]:
    """Every feature set scored with every fusion.

    A row's `trained_fusion` is what the feature set's checkpoint was fine-tuned with, so that the
    rows form the matrix trained-with x scored-with.
    """
    settings = settings or Ablation()
    each = (load_videos(one, split, partial=settings.partial) for one in features)
    return [row for videos in each for row in _rows(videos, "ablation-fusion", settings)]


def missing_of_table5(rows: Sequence[ResultRow]) -> list[str]:
    """Fusions of the paper's Table 5 that no checkpoint was both tuned and scored with.

    The table is the diagonal of the matrix, so `rows` come from `fusion_matrix`.
    """
    diagonal = {row.fusion for row in rows if row.trained_fusion == row.fusion}
    return [name for name in PAPER_FUSIONS if name not in diagonal]


def frames_ablation(
    features: Features,
    counts: Sequence[int],
    split: str = "",
    settings: Ablation | None = None,
) -> list[ResultRow]:
    """The same videos with fewer frames per view, evenly spaced among the cached ones."""
    refuse_merging(features, (), np.arange(1))
    total = features.require_array("frames").shape[2]
    chosen = [evenly_spaced(total, count, "frames") for count in counts]
    settings = settings or Ablation()
    videos = load_videos(features, split, partial=settings.partial)
    run = (videos, "ablation-frames", settings)
    return [row for frames in chosen for row in _rows(*run, frames=frames)]


def views_ablation(
    features: Features,
    counts: Sequence[int],
    split: str = "",
    settings: Ablation | None = None,
) -> list[ResultRow]:
    """The same videos with fewer views, evenly spaced among the cached ones (crop-major)."""
    total = features.view_mean.shape[1]
    chosen = [evenly_spaced(total, count, "views") for count in counts]
    settings = settings or Ablation()
    videos = load_videos(features, split, partial=settings.partial)
    run = (videos, "ablation-views", settings)
    return [row for views in chosen for row in _rows(*run, views=views)]


def templates_ablation(
    features: Features,
    texts: Sequence[str],
    split: str = "",
    settings: Ablation | None = None,
) -> list[ResultRow]:
    """The same videos against several text sets, given by id."""
    settings = settings or Ablation()
    videos = load_videos(features, split, partial=settings.partial)
    each = [replace(settings, texts=text_set) for text_set in texts]
    return [row for one in each for row in _rows(videos, "ablation-templates", one)]


def levers_ablation(
    features: Features, split: str = "", settings: Ablation | None = None
) -> list[ResultRow]:
    """The plain score by every fusion of the settings, and each of their levers beside it."""
    settings = settings or Ablation()
    videos = load_videos(features, split, partial=settings.partial)
    classes = chosen_classes(videos, settings)
    scores = score(videos, classes, settings.fusions)
    setup = Setup(protocol="ablation-levers", texts=classes)
    return rows_with_levers(videos, classes, scores, settings, setup)


def blend_ablation(
    features: Sequence[Features],
    split: str = "",
    settings: Ablation | None = None,
) -> list[ResultRow]:
    """Checkpoints between a start (0) and what was tuned from it (1), by the share of the tuned.

    Of the given feature sets those of blended checkpoints, of their start and of what they were
    blended from are scored; the share is in the provenance (`blend`). No rows where none is of a
    blend. Weights are averaged as WiSE-FT (Wortsman et al. 2022) and Open-VCLIP do.
    """
    settings = settings or Ablation()
    rows = []
    for one, share in blend_shares(features).items():
        videos = load_videos(one, split, partial=settings.partial)
        rows += _rows(videos, "ablation-blend", settings, extra={"blend": share})
    return rows


def blend_shares(features: Sequence[Features]) -> dict[Features, float]:
    """Share of the tuned weights per feature set, for those that belong to a blend, rising.

    `vifi train --blend 0.5` gives a checkpoint the kind `blend-0.5` and its start as its parent;
    the tuned end has the same parent and step.
    """
    of = {one: checkpoint_of(one) for one in features}
    blends = {one: share for one, c in of.items() if (share := _blend_share(c)) is not None}
    starts = {of[one]["parent"] for one in blends}
    ends = {(of[one]["parent"], of[one]["step"]) for one in blends}
    shares = dict(blends)
    for one, checkpoint in of.items():
        if checkpoint["digest"] in starts:
            shares.setdefault(one, 0.0)
        elif _kind(checkpoint) == "trained" and (checkpoint["parent"], checkpoint["step"]) in ends:
            shares.setdefault(one, 1.0)
    return dict(sorted(shares.items(), key=lambda item: item[1]))


def _kind(checkpoint: Mapping) -> str:
    return str((checkpoint["settings"] or {}).get("kind", ""))


def _blend_share(checkpoint: Mapping) -> float | None:
    match = re.fullmatch(r"blend-(\d+(?:\.\d+)?)", _kind(checkpoint))
    return float(match[1]) if match else None


def evenly_spaced(total: int, count: int, what: str) -> np.ndarray:
    """Indexes floor((i + 0.5) total / count), int64 [count]: the middles of `count` stretches.

    Of cached frames this is a subset, not what sampling so few from the video would have taken.

    Raises UsageError unless 1 <= count <= total.
    """
    if not 1 <= count <= total:
        raise UsageError(f"{count} {what} cannot be chosen from the {total} cached; give 1-{total}")
    return (2 * np.arange(count) + 1) * total // (2 * count)


def _rows(
    videos: Videos,
    protocol: str,
    settings: Ablation,
    *,
    frames: np.ndarray | None = None,
    views: np.ndarray | None = None,
    extra: Mapping[str, object] | None = None,
) -> list[ResultRow]:
    """Rows of one choice; `frames` and `views` are indexes of those to use, int64, all if None."""
    classes = chosen_classes(videos, settings)
    setup = Setup(
        protocol=protocol,
        texts=classes,
        num_frames=None if frames is None else len(frames),
        num_views=None if views is None else len(views),
        extra=dict(extra or {}),
    )
    scores = score(videos, classes, settings.fusions, frames=frames, views=views)
    return scored_rows(videos, scores, settings, setup)
