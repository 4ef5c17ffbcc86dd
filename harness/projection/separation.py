"""How well classes stay together, measured where a map cannot lie: in the full embedding space.

    table = separation(panels)      # DataFrame: panel metric value ci_low ci_high num_videos

Every metric is a mean over labelled videos, so its 95% interval is a bootstrap over them, or over
the files that they are stretches of: those of one file are alike whatever the encoder is, and none
counts as a neighbour of another.
"""

import numpy as np
import pandas as pd

from harness.interval_ends import SHARE
from harness.projection.panels import Panels
from harness.shared_files import shared_files
from harness.statistics import FOLDS, bootstrap_mean
from vifistore.errors import UsageError

METRICS = ("silhouette", "knn_agreement", "class_separability")
COLUMNS = ("panel", "metric", "value", "ci_low", "ci_high", "num_videos")
_CHUNK_VIDEOS = 1024
# Distances of equal videos are what rounding in float32 leaves, above 0 or below.
_EQUAL_VIDEOS = 1e-6


def separation(panels: Panels, *, neighbours: int = 10, folds: int = FOLDS) -> pd.DataFrame:
    """A row per panel and metric; none where fewer than two classes are labelled.

    silhouette
        Mean silhouette by cosine distance, from -1 to 1.
    knn_agreement
        Share of a video's nearest neighbours with its own label.
    class_separability
        Share of videos nearer to the mean of their own class, without themselves and the rest of
        their files, than to the mean of any other.
    """
    labels = panels.labels[panels.is_labelled]
    files = shared_files(panels.dataset, panels.rows[panels.is_labelled])
    rows = []
    for name, vectors in panels.vectors.items():
        if len(np.unique(labels)) < 2:
            break
        chosen = vectors[panels.is_labelled]
        values = {
            "silhouette": silhouettes(chosen, labels),
            "knn_agreement": knn_agreement(chosen, labels, neighbours, files),
            "class_separability": nearest_mean_is_own(chosen, labels, files),
        }
        for metric in METRICS:
            bounds = (-1.0, 1.0) if metric == "silhouette" else SHARE
            mean = bootstrap_mean(values[metric], folds, files=files, bounds=bounds)
            rows.append((name, metric, mean.value, mean.low, mean.high, len(labels)))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def silhouettes(vectors: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Silhouette (b - a) / max(a, b) of every video by cosine distance, float64 [video].

    a is the mean distance to the rest of its class, b the smallest mean distance to another
    class (Rousseeuw 1987); 0 for a class of one video, and where a and b are of videos that are all
    equal to it. For unit vectors the mean distance to a class is 1 - x.(sum of the class)/n, so
    this takes video x class instead of video x video. Raises UsageError with fewer than two
    classes.
    """
    labels, counts, sums = _class_sums(vectors, labels)
    vectors = vectors.astype(np.float64)
    products = vectors @ sums.T
    own = np.arange(len(labels)), labels
    rest = np.maximum(counts[labels] - 1, 1)
    inside = 1 - (products[own] - np.einsum("vd,vd->v", vectors, vectors)) / rest
    outside = 1 - products / counts
    outside[own] = np.inf
    nearest, inside = (np.maximum(distances, 0) for distances in (outside.min(axis=1), inside))
    larger = np.maximum(nearest, inside)
    values = np.divide(
        nearest - inside, larger, out=np.zeros(len(labels)), where=larger > _EQUAL_VIDEOS
    )
    return np.where(counts[labels] > 1, values, 0.0)


def knn_agreement(
    vectors: np.ndarray,
    labels: np.ndarray,
    neighbours: int = 10,
    files: np.ndarray | None = None,
) -> np.ndarray:
    """Share of the nearest other videos, by cosine, with a video's own label, float64 [video]; of
    other `files`, int64 [video]. 0 where there is none."""
    count = min(neighbours, len(vectors) - 1)
    files = np.arange(len(vectors)) if files is None else files
    shares = np.empty(len(vectors))
    for start in range(0, len(vectors), _CHUNK_VIDEOS):
        chunk = slice(start, start + _CHUNK_VIDEOS)
        cosines = vectors[chunk] @ vectors.T
        cosines[files[chunk][:, None] == files] = -np.inf
        nearest = np.argpartition(-cosines, count - 1, axis=1)[:, :count]
        # A video of one large file may have fewer others.
        is_other = files[nearest] != files[chunk][:, None]
        agrees = (labels[nearest] == labels[chunk][:, None]) & is_other
        shares[chunk] = agrees.sum(axis=1) / np.maximum(is_other.sum(axis=1), 1)
    return shares


def nearest_mean_is_own(
    vectors: np.ndarray, labels: np.ndarray, files: np.ndarray | None = None
) -> np.ndarray:
    """1 where the class with the nearest mean, by cosine, is a video's own, else 0, [video].

    A video is left out of the mean of its own class, with all of its `files`, int64 [video]; one
    whose class has no other has no such mean and counts 0. Raises UsageError with fewer than two
    classes.
    """
    labels, counts, sums = _class_sums(vectors, labels)
    vectors = vectors.astype(np.float64)
    others = vectors @ (sums / np.linalg.norm(sums, axis=1, keepdims=True)).T
    files = np.arange(len(labels)) if files is None else files
    _, own_part = np.unique(np.stack([labels, files]), axis=1, return_inverse=True)
    own_part = own_part.ravel()
    of_part = np.zeros((own_part.max() + 1, vectors.shape[1]))
    np.add.at(of_part, own_part, vectors)
    rest = sums[labels] - of_part[own_part]
    has_rest = counts[labels] > np.bincount(own_part)[own_part]
    lengths = np.linalg.norm(rest, axis=1)
    own = np.einsum("vd,vd->v", vectors, rest) / np.where(lengths > 0, lengths, 1)
    others[np.arange(len(labels)), labels] = -np.inf
    return (has_rest & (own > others.max(axis=1))).astype(np.float64)


def _class_sums(
    vectors: np.ndarray, labels: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels from 0 without gaps [video], videos per class [class], sums float64 [class dim]."""
    names, labels = np.unique(labels, return_inverse=True)
    if len(names) < 2:
        raise UsageError("one class cannot be separated from another; give videos of two or more")
    sums = np.zeros((len(names), vectors.shape[1]))
    np.add.at(sums, labels, vectors.astype(np.float64))
    return labels, np.bincount(labels), sums
