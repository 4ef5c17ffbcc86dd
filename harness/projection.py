"""Maps of video embeddings in two dimensions, and numbers for what the eye sees in them.

    maps = project(store, "ucf101", ["vanilla", "vifi-clip"])        # DataFrame, a panel each
    table = separation(store, "ucf101", ["vanilla", "vifi-clip"])    # silhouette, kNN agreement

Paper, Figure 3 (t-SNE of vanilla CLIP against the fine-tuned model). A map can show clusters that
are not there, so `separation` measures in the full space, with 95% intervals over videos.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import Literal

import numpy as np
import pandas as pd

from harness.fusion import unit
from harness.reading import read_all
from harness.scoring import Videos, load_videos
from harness.statistics import FOLDS, bootstrap_mean
from vifistore.errors import UsageError
from vifistore.store.store import Store

MIN_VIDEOS = 5
_CHUNK_VIDEOS = 1024
# openTSNE's own starting spread: small enough that attraction decides first.
_START_DEVIATION = 1e-4


@dataclass(frozen=True, kw_only=True)
class Projection:
    """Settings of a map."""

    method: Literal["tsne", "pca"] = "tsne"
    """How the map is made."""
    perplexity: float = 30.0
    """t-SNE: effective number of neighbours; at most a third of the videos."""
    seed: int = 0
    """t-SNE: seed of its random choices."""
    partial: bool = False
    """Show what a feature set that is not sealed holds."""

    def __post_init__(self) -> None:
        if not self.perplexity > 0:
            raise UsageError(f"perplexity is {self.perplexity}; give a number above 0")


def project(
    store: Store,
    dataset: str,
    features: Sequence[str],
    split: str = "",
    settings: Projection | None = None,
) -> pd.DataFrame:
    """Coordinates of every panel: columns panel, row, id, label, x, y.

    A panel is one feature set, named as given; all panels show the videos that all of them hold.
    Every panel starts from (t-SNE) or is turned to (PCA) the one before, so that a video keeps
    its place as far as the embeddings allow. Raises UsageError for fewer than 5 videos, and what
    loading raises.
    """
    settings = settings or Projection()
    panels = load_panels(store, dataset, features, split, partial=settings.partial)
    table = store.videos(dataset)
    parts, earlier = [], None
    for name, (videos, vectors) in panels.items():
        earlier = embed(vectors, settings, earlier)
        part = {
            "panel": name,
            "row": videos.rows,
            "id": table["id"].to_numpy()[videos.rows],
            "label": np.array(videos.class_names, dtype=object)[videos.labels],
            "x": earlier[:, 0],
            "y": earlier[:, 1],
        }
        parts.append(pd.DataFrame(part))
    return pd.concat(parts, ignore_index=True)


def separation(
    store: Store,
    dataset: str,
    features: Sequence[str],
    split: str = "",
    *,
    neighbours: int = 10,
    partial: bool = False,
    folds: int = FOLDS,
) -> pd.DataFrame:
    """How well classes separate: columns panel, metric, value, ci_low, ci_high, num_videos.

    `silhouette` is the mean silhouette by cosine distance, `knn_agreement` the share of each
    video's nearest neighbours that have its label; both in the full embedding space.
    """
    rows = []
    panels = load_panels(store, dataset, features, split, partial=partial)
    for name, (videos, vectors) in panels.items():
        per_video = {
            "silhouette": silhouettes(vectors, videos.labels),
            "knn_agreement": knn_agreement(vectors, videos.labels, neighbours),
        }
        for metric, values in per_video.items():
            found = bootstrap_mean(values, folds)
            rows.append((name, metric, found.value, found.low, found.high, len(values)))
    columns = ["panel", "metric", "value", "ci_low", "ci_high", "num_videos"]
    return pd.DataFrame(rows, columns=columns)


def load_panels(
    store: Store, dataset: str, features: Sequence[str], split: str, *, partial: bool
) -> dict[str, tuple[Videos, np.ndarray]]:
    """Per feature set its videos and their vectors, float32 [video dim] of unit length.

    A vector is the mean over views of `view_mean`. Only videos that every set holds are kept, once
    each, in the order of the dataset.
    """
    loaded = {name: load_videos(store, dataset, name, split, partial=partial) for name in features}
    rows = reduce(np.intersect1d, [videos.rows for videos in loaded.values()])
    if len(rows) < MIN_VIDEOS:
        raise UsageError(
            f"{len(rows)} videos are too few for a map; give a split and feature sets that share "
            f"at least {MIN_VIDEOS}"
        )
    return {name: _panel(videos, rows) for name, videos in loaded.items()}


def embed(
    vectors: np.ndarray, settings: Projection, earlier: np.ndarray | None = None
) -> np.ndarray:
    """A map of unit vectors [video dim], float64 [video 2], near to an `earlier` one if given."""
    if settings.method == "pca":
        return _pca(vectors, earlier)
    return _tsne(vectors, settings, earlier)


def silhouettes(vectors: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Silhouette (b - a) / max(a, b) of every video by cosine distance, float64 [video].

    a is the mean distance to the rest of its class, b the smallest mean distance to another
    class (Rousseeuw 1987); 0 for a class of one video. For unit vectors the mean distance to a
    class is 1 - x.(sum of the class)/n, so this takes video x class instead of video x video.
    Raises UsageError with fewer than two classes.
    """
    names, labels = np.unique(labels, return_inverse=True)
    if len(names) < 2:
        raise UsageError("one class cannot be separated from another; give videos of two or more")
    vectors = vectors.astype(np.float64)
    counts = np.bincount(labels)
    sums = np.zeros((len(names), vectors.shape[1]))
    np.add.at(sums, labels, vectors)
    products = vectors @ sums.T
    own = np.arange(len(labels)), labels
    rest = np.maximum(counts[labels] - 1, 1)
    inside = 1 - (products[own] - np.einsum("vd,vd->v", vectors, vectors)) / rest
    outside = 1 - products / counts
    outside[own] = np.inf
    nearest = outside.min(axis=1)
    values = (nearest - inside) / np.maximum(np.maximum(nearest, inside), np.finfo(float).tiny)
    return np.where(counts[labels] > 1, values, 0.0)


