"""Maps of the same videos under several feature sets, next to each other.

    panels = load_panels([vanilla, vifi_clip], Choice(num_classes=15))
    points = project(panels)                 # DataFrame: panel dataset row id label x y

Paper, Figure 1 (t-SNE of the embeddings of vanilla CLIP against those of fine-tuned models).
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from harness.projection.panels import Panels
from vifistore.errors import UsageError

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

    def __post_init__(self) -> None:
        if not self.perplexity > 0:
            raise UsageError(f"perplexity is {self.perplexity}; give a number above 0")
        if not 0 <= self.seed < 2**32:
            raise UsageError(f"seed is {self.seed}; give a number from 0 to {2**32 - 1}")


def project(panels: Panels, settings: Projection | None = None) -> pd.DataFrame:
    """Coordinates of every panel: columns panel, dataset, row, id, label, x, y.

    A video without a label has an empty one. Every panel starts from (t-SNE) or is turned to (PCA)
    the one before, so that a video keeps its place as far as the embeddings allow.
    """
    settings = settings or Projection()
    ids = panels.dataset.column("id")[panels.rows]
    # UNLABELLED is the last index.
    names = np.array([*panels.class_names, ""], dtype=object)
    parts, earlier = [], None
    for name, vectors in panels.vectors.items():
        earlier = embed(vectors, settings, earlier)
        part = {
            "panel": name,
            "dataset": panels.dataset.name,
            "row": panels.rows,
            "id": ids,
            "label": names[panels.labels],
            "x": earlier[:, 0],
            "y": earlier[:, 1],
        }
        parts.append(pd.DataFrame(part))
    return pd.concat(parts, ignore_index=True)


def embed(
    vectors: np.ndarray, settings: Projection, earlier: np.ndarray | None = None
) -> np.ndarray:
    """A map of unit vectors [video dim], float64 [video 2], near to an `earlier` one if given.

    Raises UsageError where all vectors are the same.
    """
    if (vectors == vectors[0]).all():
        raise UsageError(
            f"all {len(vectors)} videos have the same embedding, so there is no map of them; give "
            "videos that differ"
        )
    if settings.method == "pca":
        return _pca(vectors, earlier)
    return _tsne(vectors, settings, earlier)


def _pca(vectors: np.ndarray, earlier: np.ndarray | None) -> np.ndarray:
    """The two directions of largest variance, turned and mirrored to lie on the earlier map."""
    centred = vectors.astype(np.float64) - vectors.mean(axis=0, dtype=np.float64)
    left, lengths, _ = np.linalg.svd(centred, full_matrices=False)
    points = left[:, :2] * lengths[:2]
    if earlier is None:
        # A direction has no sign of its own: let its largest coordinate be positive.
        return points * np.sign(points[np.abs(points).argmax(axis=0), [0, 1]])
    turn, _, back = np.linalg.svd(points.T @ (earlier - earlier.mean(axis=0)))
    return points @ turn @ back


def _tsne(vectors: np.ndarray, settings: Projection, earlier: np.ndarray | None) -> np.ndarray:
    # openTSNE brings in scikit-learn and takes seconds to import.
    from openTSNE import TSNE
    from openTSNE.initialization import rescale

    # openTSNE's annotations are narrower than what it documents and takes.
    start: Any = "pca" if earlier is None else rescale(earlier, target_std=_START_DEVIATION)
    perplexity: Any = min(settings.perplexity, (len(vectors) - 1) / 3)
    model = TSNE(
        perplexity=perplexity,
        metric="cosine",
        initialization=start,
        random_state=settings.seed,
        # More threads add up in another order, and the map would differ from run to run.
        n_jobs=1,
    )
    return np.asarray(model.fit(vectors))