def knn_agreement(vectors: np.ndarray, labels: np.ndarray, neighbours: int = 10) -> np.ndarray:
    """Share of the nearest other videos, by cosine, with a video's own label, float64 [video]."""
    count = min(neighbours, len(vectors) - 1)
    shares = np.empty(len(vectors))
    for start in range(0, len(vectors), _CHUNK_VIDEOS):
        chunk = slice(start, start + _CHUNK_VIDEOS)
        cosines = vectors[chunk] @ vectors.T
        rows = np.arange(len(cosines))
        cosines[rows, start + rows] = -np.inf
        nearest = np.argpartition(-cosines, count - 1, axis=1)[:, :count]
        shares[chunk] = (labels[nearest] == labels[chunk][:, None]).mean(axis=1)
    return shares


def _panel(videos: Videos, rows: np.ndarray) -> tuple[Videos, np.ndarray]:
    _, kept, _ = np.intersect1d(videos.rows, rows, return_indices=True)
    videos = replace(videos, rows=videos.rows[kept], labels=videos.labels[kept])
    return videos, unit(read_all(videos.features, "view_mean", rows).mean(axis=1))


def _pca(vectors: np.ndarray, earlier: np.ndarray | None) -> np.ndarray:
    """The two directions of largest variance, turned and mirrored to lie on the earlier map."""
    centred = vectors.astype(np.float64) - vectors.mean(axis=0, dtype=np.float64)
    left, lengths, _ = np.linalg.svd(centred, full_matrices=False)
    found = left[:, :2] * lengths[:2]
    if earlier is None:
        # A direction has no sign of its own: let its largest coordinate be positive.
        return found * np.sign(found[np.abs(found).argmax(axis=0), [0, 1]])
    turn, _, back = np.linalg.svd(found.T @ (earlier - earlier.mean(axis=0)))
    return found @ turn @ back


def _tsne(vectors: np.ndarray, settings: Projection, earlier: np.ndarray | None) -> np.ndarray:
    # openTSNE brings in scikit-learn and takes seconds to import.
    from openTSNE import TSNE
    from openTSNE.initialization import rescale

    start = "pca" if earlier is None else rescale(earlier, target_std=_START_DEVIATION)
    model = TSNE(
        perplexity=min(settings.perplexity, (len(vectors) - 1) / 3),
        metric="cosine",
        initialization=start,
        random_state=settings.seed,
        n_jobs=1,
    )
    return np.asarray(model.fit(vectors))
